//! The real server and simulated peers of `hive-loadtest` in one room. Each test file uses what it needs of it.

#![allow(
    dead_code,
    reason = "every test file is a program of its own and uses a part of this"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hive_loadtest::audio::opus::{Frame, encode_track};
use hive_loadtest::link::LinkSettings;
use hive_loadtest::peer::EventsClient;
use hive_loadtest::peer::events::{Caption, CaptionKind, Event, EventLog, SpeechKind};
use hive_loadtest::score::words::{align, errors, normalise};
use hive_loadtest::server::{HiveProcess, ServerSettings};
use hive_loadtest::speech::flite::{self, Voice};

/// A link like that of the demo, with half its delay so that tests take less time.
pub(crate) const LINK: LinkSettings = LinkSettings {
    loss: 0.02,
    delay_ms: 30.0,
    jitter_ms: 15.0,
    seed: 5,
    ..LinkSettings::ideal()
};

/// Where the engines' models are.
pub(crate) fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps")
}

/// A server that recognises `speakers` people at once.
pub(crate) async fn serve(name: &str, speakers: usize) -> HiveProcess {
    let directory = std::env::temp_dir().join(format!("hive-{name}-{}", std::process::id()));
    HiveProcess::start(&ServerSettings {
        binary: Some(env!("CARGO_BIN_EXE_hive").into()),
        assets: assets(),
        directory,
        chaos: false,
        decoders: speakers,
        max_peers: 50,
        log_level: "info".into(),
    })
    .await
    .expect("the server is ready")
}

/// A text spoken after `lead` of silence and before two seconds of it, as packets.
pub(crate) fn speech(text: &str, voice: Voice, lead: Duration) -> Vec<Frame> {
    let mut clip = flite::synthesise(text, voice).expect("flite speaks");
    clip.normalise(-23.0);
    let mut pcm = vec![0.0; (lead.as_secs_f64() * 16_000.0) as usize];
    pcm.extend(clip.pcm);
    pcm.resize(pcm.len() + 32_000, 0.0);
    encode_track(&pcm, 5).expect("libopus encodes")
}

/// Waits for something that a real server and real sockets bring about.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so().await {
        assert!(Instant::now() < deadline, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The final captions of a speaker in a language, in order.
pub(crate) fn finals(log: &EventLog, speaker: &str, lang: &str) -> Vec<Caption> {
    let captions = log
        .events
        .iter()
        .filter_map(|event| match &event.envelope.event {
            Event::Caption(caption) => Some(caption.clone()),
            _ => None,
        });
    captions
        .filter(|caption| {
            caption.kind == CaptionKind::Final && caption.speaker == speaker && caption.lang == lang
        })
        .collect()
}

/// Waits until a speaker's last clause has been spoken in a language.
pub(crate) async fn spoken(events: &EventsClient, speaker: &str, lang: &str) {
    let what = format!("the last {lang} word of {speaker}");
    until(&what, async || {
        events.with(|log| {
            let open = log.events.iter().rev().find_map(|event| match &event.envelope.event {
                Event::Vad(vad) if vad.speaker == speaker => Some(vad.speaking),
                _ => None,
            });
            let source = finals(log, speaker, "en");
            let translated = finals(log, speaker, lang);
            let heard = |clause: &Option<String>| {
                log.events.iter().any(|event| {
                    matches!(&event.envelope.event, Event::Speech(speech)
                        if Some(&speech.clause) == clause.as_ref() && speech.kind != SpeechKind::Started)
                })
            };
            open == Some(false)
                && source.last().is_some_and(|last| {
                    translated.last().is_some_and(|t| t.utterance == last.utterance)
                })
                && translated.iter().all(|caption| heard(&caption.clause))
        })
    })
    .await;
}

/// Share of words that the captions have wrong.
pub(crate) fn word_error_rate(said: &str, captions: &[Caption]) -> f64 {
    let words = |text: &str| -> Vec<String> {
        text.split_whitespace()
            .map(normalise)
            .filter(|word| !word.is_empty())
            .collect()
    };
    let said = words(said);
    let shown = captions
        .iter()
        .flat_map(|caption| &caption.words)
        .map(|word| normalise(&word.text))
        .collect::<Vec<_>>();
    errors(&align(&said, &shown)) as f64 / said.len() as f64
}
