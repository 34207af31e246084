//! Speech synthesis: a clause in, samples out while they are made.

pub mod espeak;
mod onset;
mod wav;

use tokio::sync::mpsc;

use crate::Lang;

/// How a clause is to be spoken.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeechRequest {
    /// Plain text; markup and control characters are spoken as text or left out.
    pub text: String,
    /// The language, which chooses the voice.
    pub lang: Lang,
    /// Speed in words a minute, 80…450; none for the engine's setting.
    pub rate: Option<u16>,
}

/// Why a clause was not (wholly) spoken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SynthesiseError {
    /// There is no voice for the language.
    #[error("there is no voice for `{asked}`; available: {}", available.iter().map(Lang::to_string).collect::<Vec<_>>().join(", "))]
    UnsupportedLanguage {
        /// The language asked for.
        asked: Lang,
        /// The languages there are.
        available: Vec<Lang>,
    },
    /// The clause ended or hung the engine on every attempt.
    #[error("the synthesiser failed {attempts} times on this clause; it is given up: {reason}")]
    Poison {
        /// Fresh engines tried.
        attempts: u32,
        /// What happened the last time.
        reason: String,
    },
    /// The engine cannot be started.
    #[error("the synthesiser does not start: {reason}")]
    Unavailable {
        /// What to do about it.
        reason: String,
    },
    /// The pool has been shut down.
    #[error("the synthesiser has been shut down")]
    ShutDown,
}

/// A clause's samples as they are made. Dropping it stops the synthesis.
#[derive(Debug)]
pub struct SpeechStream {
    pub(crate) chunks: mpsc::Receiver<Result<Vec<f32>, SynthesiseError>>,
    pub(crate) sample_rate: u32,
}

impl SpeechStream {
    /// Samples a second of every chunk.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// The next samples, mono, −1…1; `None` after the last. An error is the last thing given. Cancel
    /// safe.
    pub async fn next(&mut self) -> Option<Result<Vec<f32>, SynthesiseError>> {
        self.chunks.recv().await
    }
}

/// Speaks clauses.
pub trait Synthesise: Send + Sync {
    /// The languages there are voices for.
    fn languages(&self) -> Vec<Lang>;

    /// Starts to speak; never blocks. Errors arrive in the stream.
    fn synthesise(&self, request: SpeechRequest) -> SpeechStream;
}
