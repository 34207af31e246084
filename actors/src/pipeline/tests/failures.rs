//! Engines that fail: what they fail on is given up, and everything else goes on.

use std::time::Duration;

use super::engines::{pause, say};
use super::rig::{Rig, in_virtual_time};
use crate::events::schema::EventBody;

#[test]
fn a_clause_that_cannot_be_translated_is_told_and_the_next_one_is_translated() {
    in_virtual_time(async {
        let mut rig = Rig::start().await;
        rig.prefixer.poison.lock().push("w2c0".into());
        rig.speak(&[pause(200), say(1..4), pause(400), say(4..6), pause(400)].concat())
            .await;
        let told = rig.events().iter().any(
            |event| matches!(&event.body, EventBody::Error(error) if error.code == "clause_failed"),
        );
        assert!(told);
        let outcome = rig.finish().await;
        let spoken: Vec<&str> = outcome
            .heard
            .clauses
            .iter()
            .map(|clause| clause.0.as_str())
            .collect();
        assert_eq!(spoken, ["ann-2.0"]);
    });
}

#[test]
fn speech_that_fails_the_recogniser_is_given_up_after_three_tries_and_the_next_is_recognised() {
    in_virtual_time(async {
        let mut rig = Rig::start().await;
        rig.readers.faults.lock().push(3);
        rig.speak(&[pause(200), say(1..5), pause(400), say(5..8), pause(400)].concat())
            .await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let outcome = rig.finish().await;
        let first: Vec<&str> = outcome.committed["ann-1"]
            .iter()
            .map(|word| word.1.as_str())
            .collect();
        assert_eq!(first, ["w1c0"], "what was committed before stays");
        let last = outcome.finals.last().expect("an utterance came after it");
        assert!(
            last.1.ends_with(&["w6c0".into(), "w7c0".into()]),
            "{last:?}"
        );
    });
}
