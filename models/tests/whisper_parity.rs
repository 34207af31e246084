//! Whisper on tract against transformers, with Whisper tiny's real dimensions and random weights.

#![allow(clippy::unwrap_used, reason = "a failed test should panic")]

mod reference;

use std::sync::{Arc, LazyLock};

use hive_models::backend::TractBackend;
use hive_models::manifest::ModelDirectory;
use hive_models::seq2seq::{
    Batch, BeamOptions, CrossStates, Decoded, EarlyStopping, KvCache, Row, Search,
};
use hive_models::stt::whisper::{Mel, Whisper, WhisperOptions};
use reference::Reference;
use serde_json::Value;

struct Loaded {
    reference: Reference,
    whisper: Whisper,
}

/// Loaded once for all tests: compiling takes seconds.
fn tiny() -> &'static Loaded {
    static TINY: LazyLock<Result<Loaded, String>> = LazyLock::new(|| {
        let reference = Reference::open("whisper-tiny")?;
        let directory = reference.directory.join("model");
        let directory = ModelDirectory::open(&directory).map_err(|error| error.to_string())?;
        directory.verify().map_err(|error| error.to_string())?;
        let whisper = Whisper::load(&directory, &TractBackend::default());
        Ok(Loaded {
            whisper: whisper.map_err(|error| error.to_string())?,
            reference,
        })
    });
    TINY.as_ref().unwrap_or_else(|problem| panic!("{problem}"))
}

fn mel(case: &Value) -> Mel {
    let (shape, values) = tiny().reference.f32(case, "mel");
    Mel::from_values(shape[0], shape[1], values).unwrap()
}

/// The largest difference, and that relative to the largest value.
fn difference(ours: &[f32], theirs: &[f32]) -> (f32, f32) {
    assert_eq!(ours.len(), theirs.len());
    let pairs = ours.iter().zip(theirs);
    let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let scale = theirs.iter().map(|value| value.abs()).fold(0.0, f32::max);
    (largest, largest / scale)
}

fn search(case: &Value, beams: usize) -> Search {
    let timestamps = !tiny()
        .reference
        .ids(case, "prompt")
        .contains(&tiny().whisper.config().tokens.no_timestamps);
    let options = WhisperOptions {
        timestamps,
        max_tokens: Some(tiny().reference.setting("max_new_tokens")),
        beam: (beams > 1).then_some(BeamOptions {
            beams,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::Heuristic,
        }),
        ..WhisperOptions::new("en")
    };
    let search = tiny().whisper.search(&options).unwrap();
    assert_eq!(
        search.options().prompt,
        tiny().reference.ids(case, "prompt")
    );
    search
}

fn alone(search: Search, cross: Arc<CrossStates>) -> Decoded {
    let mut batch = Batch::new(tiny().whisper.decoder().clone());
    batch.join((), search, cross);
    loop {
        if let Some(finished) = batch.step().pop() {
            return finished.result.unwrap();
        }
    }
}

/// Ids as transformers gives them: with the end token.
fn with_end(decoded: &Decoded) -> Vec<i64> {
    let end = decoded.ended.then_some(tiny().whisper.config().tokens.eot);
    decoded.tokens.iter().copied().chain(end).collect()
}

fn assert_identical(kind: &str, at_least: usize, beams: usize) {
    let cases = tiny().reference.cases(kind);
    assert!(cases.len() >= at_least, "only {} cases", cases.len());
    let mut distinct = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let cross = tiny().whisper.encode(&[&mel(case)]).unwrap().remove(0);
        let ours = with_end(&alone(search(case, beams), cross));
        assert_eq!(ours, tiny().reference.ids(case, "ids"), "{kind} {index}");
        distinct.push(ours);
    }
    distinct.sort();
    distinct.dedup();
    println!(
        "{kind}: {} inputs, {} distinct outputs, all identical",
        cases.len(),
        distinct.len()
    );
}

#[test]
fn features_are_the_reference_s() {
    let reference = &tiny().reference;
    for case in reference.cases("features") {
        let (_, audio) = reference.f32(case, "audio");
        let (shape, theirs) = reference.f32(case, "mel");
        let ours = tiny()
            .whisper
            .front_end()
            .compute_frames(&audio, shape[1])
            .unwrap();
        assert_eq!([ours.bands(), ours.frames()], shape[..]);
        let (absolute, _) = difference(ours.values(), &theirs);
        println!(
            "features of {} samples: differ by {absolute:.1e}",
            audio.len()
        );
        assert!(absolute <= 1e-4, "features differ by {absolute}");
    }
}

