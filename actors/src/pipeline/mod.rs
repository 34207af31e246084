//! A speaker's pipeline: the stages and the logs between them.

pub(crate) mod bell;
mod clause;
pub(crate) mod ingest;
pub(crate) mod journal;
pub(crate) mod mt;
pub(crate) mod stage;
pub(crate) mod stt;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod tts;
pub(crate) mod vad;

use std::time::Duration;

/// Samples at 16 kHz of a duration.
fn samples(duration: Duration) -> u64 {
    duration.as_millis() as u64 * 16
}
