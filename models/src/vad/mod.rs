//! Voice activity: which stretches of a speaker's audio are speech.

mod endpointer;
mod silero;

pub use endpointer::{Endpointer, EndpointerSettings, SpeechEdge};
pub use silero::{LoadVadError, SileroVad};

/// Samples in one window: 32 ms at 16 kHz.
pub const WINDOW_SAMPLES: usize = 512;

/// Samples of the previous window that the model sees again before the window.
pub(crate) const CONTEXT_SAMPLES: usize = 64;

/// Values of recurrent state: 2 layers × 128.
pub(crate) const RECURRENT_VALUES: usize = 2 * 128;

/// One window of mono audio at 16 kHz, samples in −1…1.
pub type VadWindow = [f32; WINDOW_SAMPLES];

/// What a speaker's next probability depends on besides the window: keep one for each speaker.
#[derive(Debug, Clone, PartialEq)]
pub struct VadState {
    /// Layer-major, 2 × 128.
    pub(crate) recurrent: [f32; RECURRENT_VALUES],
    /// The end of the previous window.
    pub(crate) context: [f32; CONTEXT_SAMPLES],
}

impl Default for VadState {
    /// The state before a speaker's first window.
    fn default() -> Self {
        VadState {
            recurrent: [0.0; RECURRENT_VALUES],
            context: [0.0; CONTEXT_SAMPLES],
        }
    }
}

/// Why a batch of windows has no probabilities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VadError {
    /// `windows` and `states` are parallel slices.
    #[error("{windows} windows were given with {states} states; give one state for each window")]
    LengthMismatch {
        /// Windows given.
        windows: usize,
        /// States given.
        states: usize,
    },
    /// The graph failed.
    #[error("the voice activity model failed: {reason}")]
    Model {
        /// The backend's own words.
        reason: String,
    },
}

/// Judges windows of audio, those of many speakers in one call.
pub trait VoiceActivity: Send + Sync {
    /// The probability, 0…1, that each window holds speech. `windows[i]` continues the speaker of
    /// `states[i]`, which is advanced; on an error no state is. Any number of windows may be given.
    fn run(
        &self,
        windows: &[VadWindow],
        states: &mut [&mut VadState],
    ) -> Result<Vec<f32>, VadError>;

    /// The largest batch that one run of the graph takes; more windows are run in several.
    fn batch_max(&self) -> usize;
}
