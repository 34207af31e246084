//! What nobody wants is not made, and who comes late gets what comes from then on.

use hive_models::Lang;

use super::engines::{pause, say};
use super::rig::{Rig, in_virtual_time};
use crate::events::schema::{CaptionKind, EventBody};
use crate::pipeline::{ingest, mt, stt, tts, vad};
use crate::room::Demand;
use crate::settings::SpeechSettings;

#[test]
fn a_language_that_is_opened_in_mid_utterance_starts_with_the_clause_that_is_being_said() {
    in_virtual_time(async {
        let mut rig = Rig::idle().await;
        rig.journal.set_listening(true);
        rig.journal.set_recognising(true);
        let recogniser = rig.engines.recognisers[&Lang::EN].clone();
        for spec in [
            ingest::spec(rig.journal.clone(), rig.engines.frames.clone()),
            vad::spec(rig.journal.clone(), rig.engines.vad.clone()),
            stt::spec(rig.journal.clone(), recogniser, rig.engines.stt.clone()),
        ] {
            rig.root.start_child(spec).await.expect("the stage starts");
        }
        rig.speak(&[pause(200), say(1..4), pause(400), say(4..16)].concat())
            .await;
        assert!(
            rig.prefixer.asked.lock().is_empty(),
            "nobody listens, nothing is translated"
        );
        rig.journal
            .open_language(Lang::ES, Some(rig.recorder.clone()));
        for spec in [
            mt::spec(rig.journal.clone(), rig.engines.translate.clone(), Lang::ES),
            tts::spec(
                rig.journal.clone(),
                rig.engines.voices.clone(),
                SpeechSettings::default(),
                Lang::ES,
            ),
        ] {
            rig.root.start_child(spec).await.expect("the stage starts");
        }
        rig.speak(&[say(16..18), pause(600)].concat()).await;
        let outcome = rig.finish().await;
        let (clause, text) = &outcome.translated[0];
        assert!(
            clause.starts_with("ann-2."),
            "the utterance before is over: {clause}"
        );
        assert_ne!(clause, "ann-2.0", "its first clause is over too");
        assert!(!text.contains("es:w4c1"), "{text}");
        assert!(
            outcome
                .translated
                .last()
                .expect("translated")
                .1
                .ends_with("es:w17c1")
        );
        assert_eq!(outcome.heard.clauses.len(), outcome.translated.len());
    });
}

#[test]
fn who_comes_late_gets_the_committed_words_of_the_utterance_once() {
    in_virtual_time(async {
        let mut rig = Rig::start().await;
        rig.speak(&[pause(200), say(1..8)].concat()).await;
        let snapshot = rig.journal.snapshot().expect("an utterance is open");
        let EventBody::Caption(caption) = &snapshot.body else {
            panic!("{snapshot:?}")
        };
        assert_eq!((caption.kind, caption.from), (CaptionKind::Committed, 0));
        let texts: Vec<&str> = caption
            .words
            .iter()
            .map(|word| word.text.as_str())
            .collect();
        assert!(texts.starts_with(&["w1c0", "w2c0", "w3c0"]), "{texts:?}");
        let seen = rig.events();
        let last = seen.last().expect("events were sent");
        assert_eq!(
            snapshot.seq, last.seq,
            "the snapshot includes everything sent before it"
        );
        rig.finish().await;
    });
}

#[test]
fn audio_from_before_anybody_wanted_words_is_not_recognised() {
    in_virtual_time(async {
        let mut rig = Rig::start().await;
        rig.journal.set_recognising(false);
        rig.speak(&[pause(200), say(1..4), pause(400)].concat())
            .await;
        rig.journal.set_recognising(true);
        rig.speak(&[pause(200), say(4..6), pause(400)].concat())
            .await;
        let outcome = rig.finish().await;
        let words: Vec<&str> = outcome
            .committed
            .values()
            .flatten()
            .map(|word| word.1.as_str())
            .collect();
        assert_eq!(words, ["w4c0", "w5c0"]);
    });
}

#[test]
fn what_runs_for_a_speaker_is_what_is_wanted_of_them() {
    in_virtual_time(async {
        let engines = Rig::idle().await.engines.clone();
        let work = |demand: &Demand, lang| demand.of_speaker(lang, &engines);
        let nobody = work(&Demand::default(), Lang::EN);
        assert!(!nobody.ingest && !nobody.recognise && nobody.languages.is_empty());
        let captions = work(
            &Demand {
                captions: true,
                ..Demand::default()
            },
            Lang::EN,
        );
        assert!(captions.recognise && captions.languages.is_empty());
        let heard = Demand {
            heard: [Lang::ES].into(),
            ..Demand::default()
        };
        assert_eq!(work(&heard, Lang::EN).languages, [(Lang::ES, true)].into());
        let read = Demand {
            read: [Lang::ES].into(),
            ..Demand::default()
        };
        assert_eq!(work(&read, Lang::EN).languages, [(Lang::ES, false)].into());
        let undubbed = work(&heard, Lang::ES);
        assert!(
            undubbed.ingest && !undubbed.recognise,
            "a Spanish speaker is heard as they are"
        );
    });
}

#[test]
fn a_pipeline_is_idle_once_what_was_said_last_has_been_spoken() {
    in_virtual_time(async {
        let mut rig = Rig::start().await;
        rig.speak(&[pause(200), say(1..4), pause(100)].concat())
            .await;
        assert!(!rig.journal.is_idle(), "an utterance is open");
        rig.speak(&pause(600)).await;
        assert!(rig.journal.is_idle());
        let outcome = rig.finish().await;
        assert_eq!(outcome.heard.clauses.len(), 1);
    });
}
