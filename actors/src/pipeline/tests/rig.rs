//! A pipeline with scripted engines, somebody who speaks into it, and what comes out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hive_media::audio::EncodedFrame;
use hive_models::Lang;
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::engines::{FRAME16, Loudness, Prefixer, Readers, Speller, Unpacker};
use crate::channel::{ChannelInput, SpokenClause};
use crate::device::{Device, QueueSpec};
use crate::engines::Engines;
use crate::events::EventBus;
use crate::events::schema::{Caption, CaptionKind, EventBody, RoomEvent};
use crate::pipeline::journal::{Journal, Speaker};
use crate::pipeline::stt::SttModel;
use crate::pipeline::vad::VadModel;
use crate::pipeline::{ingest, mt, stage, stt, tts, vad};
use crate::settings::{ClauseSettings, DeviceSettings, PipelineSettings, SttSettings};
use crate::supervision::{RootOptions, Strategy, SupervisorHandle, start_root};

/// Runs a test on a paused clock.
pub(crate) fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    actix::System::new().block_on(async {
        tokio::time::pause();
        test.await
    })
}

/// Scripted engines, and what they are scripted by.
pub(super) fn scripted() -> (Engines, Readers, Arc<Prefixer>) {
    let device = Device::inline(DeviceSettings::default());
    let readers = Readers::default();
    let prefixer = Arc::new(Prefixer::default());
    let engines = Engines {
        frames: Arc::new(|| Ok(Box::new(Unpacker::default()))),
        vad: device.queue(QueueSpec {
            name: "vad",
            load: Box::new(|| Ok(VadModel(Arc::new(Loudness)))),
            batch_max: 8,
            batch_wait: Duration::ZERO,
        }),
        stt: device.queue(QueueSpec {
            name: "stt",
            load: Box::new(|| Ok(SttModel)),
            batch_max: 1,
            batch_wait: Duration::ZERO,
        }),
        recognisers: [(Lang::EN, Arc::new(readers.clone()) as _)].into(),
        translate: prefixer.clone(),
        voices: Arc::new(Speller),
    };
    (engines, readers, prefixer)
}

/// Packets of samples, 20 ms each, of which `said` were before.
pub(crate) fn packets(samples: &[f32], said: u32) -> impl Iterator<Item = EncodedFrame> {
    samples.chunks(FRAME16).zip(said..).map(|(samples, said)| {
        let bytes = samples.iter().flat_map(|sample| sample.to_le_bytes());
        EncodedFrame {
            seq: said as u16,
            timestamp: 5_000 + said * 960,
            payload: bytes.collect::<Vec<u8>>().into(),
            arrival: Instant::now().into_std(),
        }
    })
}

/// What a channel was given.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) heard: Mutex<Heard>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heard {
    pub(super) floor: Vec<f32>,
    /// Samples of each clause and how often its end came, in the order in which they began.
    pub(super) clauses: Vec<(String, Vec<f32>, usize)>,
    pub(super) cancelled: Vec<String>,
    pub(super) cancelled_before_ms: Vec<f64>,
}

impl ChannelInput for Recorder {
    fn floor(&self, _: &Arc<str>, pcm48: &[f32]) {
        self.heard.lock().floor.extend_from_slice(pcm48);
    }

    fn speak(&self, clause: &SpokenClause, pcm48: &[f32], last: bool) {
        let mut heard = self.heard.lock();
        let at = match heard
            .clauses
            .iter()
            .position(|known| *known.0 == *clause.clause)
        {
            Some(at) => at,
            None => {
                heard
                    .clauses
                    .push((clause.clause.to_string(), Vec::new(), 0));
                heard.clauses.len() - 1
            }
        };
        heard.clauses[at].1.extend_from_slice(pcm48);
        heard.clauses[at].2 += usize::from(last);
    }

    fn cancel_stale(&self, _: &Arc<str>, before_ms: f64, waiting: &[SpokenClause]) {
        let mut heard = self.heard.lock();
        heard.cancelled_before_ms.push(before_ms);
        heard
            .cancelled
            .extend(waiting.iter().map(|clause| clause.clause.to_string()));
    }

    fn backlog(&self, _: &Arc<str>) -> Duration {
        Duration::ZERO
    }
}

/// A running pipeline.
pub(super) struct Rig {
    pub(super) journal: Arc<Journal>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) readers: Readers,
    pub(super) prefixer: Arc<Prefixer>,
    pub(super) engines: Engines,
    pub(super) root: SupervisorHandle,
    events: broadcast::Receiver<Arc<RoomEvent>>,
    said: u32,
}

