//! One language channel's mix: everyone on the floor, ducked under their interpreter's voice.
//!
//! [`ChannelMixer::mix`] makes 20 ms at a time and never waits: what is there is played, what is
//! not is silence. A clause that begins between two calls is heard from the first sample of the
//! next frame. Every jump between unrelated samples is faded away over 5 ms.

mod clause;
mod declick;
mod floor;
mod limiter;

use std::collections::BTreeMap;

use super::FRAME;
use clause::Voice;
use floor::Floor;
use limiter::Limiter;

/// A speaker, as the caller numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpeakerId(pub u64);

/// A spoken clause, as the caller numbers them; unique within a mixer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClauseId(pub u64);

/// How a [`ChannelMixer`] mixes. Times are in milliseconds, levels in decibels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MixerConfig {
    /// Level of a speaker's floor while their interpreter speaks, dB (−14).
    pub duck_db: f32,
    /// Time to get there, ms (50).
    pub attack_ms: f32,
    /// Time back to full level, ms (300).
    pub release_ms: f32,
    /// Most speakers that are mixed; audio of more is refused.
    pub max_speakers: usize,
    /// Most audio one speaker's interpreter may have waiting, s.
    pub max_backlog_s: u32,
}

impl Default for MixerConfig {
    fn default() -> Self {
        MixerConfig {
            duck_db: -14.0,
            attack_ms: 50.0,
            release_ms: 300.0,
            max_speakers: 64,
            max_backlog_s: 60,
        }
    }
}

/// Why audio was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    /// More speakers than the mixer is configured for.
    #[error("the channel already mixes {0} speakers; raise its limit or remove some")]
    TooManySpeakers(usize),
    /// The interpreter has said more than may wait.
    #[error("speaker {0:?} has too much interpreter audio waiting; cancel or wait")]
    Backlog(SpeakerId),
    /// The clause was never begun, or is over or cancelled.
    #[error("clause {0:?} is not open; begin it first, and stop when it is cancelled")]
    NotOpen(ClauseId),
}

/// What happened to a clause in the frame just mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClauseMark {
    /// Whose interpreter.
    pub speaker: SpeakerId,
    /// Which clause.
    pub clause: ClauseId,
    /// What happened.
    pub event: ClauseEvent,
}

/// Something that happened to a clause within a frame; offsets are samples into the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClauseEvent {
    /// Its first sample was here.
    First {
        /// 0 to 959.
        offset: usize,
    },
    /// Its last sample was here; the clause is over.
    Last {
        /// 0 to 959.
        offset: usize,
    },
    /// It ended without ever having had a sample.
    Empty,
    /// It was cancelled, and this frame held the last of its fade.
    Cancelled {
        /// Whether any of it had been heard.
        heard: bool,
    },
}

#[derive(Debug)]
struct Speaker {
    floor: Floor,
    voice: Voice,
    /// Gain of the floor, 1 when not ducked.
    duck: f32,
}

/// Mixes one language channel. See the module's documentation.
#[derive(Debug)]
pub struct ChannelMixer {
    config: MixerConfig,
    /// Gain of a ducked floor, and the factors a sample that lead there and back.
    ducked: f32,
    attack: f32,
    release: f32,
    speakers: BTreeMap<SpeakerId, Speaker>,
    limiter: Limiter,
    marks: Vec<ClauseMark>,
    scratch: Box<[f32; FRAME]>,
}

impl ChannelMixer {
    /// Makes a mixer of nobody.
    pub fn new(config: MixerConfig) -> ChannelMixer {
        let depth = config.duck_db.clamp(-96.0, 0.0);
        let per_sample = |ms: f32| {
            let samples = (ms.max(1.0) * 48.0).max(1.0);
            10f32.powf(depth / 20.0 / samples)
        };
        ChannelMixer {
            ducked: 10f32.powf(depth / 20.0),
            attack: per_sample(config.attack_ms),
            release: 1.0 / per_sample(config.release_ms),
            config,
            speakers: BTreeMap::new(),
            limiter: Limiter::new(),
            marks: Vec::new(),
            scratch: Box::new([0.0; FRAME]),
        }
    }

    /// Takes floor audio of a speaker: 48 kHz, any number of samples. It is played a small,
    /// self-adapting delay later; what is far too much is dropped from the oldest end.
    pub fn push_floor(&mut self, speaker: SpeakerId, pcm: &[f32]) -> Result<(), MixError> {
        self.speaker(speaker)?.floor.push(pcm);
        Ok(())
    }

