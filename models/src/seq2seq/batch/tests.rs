use super::super::toy::{self, DIMENSIONS, END, POISON, Toy};
use super::super::{BeamOptions, EarlyStopping, Probe, SearchOptions};
use super::*;

fn options(prompt: &[i64], beams: usize) -> SearchOptions {
    SearchOptions {
        prompt: prompt.to_vec(),
        end: END,
        max_length: 20,
        processors: Vec::new(),
        beam: (beams > 1).then_some(BeamOptions {
            beams,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::Heuristic,
        }),
        keep_alignment: true,
        probe: None,
    }
}

fn search(prompt: &[i64], beams: usize) -> Search {
    Search::new(options(prompt, beams), &DIMENSIONS).unwrap()
}

fn alone(prompt: &[i64], beams: usize, frames: &[f32]) -> Decoded {
    let mut batch = Batch::new(Toy::decoder());
    batch.join((), search(prompt, beams), Toy::cross(frames));
    loop {
        if let Some(finished) = batch.step().pop() {
            return finished.result.unwrap();
        }
    }
}

/// Greedy decoding of the toy without cache, batch or mask.
fn by_hand(prompt: &[i64], frames: &[f32]) -> Vec<i64> {
    let mut ids = prompt.to_vec();
    while ids.len() < 20 {
        let memory = ids
            .iter()
            .zip(0..)
            .map(|(&id, at)| toy::memory(id, at))
            .sum();
        let logits = toy::logits(memory, frames.iter().sum());
        let best = (0..logits.len()).fold(
            0,
            |best, at| if logits[at] > logits[best] { at } else { best },
        );
        ids.push(best as i64);
        if best as i64 == END {
            break;
        }
    }
    ids.split_off(prompt.len())
}

#[test]
fn greedy_is_what_it_is_by_hand() {
    for seed in 1..9_i64 {
        let (prompt, frames) = ([seed, 2, 9 - seed], [0.3 * seed as f32, 0.2]);
        let decoded = alone(&prompt, 1, &frames);
        let mut tokens = by_hand(&prompt, &frames);
        if decoded.ended {
            assert_eq!(tokens.pop(), Some(END));
        }
        assert_eq!(decoded.tokens, tokens, "seed {seed}");
        assert_eq!(
            decoded.alignment.len(),
            3 + tokens.len() + usize::from(decoded.ended) - 1
        );
        assert_eq!(*decoded.alignment[0], frames);
    }
}

#[test]
fn sequences_that_join_and_leave_decode_as_they_do_alone() {
    let prompts: Vec<Vec<i64>> = (0..12)
        .map(|i| (1..=(i % 4) + 1).map(|t| (t * 3 + i) % 10 + 1).collect())
        .collect();
    let frames: Vec<Vec<f32>> = (0..12)
        .map(|i| vec![0.17 * i as f32; 1 + (i * 5) % 7])
        .collect();
    let beams = |i: usize| if i.is_multiple_of(3) { 4 } else { 1 };
    let expected: Vec<Decoded> = (0..12)
        .map(|i| alone(&prompts[i], beams(i), &frames[i]))
        .collect();
    let mut batch = Batch::new(Toy::decoder());
    let mut results = Vec::new();
    let mut next = 0;
    let mut steps = 0;
    while next < 12 || !batch.is_empty() {
        // One joins every second step; one that joined at step 6 leaves at once.
        if next < 12 && steps % 2 == 0 {
            batch.join(
                next,
                search(&prompts[next], beams(next)),
                Toy::cross(&frames[next]),
            );
            next += 1;
        }
        if steps == 6 {
            batch.join(99, search(&[5, 5], 4), Toy::cross(&[9.0; 9]));
        }
        results.extend(batch.step());
        if steps == 7 {
            assert!(batch.leave(&99).is_some());
        }
        steps += 1;
    }
    assert_eq!(results.len(), 12);
    for Finished { key, result } in results {
        let (decoded, expected) = (result.unwrap(), &expected[key]);
        assert_eq!(decoded.tokens, expected.tokens, "sequence {key}");
        assert!((decoded.score - expected.score).abs() < 1e-5);
        assert_eq!(decoded.alignment, expected.alignment);
    }
}

