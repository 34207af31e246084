//! A speaker who starts again silences what is stale of their interpreter, and a turn is not cut.

use super::engines::{pause, say};
use super::rig::{Rig, in_virtual_time};

#[test]
fn a_speaker_who_starts_again_after_a_silence_cancels_what_they_said_before_it() {
    in_virtual_time(async {
        let mut rig = Rig::start().await;
        rig.speak(&[pause(200), say(1..4), pause(1_500), say(4..5)].concat())
            .await;
        let heard = rig.recorder.heard.lock().clone();
        // 200 ms of silence, 900 ms of words and 1500 ms of silence: the voice is back at 2600 ms, and
        // known to be after two windows of it.
        let [first, before_ms] = heard.cancelled_before_ms[..] else {
            panic!("{heard:?}")
        };
        assert!(
            first < 0.0,
            "the first start finds nothing that could be stale"
        );
        assert!(
            (2_600.0 + 32.0 - 600.0..=2_600.0 + 96.0 - 600.0).contains(&before_ms),
            "{before_ms}"
        );
        rig.finish().await;
    });
}

#[test]
fn a_short_pause_is_part_of_the_turn() {
    in_virtual_time(async {
        let mut rig = Rig::start().await;
        rig.speak(
            &[
                pause(200),
                say(1..4),
                pause(400),
                say(4..8),
                pause(400),
                say(8..9),
            ]
            .concat(),
        )
        .await;
        let cancelled = rig.recorder.heard.lock().cancelled_before_ms.len();
        assert_eq!(
            cancelled, 1,
            "only the very first start, which cancels nothing"
        );
        rig.finish().await;
    });
}

#[test]
fn a_clause_that_waits_to_be_spoken_is_cancelled_too_and_never_spoken() {
    in_virtual_time(async {
        let mut rig = Rig::start().await;
        rig.root.terminate_child("tts:es").await.expect("tts runs");
        rig.speak(&[pause(200), say(1..4), pause(1_500), say(4..6), pause(300)].concat())
            .await;
        assert_eq!(rig.recorder.heard.lock().cancelled, ["ann-1.0"]);
        let speech = crate::settings::SpeechSettings::default();
        let voice = rig.engines.voices.clone();
        let spec =
            crate::pipeline::tts::spec(rig.journal.clone(), voice, speech, hive_models::Lang::ES);
        rig.root.start_child(spec).await.expect("tts starts");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
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
