//! The mix of a language channel and its clock.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use hive_media::TrackId;
use hive_media::audio::level::audio_level_dbov;
use hive_media::audio::mixer::{ChannelMixer, ClauseEvent, ClauseId, MixerConfig, SpeakerId};
use hive_media::audio::opus::{CreateCodecError, Encoder, EncoderConfig};
use hive_media::audio::{FRAME, RATE};
use hive_models::Lang;
use parking_lot::Mutex;

use super::{ChannelInput, SpokenClause};
use crate::events::schema::{EventBody, Speech, SpeechKind};
use crate::events::{EventBus, unix_ms};
use crate::pipeline::bell::Bell;
use crate::settings::ChannelSettings;
use crate::telemetry;

/// The length of a frame.
const TICK: Duration = Duration::from_millis(20);

/// Frames made at once to catch up; what is missing beyond them is skipped on the clock, as a burst
/// of old sound helps nobody.
const MAX_CATCH_UP: u64 = 10;

/// Frames of silence after the last sound of a voice, for the decoder to come to rest and for the FEC
/// of the last sound to be sent.
const AFTERGLOW: u32 = 10;

/// Where a channel's Opus frames go.
pub(crate) trait FrameSink: Send {
    /// Takes a frame with its 48 kHz timestamp and its level in −dBov (RFC 6464).
    fn write(&self, payload: Bytes, timestamp: u32, level: u8);
}

/// A language channel of a room.
pub(crate) struct Channel {
    lang: Lang,
    track: TrackId,
    bus: Arc<EventBus>,
    settings: ChannelSettings,
    /// What wakes the channel, if it rests while the interpreter says nothing.
    wake: Option<Bell>,
    sink: Mutex<Box<dyn FrameSink>>,
    mix: Mutex<Mix>,
}

struct Mix {
    mixer: ChannelMixer,
    clock: Option<Clock>,
    /// Frames to make before the channel rests.
    awake: u32,
    /// Whether it rested since the last frame.
    rested: bool,
    speakers: BTreeMap<Arc<str>, SpeakerId>,
    /// Speakers who left and are forgotten once they have been interpreted to the end.
    leaving: BTreeSet<Arc<str>>,
    next_speaker: u64,
    clauses: BTreeMap<ClauseId, SpokenClause>,
    next_clause: u64,
}

/// Frame `n` leaves `n` × 20 ms after the start, exactly, however late the thread is.
#[derive(Clone, Copy)]
struct Clock {
    start: Instant,
    wall: SystemTime,
    frames: u64,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({}, {})", self.lang, self.track)
    }
}

impl Channel {
    pub(crate) fn new(
        lang: Lang,
        track: TrackId,
        sink: Box<dyn FrameSink>,
        bus: Arc<EventBus>,
        settings: ChannelSettings,
    ) -> Self {
        let config = MixerConfig {
            duck_db: settings.duck_db,
            ..MixerConfig::default()
        };
        let mix = Mix {
            mixer: ChannelMixer::new(config),
            clock: None,
            awake: 0,
            rested: false,
            speakers: BTreeMap::new(),
            leaving: BTreeSet::new(),
            next_speaker: 0,
            clauses: BTreeMap::new(),
            next_clause: 0,
        };
        Channel {
            lang,
            track,
            bus,
            settings,
            wake: None,
            sink: Mutex::new(sink),
            mix: Mutex::new(mix),
        }
    }

    /// The same channel, which carries no floor, and makes no frames while it has nothing to say.
    pub(crate) fn resting(mut self, wake: Bell) -> Self {
        self.wake = Some(wake);
        self
    }

    /// Whether there is nothing to be said until the bell rings.
    pub(crate) fn rests(&self) -> bool {
        self.wake.is_some() && self.mix.lock().awake == 0
    }

    /// The language.
    pub(crate) fn lang(&self) -> Lang {
        self.lang
    }

    /// The track that listeners subscribe to.
    pub(crate) fn track(&self) -> TrackId {
        self.track
    }

