//! Marian on tract against transformers, with OPUS-MT's real dimensions and random weights, and with
//! small models of one vocabulary and of two.

#![allow(clippy::unwrap_used, reason = "a failed test should panic")]

mod reference;

use std::sync::{Arc, LazyLock};

use hive_models::backend::TractBackend;
use hive_models::manifest::ModelDirectory;
use hive_models::mt::marian::Marian;
use hive_models::seq2seq::{Batch, CrossStates, Decoded, KvCache, Row, Search};
use reference::Reference;
use serde_json::Value;

struct Loaded {
    reference: Reference,
    marian: Marian,
}

fn load(name: &str) -> Result<Loaded, String> {
    let reference = Reference::open(name)?;
    let directory = ModelDirectory::open(&reference.directory.join("model"));
    let directory = directory.map_err(|error| error.to_string())?;
    directory.verify().map_err(|error| error.to_string())?;
    let marian = Marian::load(&directory, &TractBackend::default());
    Ok(Loaded {
        marian: marian.map_err(|error| error.to_string())?,
        reference,
    })
}

/// Loaded once for all tests: compiling takes seconds.
fn all() -> &'static [Loaded] {
    static ALL: LazyLock<Result<Vec<Loaded>, String>> = LazyLock::new(|| {
        let names = ["marian-base", "marian-mini", "marian-separate"];
        names.into_iter().map(load).collect()
    });
    ALL.as_ref().unwrap_or_else(|problem| panic!("{problem}"))
}

/// The largest difference, and that relative to the largest value.
fn difference(ours: &[f32], theirs: &[f32]) -> (f32, f32) {
    assert_eq!(ours.len(), theirs.len());
    let pairs = ours.iter().zip(theirs);
    let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let scale = theirs.iter().map(|value| value.abs()).fold(0.0, f32::max);
    (largest, largest / scale)
}

fn text<'c>(case: &'c Value, key: &str) -> &'c str {
    case[key].as_str().unwrap()
}

impl Loaded {
    fn search(&self, beams: usize) -> Search {
        let beam = (beams > 1).then(|| self.marian.config().beams(beams));
        let max_length = self.reference.setting("max_length");
        self.marian.search(beam, Some(max_length)).unwrap()
    }

    fn encode(&self, case: &Value) -> Arc<CrossStates> {
        let ids = self.marian.tokenizer().encode(text(case, "text"), None);
        self.marian.encode(&[&ids.unwrap()]).unwrap().remove(0)
    }

    /// Asserts ids, with the end token as transformers gives them, and text.
    fn assert_same(&self, decoded: &Decoded, case: &Value) -> Vec<i64> {
        let end = decoded.ended.then_some(self.marian.config().eos);
        let ours: Vec<i64> = decoded.tokens.iter().copied().chain(end).collect();
        assert_eq!(ours, self.reference.ids(case, "ids"), "{case}");
        assert_eq!(self.marian.text(decoded), text(case, "decoded"), "{case}");
        ours
    }

    fn assert_identical(&self, kind: &str, at_least: usize, beams: usize) {
        let cases = self.reference.cases(kind);
        assert!(cases.len() >= at_least, "only {} cases", cases.len());
        let mut distinct = Vec::new();
        for case in cases {
            let mut batch = Batch::new(self.marian.decoder().clone());
            batch.join((), self.search(beams), self.encode(case));
            let decoded = loop {
                if let Some(finished) = batch.step().pop() {
                    break finished.result.unwrap();
                }
            };
            distinct.push(self.assert_same(&decoded, case));
        }
        distinct.sort();
        distinct.dedup();
        println!(
            "{kind}: {} inputs, {} distinct outputs, all identical",
            cases.len(),
            distinct.len()
        );
    }
}

#[test]
fn tokens_and_texts_are_the_reference_s() {
    for loaded in all() {
        let tokenizer = loaded.marian.tokenizer();
        for case in loaded.reference.cases("texts") {
            let ids = tokenizer.encode(text(case, "text"), None).unwrap();
            assert_eq!(ids, loaded.reference.ids(case, "ids"), "{case}");
            let decoded = tokenizer.decode(&loaded.reference.ids(case, "decoded_ids"));
            assert_eq!(decoded, text(case, "decoded"), "{case}");
        }
    }
}