/// All that came out, as far as it may not depend on when stages were killed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Outcome {
    /// Committed words of each utterance, in order, with their times.
    pub(super) committed: BTreeMap<String, Vec<(usize, String, u64)>>,
    pub(super) finals: Vec<(String, Vec<String>)>,
    /// Final translations of each clause.
    pub(super) translated: Vec<(String, String)>,
    /// Stable words of each clause, in order.
    pub(super) stable: BTreeMap<String, Vec<(usize, String)>>,
    pub(super) heard: Heard,
}

pub(super) const STAGES: [&str; 5] = ["ingest", "vad", "stt", "mt:es", "tts:es"];

impl Rig {
    /// Starts all stages, into Spanish.
    pub(super) async fn start() -> Rig {
        let rig = Rig::idle().await;
        rig.journal.set_listening(true);
        rig.journal.set_recognising(true);
        rig.journal
            .set_floors(&[(Lang::ES, rig.recorder.clone() as _)]);
        rig.journal
            .open_language(Lang::ES, Some(rig.recorder.clone()));
        let recognisers = rig.engines.recognisers[&Lang::EN].clone();
        let speech = PipelineSettings::default().speech;
        for spec in [
            ingest::spec(rig.journal.clone(), rig.engines.frames.clone()),
            vad::spec(rig.journal.clone(), rig.engines.vad.clone()),
            stt::spec(rig.journal.clone(), recognisers, rig.engines.stt.clone()),
            mt::spec(rig.journal.clone(), rig.engines.translate.clone(), Lang::ES),
            tts::spec(
                rig.journal.clone(),
                rig.engines.voices.clone(),
                speech,
                Lang::ES,
            ),
        ] {
            rig.root.start_child(spec).await.expect("the stage starts");
        }
        rig
    }

    /// Starts a supervisor without stages.
    pub(super) async fn idle() -> Rig {
        let bus = Arc::new(EventBus::new("room".into()));
        let events = bus.receiver();
        // The tests count on these, so they do not follow the defaults.
        let settings = PipelineSettings {
            stt: SttSettings {
                step: Duration::from_millis(96),
                hold: Duration::ZERO,
            },
            clause: ClauseSettings {
                max_words: 6,
                min_words: 4,
                ..ClauseSettings::default()
            },
            ..PipelineSettings::default()
        };
        let speaker = Speaker {
            identity: "ann".into(),
            lang: Lang::EN,
        };
        let journal = Arc::new(Journal::new(speaker, settings, bus, Arc::default()));
        let (engines, readers, prefixer) = scripted();
        let pipeline = stage::lenient("pipeline")
            .strategy(Strategy::RestForOne)
            .intensity(1_000_000, Duration::from_secs(1));
        let root = start_root(pipeline, RootOptions::default());
        root.ready().await.expect("the root is up");
        let recorder = Arc::new(Recorder::default());
        Rig {
            journal,
            recorder,
            readers,
            prefixer,
            engines,
            root,
            events,
            said: 0,
        }
    }

    /// Speaks in real (virtual) time, 20 ms a packet.
    pub(super) async fn speak(&mut self, samples: &[f32]) {
        for packet in packets(samples, self.said) {
            self.journal.push_packet(packet);
            self.said += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The events so far.
    pub(super) fn events(&mut self) -> Vec<Arc<RoomEvent>> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// Stops all and gives what came out.
    pub(super) async fn finish(mut self) -> Outcome {
        self.root.shutdown().await;
        let heard = self.recorder.heard.lock().clone();
        let mut outcome = Outcome {
            heard,
            ..Outcome::default()
        };
        for event in self.events() {
            if let EventBody::Caption(caption) = &event.body {
                outcome.take(caption);
            }
        }
        outcome
    }
}

impl Outcome {
    fn take(&mut self, caption: &Caption) {
        let texts = || {
            caption
                .words
                .iter()
                .map(|word| word.text.clone())
                .collect::<Vec<_>>()
        };
        match (caption.translated, caption.kind) {
            (_, CaptionKind::Partial) => {}
            (false, CaptionKind::Committed) => {
                let words = caption.words.iter();
                let words = words.map(|w| (w.i, w.text.clone(), w.start_ms.unwrap_or(0.0) as u64));
                self.committed
                    .entry(caption.utterance.to_string())
                    .or_default()
                    .extend(words);
            }
            (false, CaptionKind::Final) => {
                self.finals.push((caption.utterance.to_string(), texts()))
            }
            (true, CaptionKind::Committed) => {
                let clause = caption.clause.as_deref().unwrap_or_default().to_owned();
                let words = caption.words.iter().map(|word| (word.i, word.text.clone()));
                self.stable.entry(clause).or_default().extend(words);
            }
            (true, CaptionKind::Final) => {
                let clause = caption.clause.as_deref().unwrap_or_default().to_owned();
                self.translated
                    .push((clause, caption.text.clone().unwrap_or_default()));
            }
        }
    }
}