    /// A fresh encoder, one for each incarnation of the actor.
    pub(crate) fn encoder(&self) -> Result<Encoder, CreateCodecError> {
        Encoder::new(EncoderConfig {
            bitrate: self.settings.bitrate.unsigned_abs(),
            expected_loss: self.settings.expected_loss,
            ..EncoderConfig::default()
        })
    }

    /// Makes and sends every frame that is due at `now`. Gives when the next one is, unless the
    /// channel rests.
    pub(crate) fn tick(&self, encoder: &mut Encoder, now: Instant) -> Option<Instant> {
        let mut pcm = [0.0; FRAME];
        loop {
            let timestamp = match self.mix_frame(&mut pcm, now) {
                Ok(timestamp) => timestamp,
                Err(next) => return next,
            };
            match encoder.encode(&pcm) {
                Ok(payload) => {
                    self.sink
                        .lock()
                        .write(payload, timestamp, audio_level_dbov(&pcm[..]));
                }
                Err(error) => {
                    tracing::warn!(lang = %self.lang, %error, "a frame of a channel was not encoded");
                }
            }
        }
    }

    /// Mixes the next frame if it is due and gives its timestamp, or when it will be. Only the mixing
    /// itself is done under the lock that the pipelines need.
    fn mix_frame(&self, pcm: &mut [f32; FRAME], now: Instant) -> Result<u32, Option<Instant>> {
        let mix = &mut *self.mix.lock();
        if self.wake.is_some() && mix.awake == 0 {
            mix.rested = true;
            return Err(None);
        }
        let clock = mix.clock.get_or_insert(Clock {
            start: now,
            wall: SystemTime::now(),
            frames: 0,
        });
        let due =
            (now.saturating_duration_since(clock.start).as_millis() / TICK.as_millis()) as u64 + 1;
        // What was not said while the channel rested is skipped, as what is missing for long is.
        let catch_up = if std::mem::take(&mut mix.rested) {
            1
        } else {
            MAX_CATCH_UP
        };
        clock.frames = clock.frames.max(due.saturating_sub(catch_up));
        if clock.frames >= due {
            let next = clock.start + Duration::from_millis(20 * clock.frames);
            return Err(Some(next));
        }
        let at = *clock;
        clock.frames += 1;
        for mark in mix.mixer.mix(pcm) {
            let (kind, offset) = match mark.event {
                ClauseEvent::First { offset } => (SpeechKind::Started, offset),
                ClauseEvent::Last { offset } => (SpeechKind::Finished, offset),
                ClauseEvent::Cancelled { .. } => (SpeechKind::Cancelled, FRAME - 1),
                ClauseEvent::Empty => {
                    mix.clauses.remove(&mark.clause);
                    continue;
                }
            };
            let Some(clause) = mix.clauses.get(&mark.clause) else {
                continue;
            };
            if kind == SpeechKind::Started
                && let Some(heard) = clause.heard
            {
                telemetry::first_sound(self.lang, now.saturating_duration_since(heard));
            }
            self.tell(kind, clause, &at, offset);
            if kind != SpeechKind::Started {
                mix.clauses.remove(&mark.clause);
            }
        }
        mix.forget_who_left();
        if mix.speakers.values().all(|id| mix.mixer.backlog(*id) == 0) {
            mix.awake = mix.awake.saturating_sub(1);
        }
        Ok(at.timestamp())
    }

    /// Forgets a speaker who left, once they have been interpreted to the end.
    pub(crate) fn leave(&self, speaker: &Arc<str>) {
        self.mix.lock().leaving.insert(speaker.clone());
    }

    /// How long the interpreter will go on with what there is of the speaker.
    pub(crate) fn backlog_of(&self, speaker: &Arc<str>) -> Duration {
        let mix = self.mix.lock();
        let samples = mix
            .speakers
            .get(speaker)
            .map_or(0, |id| mix.mixer.backlog(*id));
        Duration::from_secs_f64(samples as f64 / f64::from(RATE))
    }

    #[cfg(test)]
    pub(crate) fn speakers(&self) -> usize {
        self.mix.lock().speakers.len()
    }

    fn wake(&self, mix: &mut Mix) {
        if let Some(bell) = &self.wake {
            mix.awake = AFTERGLOW;
            bell.ring();
        }
    }

