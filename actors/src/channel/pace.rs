//! The actor that makes a channel's frames, on a thread of its own, as nothing may hold it up.

use std::sync::Arc;
use std::time::Instant;

use super::Channel;
use crate::pipeline::stage::{self, StageError};
use crate::supervision::{ChildSpec, Placement};

/// The channel's actor.
pub(crate) fn spec(id: String, channel: Arc<Channel>) -> ChildSpec {
    stage::spec(id, move |_| run(channel.clone())).arbiter(Placement::Own)
}

async fn run(channel: Arc<Channel>) -> Result<(), StageError> {
    let mut encoder = channel
        .encoder()
        .map_err(|error| StageError::Failed(error.to_string()))?;
    loop {
        match channel.tick(&mut encoder, Instant::now()) {
            Some(next) => tokio::time::sleep_until(next.into()).await,
            None => std::future::pending().await,
        }
    }
}
