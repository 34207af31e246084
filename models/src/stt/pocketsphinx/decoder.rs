//! One speaker's decoder.

use super::model::{CreateDecoderError, Model};
use super::raw::{Raw, RawSegment};
use crate::stt::cmn::CEPSTRA;
use crate::stt::{CmnState, Hypothesis, SpeechToText, SttError, UtteranceStart, Word};

/// Samples searched at a time. Whatever chunks the caller gives, the engine is given these, so that
/// the chunking changes no word.
const STEP_SAMPLES: usize = 320;

/// Samples of the front end's window and of its shift.
const FRAME_SAMPLES: u64 = 410;
const SHIFT_SAMPLES: u64 = 160;

/// Frames between two corrections of the cepstral mean.
const CMN_FRAMES: u64 = 20;

/// Frames of a new speaker after which the utterance is searched again from its start, with the mean
/// that has been learnt meanwhile: without that the first words anybody says are searched with
/// somebody else's mean.
const LEARNING_FRAMES: u64 = 80;

/// Frames that `ps_set_cmn` pretends to have seen (`CMN_WIN` of PocketSphinx's `cmn.h`).
const SET_MEAN_FRAMES: f64 = 500.0;

/// A PocketSphinx decoder: about 100 MB, 0.2–0.7 s to create, so take one from a
/// [`DecoderPool`](crate::stt::DecoderPool).
pub struct Decoder {
    raw: Raw,
    open: Option<Utterance>,
    cmn: CmnState,
    failed: bool,
}

struct Utterance {
    /// The caller's clock of the first sample.
    start: u64,
    /// Samples waiting to fill a step.
    pending: Vec<i16>,
    /// Samples given to the engine.
    fed: u64,
    /// Frames already in the cepstral mean's estimate.
    observed_frames: u64,
    /// The mean the engine was last set to, as it read it.
    mean: [f64; CEPSTRA],
    /// What was given to the engine while the speaker's mean is still being learnt.
    learning: Option<Vec<i16>>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("open", &self.open.is_some())
            .field("failed", &self.failed)
            .finish()
    }
}

impl Decoder {
    /// Loads the model. Blocks for 0.2–0.7 s.
    pub fn new(model: &Model) -> Result<Decoder, CreateDecoderError> {
        Ok(Decoder {
            raw: Raw::new(model)?,
            open: None,
            cmn: CmnState::default(),
            failed: false,
        })
    }

    /// Whether the engine has failed: the decoder must not be used again.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    fn guard<T>(&mut self, result: Result<T, SttError>) -> Result<T, SttError> {
        self.failed |= matches!(result, Err(SttError::Engine { .. }));
        result
    }

    fn step(&mut self, samples: &[i16]) -> Result<(), SttError> {
        let result = self.raw.process(samples);
        self.guard(result)?;
        let Some(utterance) = &mut self.open else {
            return Err(SttError::NotStarted);
        };
        utterance.fed += samples.len() as u64;
        if let Some(learning) = &mut utterance.learning {
            learning.extend_from_slice(samples);
        }
        let frames = frames(utterance.fed);
        if frames - utterance.observed_frames >= CMN_FRAMES {
            let result = self.correct_mean(frames);
            self.guard(result)?;
        }
        if frames >= LEARNING_FRAMES {
            let result = self.search_again();
            self.guard(result)?;
        }
        Ok(())
    }

    /// Searches what was heard while the mean was learnt again with what was learnt.
    fn search_again(&mut self) -> Result<(), SttError> {
        let Some(utterance) = &mut self.open else {
            return Err(SttError::NotStarted);
        };
        let Some(heard) = utterance.learning.take() else {
            return Ok(());
        };
        self.raw.end()?;
        self.raw.start()?;
        for samples in heard.chunks(STEP_SAMPLES) {
            self.raw.process(samples)?;
        }
        // These frames have been observed: forget that the engine has seen them twice.
        self.raw.set_mean(&self.cmn.mean())?;
        utterance.mean = self.raw.mean(false)?;
        Ok(())
    }

    /// Learns the mean of the frames since the last call and sets the engine to the new estimate.
    ///
    /// The engine tells only the mean over the 500 frames it imagines at the old mean and the frames
    /// since; the sum of the latter is the difference.
    fn correct_mean(&mut self, frames: u64) -> Result<(), SttError> {
        let Some(utterance) = &mut self.open else {
            return Err(SttError::NotStarted);
        };
        let new_frames = (frames - utterance.observed_frames) as f64;
        let blended = self.raw.mean(true)?;
        let sum = std::array::from_fn(|i| {
            blended[i] * (SET_MEAN_FRAMES + new_frames) - utterance.mean[i] * SET_MEAN_FRAMES
        });
        self.cmn.observe(&sum, new_frames);
        utterance.observed_frames = frames;
        self.raw.set_mean(&self.cmn.mean())?;
        utterance.mean = self.raw.mean(false)?;
        Ok(())
    }

    fn hypothesis(&mut self, start: u64, last: bool) -> Hypothesis {
        let word = |segment: RawSegment| {
            let text = spoken_form(&segment.text)?;
            Some(Word {
                text: text.to_owned(),
                start: start + u64::from(segment.first_frame) * SHIFT_SAMPLES,
                end: start + (u64::from(segment.last_frame) + 1) * SHIFT_SAMPLES,
                confidence: last.then(|| segment.probability.clamp(0.0, 1.0)),
            })
        };
        Hypothesis {
            words: self.raw.segments().into_iter().filter_map(word).collect(),
        }
    }
}