    /// Opens a clause at the end of the speaker's queue.
    pub fn begin_clause(&mut self, speaker: SpeakerId, clause: ClauseId) -> Result<(), MixError> {
        self.speaker(speaker)?.voice.begin(clause);
        Ok(())
    }

    /// Appends audio to an open clause: 48 kHz, any number of samples, or all of it refused.
    pub fn push_clause(
        &mut self,
        speaker: SpeakerId,
        clause: ClauseId,
        pcm: &[f32],
    ) -> Result<(), MixError> {
        let limit = self.config.max_backlog_s as usize * super::RATE as usize;
        let voice = match self.speakers.get_mut(&speaker) {
            Some(speaker) => &mut speaker.voice,
            None => return Err(MixError::NotOpen(clause)),
        };
        if voice.backlog() + pcm.len() > limit {
            return Err(MixError::Backlog(speaker));
        }
        voice
            .push(clause, pcm)
            .then_some(())
            .ok_or(MixError::NotOpen(clause))
    }

    /// Says that an open clause is complete; what it has is still played.
    pub fn end_clause(&mut self, speaker: SpeakerId, clause: ClauseId) -> Result<(), MixError> {
        self.speakers
            .get_mut(&speaker)
            .is_some_and(|speaker| speaker.voice.end(clause))
            .then_some(())
            .ok_or(MixError::NotOpen(clause))
    }

    /// Cancels everything the speaker's interpreter is saying or has queued. What is being heard
    /// fades out over the next frame; a clause begun after this call may start in that frame.
    pub fn cancel(&mut self, speaker: SpeakerId) {
        if let Some(speaker) = self.speakers.get_mut(&speaker) {
            speaker.voice.cancel(None);
        }
    }

    /// Cancels one clause, in the same way; other clauses of the speaker play on.
    pub fn cancel_clause(&mut self, speaker: SpeakerId, clause: ClauseId) {
        if let Some(speaker) = self.speakers.get_mut(&speaker) {
            speaker.voice.cancel(Some(clause));
        }
    }

    /// Forgets a speaker who left; anything of theirs stops with the last frame.
    pub fn remove(&mut self, speaker: SpeakerId) {
        if let Some(gone) = self.speakers.remove(&speaker) {
            let last = gone.floor.last() * gone.duck + gone.voice.last();
            self.limiter.carry(last);
        }
    }

    /// Interpreter audio of a speaker that waits to be heard, samples at 48 kHz.
    pub fn backlog(&self, speaker: SpeakerId) -> usize {
        self.speakers
            .get(&speaker)
            .map_or(0, |speaker| speaker.voice.backlog())
    }

    /// Floor audio of a speaker that waits to be heard, samples at 48 kHz.
    pub fn floor_depth(&self, speaker: SpeakerId) -> usize {
        self.speakers
            .get(&speaker)
            .map_or(0, |speaker| speaker.floor.depth())
    }

    /// Makes the next 20 ms, full scale ±1.0 never exceeded, and says what happened to clauses.
    pub fn mix(&mut self, out: &mut [f32; FRAME]) -> &[ClauseMark] {
        self.marks.clear();
        out.fill(0.0);
        for (&id, speaker) in &mut self.speakers {
            let marks = &mut self.marks;
            let speaking = speaker.voice.mix(out, &mut |clause, event| {
                marks.push(ClauseMark {
                    speaker: id,
                    clause,
                    event,
                });
            });
            speaker.floor.take(&mut self.scratch);
            for (sum, &floor) in out.iter_mut().zip(self.scratch.iter()) {
                speaker.duck = if speaking {
                    (speaker.duck * self.attack).max(self.ducked)
                } else {
                    (speaker.duck * self.release).min(1.0)
                };
                *sum += floor * speaker.duck;
            }
        }
        self.limiter.apply(out);
        &self.marks
    }

    fn speaker(&mut self, id: SpeakerId) -> Result<&mut Speaker, MixError> {
        let count = self.speakers.len();
        match self.speakers.entry(id) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(_) if count >= self.config.max_speakers => {
                Err(MixError::TooManySpeakers(count))
            }
            std::collections::btree_map::Entry::Vacant(entry) => Ok(entry.insert(Speaker {
                floor: Floor::new(),
                voice: Voice::new(),
                duck: 1.0,
            })),
        }
    }
}

/// Silence in place of what is not a number, and bounded loudness, so that one bad engine cannot
/// poison a mix.
fn clean(sample: f32) -> f32 {
    if sample.is_finite() {
        sample.clamp(-2.0, 2.0)
    } else {
        0.0
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
