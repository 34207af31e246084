//! One input for all that speaks a language: the mix for those who hear the room in it, and the voice
//! for clients that hear each speaker's track.

use std::sync::Arc;
use std::time::Duration;

use super::{ChannelInput, SpokenClause};

/// The inputs of one language, of which the first hears the floor.
#[derive(Debug)]
pub(crate) struct Fan(Vec<Arc<dyn ChannelInput>>);

/// One input for several; none for none.
pub(crate) fn fan(mut inputs: Vec<Arc<dyn ChannelInput>>) -> Option<Arc<dyn ChannelInput>> {
    match inputs.len() {
        0 | 1 => inputs.pop(),
        _ => Some(Arc::new(Fan(inputs))),
    }
}

impl ChannelInput for Fan {
    fn floor(&self, speaker: &Arc<str>, pcm48: &[f32]) {
        if let Some(mix) = self.0.first() {
            mix.floor(speaker, pcm48);
        }
    }

    fn speak(&self, clause: &SpokenClause, pcm48: &[f32], last: bool) {
        for input in &self.0 {
            input.speak(clause, pcm48, last);
        }
    }

    fn cancel_stale(&self, speaker: &Arc<str>, before_ms: f64, waiting: &[SpokenClause]) {
        for input in &self.0 {
            input.cancel_stale(speaker, before_ms, waiting);
        }
    }

    fn backlog(&self, speaker: &Arc<str>) -> Duration {
        let backlogs = self.0.iter().map(|input| input.backlog(speaker));
        backlogs.max().unwrap_or_default()
    }
}