#[test]
fn logits_are_the_reference_s() {
    for Loaded { reference, marian } in all() {
        for case in reference.cases("logits") {
            let source = reference.ids(case, "source");
            let cross = marian.encode(&[&source]).unwrap();
            let ids = reference.ids(case, "ids");
            let mut cache = KvCache::new(marian.decoder().dimensions());
            let mut rows = [Row {
                ids: &ids,
                cache: &mut cache,
            }];
            let output = marian.decoder().run(&mut rows, &cross).unwrap();
            let logits: Vec<f32> = (0..ids.len())
                .flat_map(|token| output.logits(0, token).unwrap())
                .copied()
                .collect();
            let (shape, theirs) = reference.f32(case, "logits");
            assert_eq!(shape, [ids.len(), logits.len() / ids.len()]);
            let (absolute, relative) = difference(&logits, &theirs);
            println!(
                "logits of {} tokens: differ by {absolute:.1e}, {relative:.1e} relative",
                ids.len()
            );
            assert!(relative <= 1e-3, "logits differ by {relative}");
        }
    }
}

#[test]
fn greedy_ids_are_the_reference_s() {
    for loaded in all() {
        loaded.assert_identical("greedy", 50, 1);
    }
}

#[test]
fn beam_ids_are_the_reference_s() {
    for loaded in all() {
        loaded.assert_identical("beam", 20, 4);
    }
}

#[test]
fn a_padded_batch_gives_what_single_sources_give() {
    for Loaded { reference, marian } in all() {
        let cases = &reference.cases("greedy")[..8];
        let sources: Vec<Vec<i64>> = cases.iter().map(|c| reference.ids(c, "source")).collect();
        let sources: Vec<&[i64]> = sources.iter().map(Vec::as_slice).collect();
        let decoder = marian.decoder();
        // Targets of different lengths, then one more token each: padded pasts as well.
        let targets: Vec<Vec<i64>> = (0..8)
            .map(|row| (1..=2 + row % 3).map(|at| 40 * at + row).collect())
            .collect();
        let targets: Vec<&[i64]> = targets.iter().map(Vec::as_slice).collect();
        let run = |caches: &mut [KvCache], ids: &[&[i64]], cross: &[Arc<CrossStates>]| {
            let mut rows: Vec<Row<'_>> = caches
                .iter_mut()
                .zip(ids)
                .map(|(cache, &ids)| Row { ids, cache })
                .collect();
            decoder.run(&mut rows, cross).unwrap()
        };
        let together = marian.encode(&sources).unwrap();
        let mut caches = vec![KvCache::new(decoder.dimensions()); 8];
        let first = run(&mut caches, &targets, &together);
        let second = run(&mut caches, &[&[77_i64][..]; 8], &together);
        let mut worst = 0.0_f32;
        for row in 0..8 {
            let single = marian.encode(&sources[row..=row]).unwrap();
            let mut cache = [KvCache::new(decoder.dimensions())];
            let one = run(&mut cache, &targets[row..=row], &single);
            let two = run(&mut cache, &[&[77]], &single);
            for token in 0..targets[row].len() {
                let ours = first.logits(row, token).unwrap();
                worst = worst.max(difference(ours, one.logits(0, token).unwrap()).1);
            }
            let ours = second.logits(row, 0).unwrap();
            worst = worst.max(difference(ours, two.logits(0, 0).unwrap()).1);
        }
        println!("a batch of 8 differs from singles by {worst:.1e} relative");
        // The order of additions differs; what is masked would show as far more.
        assert!(worst <= 1e-3, "batched logits differ by {worst}");
    }
}

#[test]
fn sequences_that_join_and_leave_decode_as_they_do_alone() {
    for loaded in all() {
        let reference = &loaded.reference;
        let greedy = reference.cases("greedy").iter().take(12);
        let beam = reference.cases("beam").iter().take(4);
        let mut cases: Vec<(&Value, usize)> = greedy.map(|case| (case, 1)).collect();
        // Between the greedy ones.
        for (at, case) in beam.enumerate() {
            cases.insert(1 + 3 * at, (case, 4));
        }
        let sources: Vec<Vec<i64>> = cases
            .iter()
            .map(|(case, _)| reference.ids(case, "source"))
            .collect();
        let sources: Vec<&[i64]> = sources.iter().map(Vec::as_slice).collect();
        let crosses = loaded.marian.encode(&sources).unwrap();
        let mut batch = Batch::new(loaded.marian.decoder().clone());
        let (mut next, mut done, mut step) = (0, 0, 0);
        while next < cases.len() || !batch.is_empty() {
            if next < cases.len() && batch.len() < 5 {
                batch.join(next, loaded.search(cases[next].1), crosses[next].clone());
                // One that is taken out again.
                batch.join(1000 + next, loaded.search(1), crosses[0].clone());
                next += 1;
            }
            step += 1;
            if step % 2 == 0 && next > 0 {
                let _ = batch.leave(&(1000 + next - 1));
            }
            for finished in batch.step() {
                let Some((case, _)) = cases.get(finished.key) else {
                    continue;
                };
                loaded.assert_same(&finished.result.unwrap(), case);
                done += 1;
            }
        }
        assert_eq!(done, cases.len());
    }
}
