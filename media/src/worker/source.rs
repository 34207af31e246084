//! Tracks without a peer.

use std::sync::Arc;

use bytes::Bytes;

use super::queue::{Command, Shared, SourceFrame};
use crate::ids::{RoomId, TrackId};

/// Writes a language channel. Dropping it removes the track.
#[derive(Debug)]
pub struct SourceWriter {
    shared: Arc<Shared>,
    track: TrackId,
}

impl SourceWriter {
    pub(super) fn new(shared: Arc<Shared>, room: RoomId) -> SourceWriter {
        let track = TrackId::fresh();
        shared.command(Command::AddSource(room, track));
        SourceWriter { shared, track }
    }

    /// The track to [subscribe](crate::Subscription::Source) to.
    pub fn track(&self) -> TrackId {
        self.track
    }

    /// Sends one Opus packet to all listeners, at once and in order. Never blocks.
    ///
    /// `timestamp` is in units of 1/48000 s and should run with real time, since sender reports map
    /// it to wall time by its arrival here; `level` is in −dBov, 127 for silence.
    pub fn write(&self, payload: Bytes, timestamp: u32, level: u8) {
        self.shared.frame(SourceFrame {
            track: self.track,
            payload,
            timestamp,
            level,
        });
    }
}

impl Drop for SourceWriter {
    fn drop(&mut self) {
        self.shared.command(Command::RemoveSource(self.track));
    }
}