/// The best mean log-probability of at most two tokens, by trying them all.
fn best_of_all(prompt: i64, frames: f32) -> (f32, Vec<i64>) {
    let scores = |ids: &[i64]| {
        let memory = ids
            .iter()
            .zip(0..)
            .map(|(&id, at)| toy::memory(id, at))
            .sum();
        let mut scores = toy::logits(memory, frames);
        super::super::log_softmax(&mut scores);
        scores
    };
    let first = scores(&[prompt]);
    let mut best = (first[END as usize], vec![END]);
    for one in 1..DIMENSIONS.vocab_size as i64 {
        for (two, score) in scores(&[prompt, one]).into_iter().enumerate() {
            let mean = (first[one as usize] + score) / 2.0;
            if mean > best.0 {
                best = (mean, vec![one, two as i64]);
            }
        }
    }
    best
}

#[test]
fn a_beam_as_wide_as_the_vocabulary_finds_the_best_of_all() {
    for seed in 1..9_i64 {
        // All tokens but the end and the poison, which is the least likely.
        let mut options = options(&[seed], DIMENSIONS.vocab_size - 2);
        options.max_length = 3;
        if let Some(beam) = &mut options.beam {
            beam.early_stopping = EarlyStopping::Never;
        }
        let mut batch = Batch::new(Toy::decoder());
        let search = Search::new(options, &DIMENSIONS).unwrap();
        batch.join((), search, Toy::cross(&[0.4 * seed as f32]));
        let decoded = loop {
            if let Some(finished) = batch.step().pop() {
                break finished.result.unwrap();
            }
        };
        let (score, tokens) = best_of_all(seed, 0.4 * seed as f32);
        assert!((decoded.score - score).abs() < 1e-5, "seed {seed}");
        let end = decoded.ended.then_some(END);
        assert_eq!(
            decoded.tokens.into_iter().chain(end).collect::<Vec<_>>(),
            tokens
        );
        assert!((decoded.average_log_probability - score).abs() < 1e-5);
    }
}

#[test]
fn only_the_sequence_that_makes_the_graph_fail_is_lost() {
    let mut batch = Batch::new(Toy::decoder());
    batch.join("good", search(&[3, 4], 1), Toy::cross(&[0.3]));
    batch.join("bad", search(&[3, POISON], 1), Toy::cross(&[0.3]));
    let finished = batch.step();
    assert_eq!(finished.len(), 1);
    assert_eq!(finished[0].key, "bad");
    assert!(matches!(
        finished[0].result,
        Err(DecodeError::Run(RunError::Panicked { .. }))
    ));
    assert_eq!(batch.len(), 1);
    assert_eq!(batch.get(&"good").unwrap().hypotheses()[0].ids().len(), 3);
}

#[test]
fn only_the_sequence_whose_input_is_not_finite_is_lost() {
    let mut batch = Batch::new(Toy::decoder());
    batch.join("good", search(&[3], 1), Toy::cross(&[0.3]));
    batch.join("bad", search(&[3], 4), Toy::cross(&[f32::NAN]));
    let finished = batch.step();
    assert_eq!(finished[0].key, "bad");
    assert_eq!(
        finished[0].result.as_ref().unwrap_err(),
        &DecodeError::NotFinite
    );
    assert_eq!(batch.len(), 1);
}

#[test]
fn probes_the_prompt() {
    let mut options = options(&[3, 4, 5], 1);
    options.probe = Some(Probe {
        position: 1,
        token: 7,
    });
    let mut batch = Batch::new(Toy::decoder());
    batch.join(
        (),
        Search::new(options, &DIMENSIONS).unwrap(),
        Toy::cross(&[0.3]),
    );
    batch.step();
    let probed = batch.leave(&()).unwrap().into_decoded().probed.unwrap();
    let logits = toy::logits(toy::memory(3, 0) + toy::memory(4, 1), 0.3);
    let total: f32 = logits.iter().map(|logit| logit.exp()).sum();
    assert!((probed - logits[7].exp() / total).abs() < 1e-6);
}

#[test]
fn refuses_prompts_that_cannot_be_decoded() {
    let new = |prompt: &[i64]| Search::new(options(prompt, 1), &DIMENSIONS).unwrap_err();
    assert!(matches!(new(&[]), DecodeError::Prompt { .. }));
    assert!(matches!(
        new(&[1; 20]),
        DecodeError::Prompt { limit: 20, .. }
    ));
    assert!(matches!(
        new(&[12]),
        DecodeError::UnknownToken { token: 12, .. }
    ));
    assert!(matches!(new(&[-1]), DecodeError::UnknownToken { .. }));
}