    fn tell(&self, kind: SpeechKind, clause: &SpokenClause, clock: &Clock, offset: usize) {
        telemetry::speech(kind);
        self.bus.emit(EventBody::Speech(Speech {
            kind,
            lang: self.lang.to_string(),
            clause: clause.clause.clone(),
            utterance: clause.utterance.clone(),
            speaker: clause.speaker.clone(),
            ntp_ms: clock.wall_ms() + offset as f64 * 1e3 / f64::from(RATE),
            rtp: clock.timestamp().wrapping_add(offset as u32),
            track: self.track.0,
        }));
    }
}

impl ChannelInput for Channel {
    fn floor(&self, speaker: &Arc<str>, pcm48: &[f32]) {
        let mix = &mut *self.mix.lock();
        let id = mix.speaker(speaker);
        if let Err(error) = mix.mixer.push_floor(id, pcm48) {
            tracing::debug!(%speaker, %error, "the floor of a speaker is not mixed");
        }
    }

    fn speak(&self, clause: &SpokenClause, pcm48: &[f32], last: bool) {
        let mix = &mut *self.mix.lock();
        let speaker = mix.speaker(&clause.speaker);
        let known = mix
            .clauses
            .iter()
            .find(|(_, known)| known.clause == clause.clause);
        let id = match known {
            Some((id, _)) => *id,
            None => {
                let id = ClauseId(mix.next_clause);
                mix.next_clause += 1;
                if let Err(error) = mix.mixer.begin_clause(speaker, id) {
                    tracing::warn!(clause = %clause.clause, %error, "a clause is not spoken");
                    return;
                }
                mix.clauses.insert(id, clause.clone());
                id
            }
        };
        let pushed = mix.mixer.push_clause(speaker, id, pcm48);
        let ended = if last {
            mix.mixer.end_clause(speaker, id)
        } else {
            Ok(())
        };
        if let Err(error) = pushed.and(ended) {
            tracing::warn!(clause = %clause.clause, %error, "a part of a clause is not spoken");
        }
        self.wake(mix);
    }

    fn cancel_stale(&self, speaker: &Arc<str>, before_ms: f64, waiting: &[SpokenClause]) {
        let mix = &mut *self.mix.lock();
        let id = mix.speaker(speaker);
        for (clause, known) in &mix.clauses {
            if known.speaker == *speaker && known.source_end_ms < before_ms {
                mix.mixer.cancel_clause(id, *clause);
            }
        }
        self.wake(mix);
        let Some(clock) = mix.clock else { return };
        let begun = |clause: &SpokenClause| mix.clauses.values().any(|k| k.clause == clause.clause);
        for clause in waiting.iter().filter(|clause| !begun(clause)) {
            self.tell(SpeechKind::Cancelled, clause, &clock, 0);
        }
    }

    fn backlog(&self, speaker: &Arc<str>) -> Duration {
        self.backlog_of(speaker)
    }
}

impl Mix {
    fn speaker(&mut self, speaker: &Arc<str>) -> SpeakerId {
        self.leaving.remove(speaker);
        if let Some(id) = self.speakers.get(speaker) {
            return *id;
        }
        let id = SpeakerId(self.next_speaker);
        self.next_speaker += 1;
        self.speakers.insert(speaker.clone(), id);
        id
    }

    fn forget_who_left(&mut self) {
        if self.leaving.is_empty() {
            return;
        }
        let (mixer, speakers) = (&mut self.mixer, &mut self.speakers);
        self.leaving.retain(|speaker| {
            let Some(id) = speakers.get(speaker) else {
                return false;
            };
            if mixer.backlog(*id) > 0 {
                return true;
            }
            mixer.remove(*id);
            speakers.remove(speaker);
            false
        });
    }
}

impl Clock {
    /// The 48 kHz timestamp of the present frame; wraps.
    fn timestamp(&self) -> u32 {
        (self.frames * FRAME as u64) as u32
    }

    fn wall_ms(&self) -> f64 {
        unix_ms(self.wall) + (self.frames * TICK.as_millis() as u64) as f64
    }
}