impl SpeechToText for Decoder {
    fn start(&mut self, start: UtteranceStart) -> Result<(), SttError> {
        if self.open.is_some() {
            return Err(SttError::AlreadyStarted);
        }
        self.cmn = start.cmn;
        let mean = self.cmn.mean();
        let result = self.raw.set_mean(&mean).and_then(|()| self.raw.mean(false));
        let mean = self.guard(result)?;
        let result = self.raw.start();
        self.guard(result)?;
        self.open = Some(Utterance {
            start: start.sample,
            pending: Vec::with_capacity(STEP_SAMPLES),
            fed: 0,
            observed_frames: 0,
            mean,
            learning: (self.cmn.frames() < LEARNING_FRAMES as f64).then(Vec::new),
        });
        Ok(())
    }

    fn process(&mut self, mut pcm: &[f32]) -> Result<(), SttError> {
        while !pcm.is_empty() {
            let Some(utterance) = &mut self.open else {
                return Err(SttError::NotStarted);
            };
            let take = pcm.len().min(STEP_SAMPLES - utterance.pending.len());
            utterance
                .pending
                .extend(pcm[..take].iter().map(|&sample| quantise(sample)));
            pcm = &pcm[take..];
            if utterance.pending.len() == STEP_SAMPLES {
                let mut step = std::mem::take(&mut utterance.pending);
                self.step(&step)?;
                step.clear();
                if let Some(utterance) = &mut self.open {
                    utterance.pending = step;
                }
            }
        }
        Ok(())
    }

    fn partial(&mut self) -> Result<Hypothesis, SttError> {
        let start = self.open.as_ref().ok_or(SttError::NotStarted)?.start;
        Ok(self.hypothesis(start, false))
    }

    fn finish(&mut self) -> Result<Hypothesis, SttError> {
        let utterance = self.open.as_mut().ok_or(SttError::NotStarted)?;
        let start = utterance.start;
        let rest = std::mem::take(&mut utterance.pending);
        if !rest.is_empty() {
            self.step(&rest)?;
        }
        let result = self.raw.end();
        self.guard(result)?;
        // The window that the engine fills with zeros at the end counts too.
        let fed = self.open.as_ref().map_or(0, |utterance| utterance.fed);
        let result = if fed > 0 {
            self.correct_mean(frames(fed) + 1)
        } else {
            Ok(())
        };
        self.guard(result)?;
        self.open = None;
        Ok(self.hypothesis(start, true))
    }

    fn abandon(&mut self) {
        if self.open.take().is_some() && self.raw.end().is_err() {
            self.failed = true;
        }
    }

    fn cmn(&self) -> &CmnState {
        &self.cmn
    }
}

/// Whole windows in so many samples.
fn frames(samples: u64) -> u64 {
    if samples < FRAME_SAMPLES {
        0
    } else {
        (samples - FRAME_SAMPLES) / SHIFT_SAMPLES + 1
    }
}

fn quantise(sample: f32) -> i16 {
    // A cast of a float saturates, and makes NaN zero.
    (sample * 32768.0).round() as i16
}

/// The word without its pronunciation number (`the(2)`); none for silence and fillers.
fn spoken_form(text: &str) -> Option<&str> {
    let base = match text.find('(') {
        Some(0) | None => text,
        Some(at) => &text[..at],
    };
    let filler = base.is_empty() || base.starts_with(['<', '[', '+']);
    (!filler).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fillers_and_pronunciation_numbers_are_dropped() {
        assert_eq!(spoken_form("to(3)"), Some("to"));
        assert_eq!(spoken_form("i'm"), Some("i'm"));
        for filler in ["<s>", "</s>", "<sil>", "[NOISE]", "++UM++", ""] {
            assert_eq!(spoken_form(filler), None, "{filler}");
        }
    }

    #[test]
    fn samples_are_clipped() {
        assert_eq!(quantise(2.0), i16::MAX);
        assert_eq!(quantise(-2.0), i16::MIN);
        assert_eq!(quantise(f32::NAN), 0);
        assert_eq!(quantise(0.5), 16384);
    }

    #[test]
    fn frames_overlap() {
        assert_eq!([0, 409, 410, 569, 570].map(frames), [0, 0, 1, 1, 2]);
    }
}
