//! Stages are killed at any instant: nothing is lost, doubled or changed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::engines::{pause, say};
use super::rig::{Outcome, Rig, STAGES, in_virtual_time};

/// A short utterance, one that is cut into clauses, and a short one; pauses short enough to be one
/// turn, so that barge-in has no part in it.
fn speech() -> Vec<f32> {
    [
        pause(200),
        say(1..4),
        pause(300),
        say(4..21),
        pause(400),
        say(21..25),
        pause(600),
    ]
    .concat()
}

/// Kills stages at times, and gives what came out.
async fn run(kills: Vec<(Duration, &'static str)>) -> Outcome {
    let mut rig = Rig::start().await;
    let root = rig.root.clone();
    let killer = actix::spawn(async move {
        let start = tokio::time::Instant::now();
        for (at, stage) in kills {
            tokio::time::sleep_until(start + at).await;
            // One that is just being restarted cannot be killed; that is as good.
            let _ = root.kill(&crate::supervision::ChildPath::root("pipeline").join(stage));
        }
    });
    rig.speak(&speech()).await;
    killer.await.expect("the killer does not panic");
    // Restarted stages may be behind.
    tokio::time::sleep(Duration::from_secs(20)).await;
    rig.finish().await
}

fn assert_whole(outcome: &Outcome) {
    let committed: Vec<String> = outcome
        .committed
        .values()
        .flatten()
        .map(|(_, text, _)| text.clone())
        .collect();
    let expected: Vec<String> = (1..25)
        .map(|id| {
            format!(
                "w{id}c{}",
                if id < 4 {
                    0
                } else if id < 21 {
                    1
                } else {
                    2
                }
            )
        })
        .collect();
    assert_eq!(committed, expected);
    for (utterance, words) in &outcome.finals {
        let shown: Vec<String> = outcome.committed[utterance]
            .iter()
            .map(|word| word.1.clone())
            .collect();
        assert_eq!(*words, shown, "the final is what was committed");
    }
    for (utterance, words) in &outcome.committed {
        let indices: Vec<usize> = words.iter().map(|word| word.0).collect();
        assert_eq!(indices, (0..words.len()).collect::<Vec<_>>(), "{utterance}");
    }
    let translated: Vec<String> = outcome
        .translated
        .iter()
        .flat_map(|(_, text)| text.split(' ').map(str::to_owned))
        .collect();
    let expected: Vec<String> = expected.iter().map(|word| format!("es:{word}")).collect();
    assert_eq!(translated, expected);
    for (clause, text) in &outcome.translated {
        let shown: Vec<&str> = outcome.stable[clause]
            .iter()
            .map(|word| word.1.as_str())
            .collect();
        assert_eq!(
            shown.join(" "),
            *text,
            "what was shown as stable became the final translation"
        );
    }
    let spoken: Vec<&String> = outcome
        .heard
        .clauses
        .iter()
        .map(|clause| &clause.0)
        .collect();
    let clauses: Vec<&String> = outcome.translated.iter().map(|clause| &clause.0).collect();
    assert_eq!(spoken, clauses, "every clause is spoken once and in order");
    assert!(outcome.heard.clauses.iter().all(|clause| clause.2 == 1));
}

#[test]
fn an_undisturbed_run_says_every_word_once() {
    let outcome = in_virtual_time(run(Vec::new()));
    assert_whole(&outcome);
    assert_eq!(outcome.finals.len(), 3);
    assert!(
        outcome.translated.len() > 4,
        "the long utterance is cut: {:?}",
        outcome.translated
    );
    assert_eq!(outcome.heard.floor.len(), speech().len() * 3);
}

#[test]
fn each_stage_is_killed_at_every_step_and_everything_comes_out_the_same() {
    let undisturbed = in_virtual_time(run(Vec::new()));
    for stage in STAGES {
        for step in 0..60 {
            // Steps of 131 ms and a drifting offset hit every phase of the 20 ms and 96 ms cycles.
            let at = Duration::from_micros(150_000 + step * 131_377);
            let outcome = in_virtual_time(run(vec![(at, stage)]));
            assert!(
                outcome == undisturbed,
                "{stage} killed at {at:?}: {outcome:#?}"
            );
        }
    }
}

#[test]
fn seeded_storms_of_kills_change_nothing() {
    let undisturbed = in_virtual_time(run(Vec::new()));
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut at = Duration::ZERO;
        let mut kills = Vec::new();
        let most = [40, 200, 1000][seed as usize % 3];
        while at < Duration::from_secs(9) {
            at += Duration::from_micros(random.random_range(500..most * 1000));
            kills.push((at, STAGES[random.random_range(0..STAGES.len())]));
        }
        let outcome = in_virtual_time(run(kills));
        assert!(outcome == undisturbed, "seed {seed}: {outcome:#?}");
    }
}
