//! The logs of one speaker. They outlive the stages.
//!
//! Packets → samples → speech segments → utterances of committed words → per language: translated
//! clauses → spoken clauses. A stage reads the log before it from a cursor and appends what it made
//! together with the advance of its cursor under one lock, and the events that tell of it are sent
//! under the same lock. So wherever a stage is killed, either all of a step has happened or nothing
//! of it, and the next incarnation goes on from the cursor: nothing is lost, doubled or changed.
//!
//! Work is done outside the lock. An incarnation that was written off (its thread hung) may come
//! back with a result after its successor went on; its [`Lease`] is over, so its commit is refused.

mod anchor;
mod caption;
mod ingest;
mod language;
mod packets;
mod pcm;
mod spoken;
mod utterance;
mod vad;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hive_models::Lang;
use hive_models::stt::CmnState;
use parking_lot::Mutex;

pub(crate) use ingest::DecodedAudio;
pub(crate) use spoken::{Spoken, TtsWork};
pub(crate) use utterance::SttWork;

use super::bell::{Bell, Ears};
use crate::channel::ChannelInput;
use crate::events::EventBus;
use crate::settings::PipelineSettings;
use anchor::MediaAnchor;
use language::LanguageLog;
use packets::PacketRing;
use pcm::PcmLog;
use utterance::SttLog;
use vad::VadLog;

/// A stage of a speaker's pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Packets to samples.
    Ingest,
    /// Samples to segments.
    Vad,
    /// Segments to words.
    Stt,
    /// Words to clauses of a language.
    Mt(Lang),
    /// Clauses of a language to sound.
    Tts(Lang),
}

/// The right of one incarnation of a stage to commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    stage: Stage,
    number: u64,
}

/// Another incarnation of the stage has taken over; this one has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another incarnation of the stage has taken over")]
pub(crate) struct Fenced;

/// Who speaks, and where.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    /// Unique in the room.
    pub(crate) identity: Arc<str>,
    /// The language they speak.
    pub(crate) lang: Lang,
}

/// The logs of one speaker.
#[derive(Debug)]
pub(crate) struct Journal {
    speaker: Speaker,
    settings: PipelineSettings,
    bus: Arc<EventBus>,
    /// What the media worker touches. Its lock is only held for moments, and never while another is
    /// waited for: packets are forwarded by the thread that takes it.
    arrivals: Mutex<Arrivals>,
    log: Mutex<Log>,
    ingest: Bell,
    vad: Bell,
    stt: Bell,
    ears: [Ears; 3],
}

#[derive(Debug, Default)]
struct Arrivals {
    packets: PacketRing,
    anchor: MediaAnchor,
    /// Whether anybody wants what `ingest` makes.
    listening: bool,
}

#[derive(Debug)]
struct Log {
    /// Index of the first packet that `ingest` has not committed.
    ingested: u64,
    pcm: PcmLog,
    vad: VadLog,
    stt: SttLog,
    languages: BTreeMap<Lang, LanguageLog>,
    /// Channels of any language that want to hear this speaker.
    floors: BTreeMap<Lang, Arc<dyn ChannelInput>>,
    /// Where the next sample that no channel has heard belongs on the media clock, at 48 kHz.
    floor_next: u64,
    leases: BTreeMap<Stage, u64>,
    /// Whether anybody wants words.
    recognising: bool,
}

impl Journal {
    /// Empty logs.
    /// `utterances` counts this identity's utterances, over all their microphones, so that no two of
    /// a room have the same name.
    pub(crate) fn new(
        speaker: Speaker,
        settings: PipelineSettings,
        bus: Arc<EventBus>,
        utterances: Arc<AtomicU64>,
    ) -> Self {
        let (ingest, ingest_ears) = Bell::new("ingest");
        let (vad, vad_ears) = Bell::new("vad");
        let (stt, stt_ears) = Bell::new("stt");
        let log = Log {
            ingested: 0,
            pcm: PcmLog::default(),
            vad: VadLog::new(&settings.vad, 0),
            stt: SttLog::new(CmnState::default(), utterances),
            languages: BTreeMap::new(),
            floors: BTreeMap::new(),
            floor_next: 0,
            leases: BTreeMap::new(),
            recognising: false,
        };
        Journal {
            speaker,
            settings,
            bus,
            arrivals: Mutex::default(),
            log: Mutex::new(log),
            ingest,
            vad,
            stt,
            ears: [ingest_ears, vad_ears, stt_ears],
        }
    }

