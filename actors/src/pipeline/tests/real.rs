//! The whole pipeline with the real engines, in real time, on a sentence that flite says.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hive_media::audio::opus::{Encoder, EncoderConfig};
use hive_media::audio::resample::Up;
use hive_media::audio::{EncodedFrame, FRAME};
use hive_models::Lang;

use super::rig::Recorder;
use crate::device::{Device, DeviceActor};
use crate::events::EventBus;
use crate::events::schema::{CaptionKind, EventBody};
use crate::pipeline::journal::{Journal, Speaker};
use crate::pipeline::{ingest, mt, stage, stt, tts, vad};
use crate::service::engines;
use crate::settings::{EngineSettings, ServiceSettings};
use crate::supervision::{ChildSpec, RootOptions, Strategy, start_root};

const TEXT: &str = "the meeting starts at nine and we will talk about the new project";

/// A sentence at 16 kHz, with silence around it.
fn flite(text: &str) -> Vec<f32> {
    let path = std::env::temp_dir().join(format!("hive-flite-{}.wav", std::process::id()));
    let said = Command::new("flite")
        .args(["-voice", "slt", "-t", text, "-o"])
        .arg(&path)
        .status();
    assert!(
        said.is_ok_and(|status| status.success()),
        "Debian's package `flite` has to be installed"
    );
    let wav = std::fs::read(&path).expect("flite wrote a file");
    let _ = std::fs::remove_file(&path);
    let samples = wav[44..].chunks_exact(2);
    let voice = samples.map(|s| f32::from(i16::from_le_bytes([s[0], s[1]])) / 32768.0);
    let silence = || std::iter::repeat_n(0.0, 12_800);
    silence().chain(voice).chain(silence()).collect()
}

#[test]
fn english_goes_in_and_spanish_comes_out() {
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../.deps").into();
    actix::System::new().block_on(async {
        let settings = ServiceSettings {
            engines: EngineSettings {
                assets,
                decoders: 1,
                ..EngineSettings::default()
            },
            ..ServiceSettings::default()
        };
        let device = Device::new(settings.device.clone());
        let engines = engines(&settings, &device)
            .await
            .expect("the engines are installed");
        while !engines.recognisers[&Lang::EN].is_ready() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let bus = Arc::new(EventBus::new("room".into()));
        let mut events = bus.receiver();
        let speaker = Speaker {
            identity: "ann".into(),
            lang: Lang::EN,
        };
        let journal = Arc::new(Journal::new(
            speaker,
            settings.pipeline.clone(),
            bus,
            Arc::default(),
        ));
        let recorder = Arc::new(Recorder::default());
        journal.set_listening(true);
        journal.set_recognising(true);
        journal.open_language(Lang::ES, Some(recorder.clone()));
        let cpu = ChildSpec::worker("cpu", move |child| DeviceActor::new(device.clone(), child));
        let speech = settings.pipeline.speech.clone();
        let recogniser = engines.recognisers[&Lang::EN].clone();
        let root = start_root(
            stage::lenient("pipeline")
                .strategy(Strategy::RestForOne)
                .child(cpu)
                .child(ingest::spec(journal.clone(), engines.frames.clone()))
                .child(vad::spec(journal.clone(), engines.vad.clone()))
                .child(stt::spec(journal.clone(), recogniser, engines.stt.clone()))
                .child(mt::spec(
                    journal.clone(),
                    engines.translate.clone(),
                    Lang::ES,
                ))
                .child(tts::spec(
                    journal.clone(),
                    engines.voices.clone(),
                    speech,
                    Lang::ES,
                )),
            RootOptions {
                arbiters: 1,
                ..RootOptions::default()
            },
        );
        root.ready().await.expect("the stages start");

        let mut pcm48 = Vec::new();
        let mut up = Up::new(16_000).expect("16 kHz can be resampled");
        up.stream().push(&flite(TEXT), &mut pcm48);
        let mut encoder = Encoder::new(EncoderConfig::default()).expect("an encoder");
        let start = tokio::time::Instant::now();
        for (i, frame) in pcm48.chunks_exact(FRAME).enumerate() {
            tokio::time::sleep_until(start + Duration::from_millis(20 * i as u64)).await;
            let payload = encoder
                .encode(frame.try_into().expect("a frame"))
                .expect("encodes");
            let (seq, timestamp) = (i as u16, i as u32 * FRAME as u32);
            journal.push_packet(EncodedFrame {
                seq,
                timestamp,
                payload,
                arrival: Instant::now(),
            });
        }
        let (mut english, mut spanish) = (Vec::new(), String::new());
        while spanish.is_empty() || english.is_empty() {
            let event = tokio::time::timeout(Duration::from_secs(60), events.recv()).await;
            let event = event
                .expect("the sentence is interpreted")
                .expect("events are read in time");
            let EventBody::Caption(caption) = &event.body else {
                continue;
            };
            match (caption.kind, caption.translated) {
                (CaptionKind::Final, false) => {
                    english.extend(caption.words.iter().map(|word| word.text.clone()));
                }
                (CaptionKind::Final, true) => {
                    spanish.push_str(caption.text.as_deref().unwrap_or_default());
                }
                _ => {}
            }
        }
        let expected: Vec<&str> = TEXT.split(' ').collect();
        let right = expected
            .iter()
            .filter(|word| english.iter().any(|heard| heard == *word))
            .count();
        assert!(right * 4 >= expected.len() * 3, "{english:?}");
        assert!(spanish.to_lowercase().contains("proyecto"), "{spanish}");
        while !recorder
            .heard
            .lock()
            .clauses
            .iter()
            .any(|clause| clause.2 == 1)
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let samples = recorder.heard.lock().clauses[0].1.len();
        assert!(samples > 48_000, "{samples} samples of Spanish");
        root.shutdown().await;
    });
}
