//! Language channels: a room in one language, mixed and encoded once whatever the number of
//! listeners.
//!
//! The mix outlives the actor that paces it: a restarted actor goes on with the same clauses on the
//! same clock.

mod fan;
mod pace;
mod state;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use fan::fan;
pub(crate) use pace::spec;
pub(crate) use state::{Channel, FrameSink};

/// A clause to be spoken, and what events have to tell of it.
#[derive(Clone, Debug)]
pub(crate) struct SpokenClause {
    /// `<utterance>.<n>`.
    pub(crate) clause: Arc<str>,
    /// `<speaker>-<n>`.
    pub(crate) utterance: Arc<str>,
    /// Whose words.
    pub(crate) speaker: Arc<str>,
    /// End of the source's voice on the speaker's media clock.
    pub(crate) source_end_ms: f64,
    /// When that was heard here, if it is known.
    pub(crate) heard: Option<Instant>,
}

/// What the pipelines of a room's speakers put into a channel.
pub(crate) trait ChannelInput: Send + Sync + fmt::Debug {
    /// Takes 48 kHz audio of a speaker's floor.
    fn floor(&self, speaker: &Arc<str>, pcm48: &[f32]);

    /// Takes the next 48 kHz audio of a clause, of which `last` is the end.
    fn speak(&self, clause: &SpokenClause, pcm48: &[f32], last: bool);

    /// Fades out and drops the speaker's clauses whose source ended before `before_ms`; `waiting` are
    /// such clauses that have not reached the channel and will not.
    fn cancel_stale(&self, speaker: &Arc<str>, before_ms: f64, waiting: &[SpokenClause]);

    /// How long the interpreter will go on with what the channel has of the speaker.
    fn backlog(&self, speaker: &Arc<str>) -> Duration;
}

#[cfg(test)]
mod tests;