    /// Who speaks.
    pub(crate) fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// Where the stage hears that there is something new; none for a language nobody opened.
    pub(crate) fn ears(&self, stage: Stage) -> Option<Ears> {
        match stage {
            Stage::Ingest => Some(self.ears[0].clone()),
            Stage::Vad => Some(self.ears[1].clone()),
            Stage::Stt => Some(self.ears[2].clone()),
            Stage::Mt(lang) => self
                .log
                .lock()
                .languages
                .get(&lang)
                .map(|log| log.mt_ears.clone()),
            Stage::Tts(lang) => self
                .log
                .lock()
                .languages
                .get(&lang)
                .map(|log| log.tts_ears.clone()),
        }
    }

    /// Takes the stage over from the incarnation before.
    pub(crate) fn lease(&self, stage: Stage) -> Lease {
        let mut log = self.log.lock();
        let number = log.leases.entry(stage).or_default();
        *number += 1;
        Lease {
            stage,
            number: *number,
        }
    }

    /// Starts or stops to keep what `ingest` needs. Starting goes on from now: what was said while
    /// nobody wanted it is not caught up with.
    pub(crate) fn set_listening(&self, listening: bool) {
        let mut log = self.log.lock();
        let mut arrivals = self.arrivals.lock();
        if arrivals.listening == listening {
            return;
        }
        arrivals.listening = listening;
        arrivals.packets.clear();
        log.ingested = arrivals.packets.end();
    }

    /// Starts or stops to want words. Starting goes on from the sample that comes next.
    pub(crate) fn set_recognising(&self, recognising: bool) {
        let mut log = self.log.lock();
        if log.recognising == recognising {
            return;
        }
        log.recognising = recognising;
        let from = log.pcm.end();
        log.vad = VadLog::new(&self.settings.vad, from);
        log.stt.reset();
        log.trim();
    }

    /// Lets these channels hear the speaker's floor, and no others.
    pub(crate) fn set_floors(&self, channels: &[(Lang, Arc<dyn ChannelInput>)]) {
        self.log.lock().floors = channels.iter().cloned().collect();
    }

    /// Whether everything that came in has come out: nothing is being said, recognised, translated or
    /// spoken.
    pub(crate) fn is_idle(&self) -> bool {
        let languages: Vec<Lang> = {
            let log = self.log.lock();
            let read = log.ingested == self.arrivals.lock().packets.end();
            let recognised = !log.recognising || log.vad.segments.is_empty();
            if !read || !recognised || log.languages.values().any(|l| !l.clauses.is_empty()) {
                return false;
            }
            log.languages.keys().copied().collect()
        };
        languages
            .into_iter()
            .all(|lang| self.mt_next(lang).is_none())
    }

    /// Whether an utterance of this name, `<speaker>-<n>`, is remembered here.
    pub(crate) fn has(&self, utterance: &str) -> bool {
        let log = self.log.lock();
        log.stt.utterances.iter().any(|it| *it.name == *utterance)
    }

    /// Packets that were overwritten before `ingest` read them.
    pub(crate) fn packets_dropped(&self) -> u64 {
        self.arrivals.lock().packets.dropped()
    }
}

impl Log {
    fn check(&self, lease: Lease) -> Result<(), Fenced> {
        match self.leases.get(&lease.stage) {
            Some(number) if *number == lease.number => Ok(()),
            _ => Err(Fenced),
        }
    }

    /// Drops the samples that no stage will ask for again.
    fn trim(&mut self) {
        let keep = if self.recognising {
            self.stt.keep_from().min(self.vad.keep_from())
        } else {
            self.pcm.end()
        };
        self.pcm.trim(keep);
    }
}
