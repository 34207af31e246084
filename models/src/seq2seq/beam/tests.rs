use serde::Deserialize;

use super::super::toy::{DIMENSIONS, END, Toy};
use super::super::{Batch, BeamOptions, EarlyStopping, Search, SearchOptions};

#[derive(Deserialize)]
struct File {
    max_length: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    beams: usize,
    length_penalty: f32,
    early_stopping: String,
    prompt: Vec<i64>,
    frames: f32,
    /// With the end token, where it came.
    ids: Vec<i64>,
    score: Option<f32>,
}

#[test]
fn ids_and_scores_are_those_of_transformers() {
    let file: File = serde_json::from_str(include_str!("reference.json")).unwrap();
    let mut wrong = Vec::new();
    for case in &file.cases {
        let early_stopping = match case.early_stopping.as_str() {
            "True" => EarlyStopping::WhenFull,
            "False" => EarlyStopping::Heuristic,
            _ => EarlyStopping::Never,
        };
        let options = SearchOptions {
            prompt: case.prompt.clone(),
            end: END,
            max_length: file.max_length,
            processors: Vec::new(),
            beam: (case.beams > 1).then_some(BeamOptions {
                beams: case.beams,
                length_penalty: case.length_penalty,
                early_stopping,
            }),
            keep_alignment: false,
            probe: None,
        };
        let mut batch = Batch::new(Toy::decoder());
        let search = Search::new(options, &DIMENSIONS).unwrap();
        batch.join((), search, Toy::cross(&[case.frames]));
        let decoded = loop {
            if let Some(finished) = batch.step().pop() {
                break finished.result.unwrap();
            }
        };
        let end = decoded.ended.then_some(END);
        let ids: Vec<i64> = decoded.tokens.into_iter().chain(end).collect();
        let score = case.score.unwrap_or(decoded.score);
        if ids != case.ids || (decoded.score - score).abs() > 1e-4 {
            wrong.push(format!(
                "{} beams, {}, {}, {:?}: {ids:?} {} where transformers has {:?} {score}",
                case.beams,
                case.length_penalty,
                case.early_stopping,
                case.prompt,
                decoded.score,
                case.ids
            ));
        }
    }
    let all = file.cases.len();
    assert!(
        wrong.is_empty(),
        "{} of {all}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // The reference says something about hypotheses that end, at more than one length.
    let ended = file
        .cases
        .iter()
        .filter(|case| case.ids.last() == Some(&END));
    let mut lengths: Vec<usize> = ended.map(|case| case.ids.len()).collect();
    assert!(
        lengths.len() * 2 > all,
        "only {} of {all} end",
        lengths.len()
    );
    lengths.sort_unstable();
    lengths.dedup();
    assert!(lengths.len() >= 5, "{lengths:?}");
}
