//! What `vad` reads and appends: segments of speech.

use std::collections::VecDeque;

use hive_models::vad::{
    Endpointer, EndpointerSettings, SpeechEdge, VadState, VadWindow, WINDOW_SAMPLES,
};

use super::{Fenced, Journal, Lease};
use crate::events::schema::{EventBody, Vad};
use crate::pipeline::samples;
use crate::settings::VadSettings;

const WINDOW: u64 = WINDOW_SAMPLES as u64;

/// A stretch of speech, in positions of the sample log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    /// First sample, pre-roll included.
    pub(crate) start: u64,
    /// First voiced sample.
    pub(crate) voiced_at: u64,
    /// One past the last voiced sample and one past the last sample, once it is over.
    pub(crate) end: Option<(u64, u64)>,
}

#[derive(Debug)]
pub(crate) struct VadLog {
    /// The first sample not yet judged.
    cursor: u64,
    state: VadState,
    endpointer: Endpointer,
    pre_roll: u64,
    /// End of the voice of the last segment that is over, on the media clock.
    silent_since_ms: f64,
    /// Segments that the recogniser has not finished.
    pub(super) segments: VecDeque<Segment>,
}

/// A window to judge.
#[derive(Debug)]
pub(crate) struct VadWork {
    /// Position of its first sample.
    pub(crate) position: u64,
    /// The window.
    pub(crate) window: VadWindow,
    /// What the model knows of the speaker.
    pub(crate) state: VadState,
}

impl VadLog {
    pub(super) fn new(settings: &VadSettings, from: u64) -> Self {
        let pre_roll = samples(settings.pre_roll);
        let endpointer = Endpointer::new(EndpointerSettings {
            threshold: settings.threshold,
            release: settings.threshold,
            silence: samples(settings.silence),
            min_speech: samples(settings.min_speech),
            pre_roll,
            max_speech: samples(settings.max_utterance),
        });
        VadLog {
            cursor: from,
            state: VadState::default(),
            endpointer,
            pre_roll,
            silent_since_ms: f64::NEG_INFINITY,
            segments: VecDeque::new(),
        }
    }

    /// Up to where the samples have been judged.
    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Since when the speaker has been silent, on the media clock.
    pub(super) fn silent_since_ms(&self) -> f64 {
        self.silent_since_ms
    }

    /// The first sample that a coming segment may hold.
    pub(super) fn keep_from(&self) -> u64 {
        // A candidate may be some windows old before it counts as speech.
        let ahead = self.cursor.saturating_sub(self.pre_roll + 16 * WINDOW);
        self.segments
            .front()
            .map_or(ahead, |segment| segment.start.min(ahead))
    }
}

impl Journal {
    /// The next window, if all of it is there.
    pub(crate) fn vad_next(&self) -> Option<VadWork> {
        let log = self.log.lock();
        let position = log.vad.cursor.max(log.pcm.start());
        if !log.recognising || log.pcm.end() < position + WINDOW {
            return None;
        }
        let window = log.pcm.range(position, position + WINDOW).try_into().ok()?;
        Some(VadWork {
            position,
            window,
            state: log.vad.state.clone(),
        })
    }

    /// Appends the judgement of the window at `position`. Begins and ends segments, tells so, and
    /// silences the interpreter for a speaker who begins to speak.
    pub(crate) fn vad_commit(
        &self,
        lease: Lease,
        position: u64,
        probability: f32,
        state: VadState,
    ) -> Result<(), Fenced> {
        {
            let log = &mut *self.log.lock();
            log.check(lease)?;
            if position < log.vad.cursor {
                return Ok(());
            }
            log.vad.cursor = position + WINDOW;
            log.vad.state = state;
            match log.vad.endpointer.push(position, probability) {
                Some(SpeechEdge::Start {
                    at,
                    voiced_at,
                    decided_at,
                }) => {
                    let start = at.max(log.pcm.start());
                    log.vad.segments.push_back(Segment {
                        start,
                        voiced_at,
                        end: None,
                    });
                    let media_ms = log.pcm.media_ms(voiced_at);
                    self.tell(true, media_ms);
                    let decided_ms = log.pcm.media_ms(decided_at);
                    log.barge_in(&self.speaker.identity, &self.settings.barge_in, decided_ms);
                }
                Some(SpeechEdge::End {
                    voiced_until,
                    decided_at,
                }) => {
                    // One that the recogniser gave up is no longer there.
                    let open = log.vad.segments.back_mut();
                    if let Some(open) = open.filter(|segment| segment.end.is_none()) {
                        open.end = Some((voiced_until, decided_at));
                    }
                    log.vad.silent_since_ms = log.pcm.media_ms(voiced_until);
                    self.tell(false, log.vad.silent_since_ms);
                }
                None => {}
            }
            log.trim();
            if log.vad.segments.is_empty() {
                return Ok(());
            }
        }
        self.stt.ring();
        Ok(())
    }

    fn tell(&self, speaking: bool, media_ms: f64) {
        let speaker = self.speaker.identity.clone();
        self.bus.emit(EventBody::Vad(Vad {
            speaker,
            speaking,
            media_ms,
        }));
    }
}
