//! Speech to text: a speaker's samples in, words with their times out.

pub mod agreement;
mod cmn;
pub mod pocketsphinx;
mod pool;
pub mod whisper;

pub use cmn::CmnState;
pub use pool::{CheckoutError, DecoderPool, PoolStats, PooledDecoder};

use serde::{Deserialize, Serialize};

/// Samples a second that recognisers take.
pub const SAMPLE_RATE: u32 = 16_000;

/// A recognised word. Times are samples at 16 kHz on the caller's clock (see [`UtteranceStart`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// The word, in lower case as the dictionary has it.
    pub text: String,
    /// Its first sample.
    pub start: u64,
    /// One past its last sample.
    pub end: u64,
    /// Posterior probability 0…1, where the engine gives one (final hypotheses only).
    pub confidence: Option<f32>,
}

/// What a recogniser makes of an utterance so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    /// Words in order; silence and noise are left out.
    pub words: Vec<Word>,
}

impl Hypothesis {
    /// The words' texts with single spaces between them.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.words.iter().map(|word| word.text.as_str()).collect();
        texts.join(" ")
    }
}

/// Where an utterance starts and what is known of the speaker's channel.
///
/// To resume in the middle of an utterance after a fault, start at the sample from which the audio
/// is given again, with the [`CmnState`] the utterance was started with, and let
/// [`agreement::LocalAgreement::resume`] keep the words already committed.
#[derive(Debug, Clone, PartialEq)]
pub struct UtteranceStart {
    /// The caller's clock, in samples at 16 kHz, of the first sample that will be given.
    pub sample: u64,
    /// The speaker's channel as the previous utterance left it.
    pub cmn: CmnState,
}

/// Why a recogniser gave no words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SttError {
    /// `start` was called twice without `finish` or `abandon`.
    #[error("an utterance is already open; finish or abandon it before starting another")]
    AlreadyStarted,
    /// `process`, `partial` or `finish` was called outside an utterance.
    #[error("no utterance is open; call start first")]
    NotStarted,
    /// The engine refused; its decoder must not be used again.
    #[error("the speech recogniser failed in {operation}; its decoder has to be replaced")]
    Engine {
        /// The engine's function.
        operation: &'static str,
    },
}

/// A streaming recogniser for one speaker.
///
/// Deterministic: the same samples in the same chunks from the same [`UtteranceStart`] give the same
/// hypotheses, whatever was recognised before.
pub trait SpeechToText: Send {
    /// Opens an utterance.
    fn start(&mut self, start: UtteranceStart) -> Result<(), SttError>;

    /// Searches over the next samples (mono, 16 kHz, −1…1; clipped beyond), best 20–100 ms at a time.
    /// Blocks for the search: about a fifth of the audio's length on one core.
    fn process(&mut self, pcm: &[f32]) -> Result<(), SttError>;

    /// The best words so far. They may still change.
    fn partial(&mut self) -> Result<Hypothesis, SttError>;

    /// Closes the utterance and gives its words after the last search passes.
    fn finish(&mut self) -> Result<Hypothesis, SttError>;

    /// Closes the utterance without an answer; does nothing when none is open.
    fn abandon(&mut self);

    /// The speaker's channel as estimated so far; after `finish`, what to start the next utterance with.
    fn cmn(&self) -> &CmnState;
}