#[test]
fn logits_and_attention_are_the_reference_s() {
    let reference = &tiny().reference;
    for case in reference.cases("logits") {
        let mel = mel(case);
        let cross = tiny().whisper.encode(&[&mel]).unwrap();
        let ids = reference.ids(case, "ids");
        let mut cache = KvCache::new(tiny().whisper.decoder().dimensions());
        let mut rows = [Row {
            ids: &ids,
            cache: &mut cache,
        }];
        let output = tiny().whisper.decoder().run(&mut rows, &cross).unwrap();
        let (shape, theirs) = reference.f32(case, "logits");
        let logits: Vec<f32> = (0..ids.len())
            .flat_map(|token| output.logits(0, token).unwrap())
            .copied()
            .collect();
        assert_eq!(shape, [ids.len(), logits.len() / ids.len()]);
        let (absolute, relative) = difference(&logits, &theirs);
        println!(
            "logits of {} frames: differ by {absolute:.1e}, {relative:.1e} relative",
            mel.frames()
        );
        assert!(relative <= 1e-3, "logits differ by {relative}");

        let (shape, theirs) = reference.f32(case, "alignment");
        let (heads, tokens, frames) = (shape[0], shape[1], shape[2]);
        assert_eq!(frames, mel.encoder_frames());
        for token in 0..tokens {
            let ours = output.alignment(0, token, frames).unwrap().unwrap();
            for head in 0..heads {
                let theirs = &theirs[(head * tokens + token) * frames..][..frames];
                let (absolute, _) = difference(&ours[head * frames..][..frames], theirs);
                assert!(absolute <= 1e-4, "attention differs by {absolute}");
            }
        }
    }
}

#[test]
fn greedy_ids_are_the_reference_s() {
    assert_identical("greedy", 50, 1);
}

#[test]
fn ids_with_timestamps_are_the_reference_s() {
    assert_identical("timestamps", 10, 1);
}

#[test]
fn beam_ids_are_the_reference_s() {
    assert_identical("beam", 20, 4);
}

#[test]
fn a_padded_batch_gives_what_single_windows_give() {
    let cases = &tiny().reference.cases("greedy")[..8];
    let mels: Vec<Mel> = cases.iter().map(mel).collect();
    let together = tiny()
        .whisper
        .encode(&mels.iter().collect::<Vec<_>>())
        .unwrap();
    let decoder = tiny().whisper.decoder();
    // Prompts of different lengths, then one more token each: padded pasts as well.
    let prompts: Vec<Vec<i64>> = (0..8)
        .map(|row| (1..=2 + row % 3).map(|at| 40 * at + row).collect())
        .collect();
    let run = |caches: &mut [KvCache], ids: &[&[i64]], cross: &[Arc<CrossStates>]| {
        let mut rows: Vec<Row<'_>> = caches
            .iter_mut()
            .zip(ids)
            .map(|(cache, &ids)| Row { ids, cache })
            .collect();
        decoder.run(&mut rows, cross).unwrap()
    };
    let mut caches = vec![KvCache::new(decoder.dimensions()); 8];
    let ids: Vec<&[i64]> = prompts.iter().map(Vec::as_slice).collect();
    let first = run(&mut caches, &ids, &together);
    let second = run(&mut caches, &[&[77_i64][..]; 8], &together);
    let mut worst = 0.0_f32;
    for row in 0..8 {
        let single = tiny().whisper.encode(&[&mels[row]]).unwrap();
        let mut cache = [KvCache::new(decoder.dimensions())];
        let one = run(&mut cache, &ids[row..=row], &single);
        let two = run(&mut cache, &[&[77]], &single);
        for token in 0..ids[row].len() {
            let pair = (
                first.logits(row, token).unwrap(),
                one.logits(0, token).unwrap(),
            );
            worst = worst.max(difference(pair.0, pair.1).0);
        }
        let pair = (second.logits(row, 0).unwrap(), two.logits(0, 0).unwrap());
        worst = worst.max(difference(pair.0, pair.1).0);
    }
    println!("a batch of 8 differs from singles by {worst:.1e}");
    assert!(worst <= 1e-4, "batched logits differ by {worst}");
}

#[test]
fn sequences_that_join_and_leave_decode_as_they_do_alone() {
    let reference = &tiny().reference;
    let greedy = reference
        .cases("greedy")
        .iter()
        .take(9)
        .map(|case| (case, 1));
    let beam = reference.cases("beam").iter().take(3).map(|case| (case, 4));
    let timed = reference
        .cases("timestamps")
        .iter()
        .take(3)
        .map(|case| (case, 1));
    let mut cases: Vec<(&Value, usize)> = greedy.chain(beam).chain(timed).collect();
    // A mix that the seed fixes.
    let mut state = 12_345_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for at in (1..cases.len()).rev() {
        cases.swap(at, random(at + 1));
    }
    let mels: Vec<Mel> = cases.iter().map(|(case, _)| mel(case)).collect();
    let crosses = tiny()
        .whisper
        .encode(&mels.iter().collect::<Vec<_>>())
        .unwrap();

    let mut batch = Batch::new(tiny().whisper.decoder().clone());
    let (mut next, mut left, mut done) = (0, 0, 0);
    while next < cases.len() || !batch.is_empty() {
        while next < cases.len() && batch.len() < 6 && random(3) > 0 {
            let (case, beams) = cases[next];
            batch.join(next, search(case, beams), crosses[next].clone());
            next += 1;
        }
        // Some join and are taken out again before their end.
        if left < 4 && random(4) == 0 {
            let (case, beams) = cases[left];
            batch.join(100 + left, search(case, beams), crosses[left].clone());
            left += 1;
        }
        if left > 0 && random(3) == 0 {
            let _ = batch.leave(&(100 + random(left)));
        }
        for finished in batch.step() {
            let (case, _) = cases[finished.key % 100];
            let decoded = finished.result.unwrap();
            assert_eq!(
                with_end(&decoded),
                reference.ids(case, "ids"),
                "{}",
                finished.key
            );
            done += usize::from(finished.key < 100);
        }
    }
    assert_eq!(done, cases.len());
}
