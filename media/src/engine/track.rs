//! A track: what is forwarded.

use std::time::Instant;

use super::TapFn;
use crate::ids::{RoomId, TrackId};
use crate::rtp::OPUS_CLOCK;
use crate::rtp::cache::PacketCache;
use crate::rtp::extension::ExtensionIds;
use crate::rtp::sequence::ExtendTimestamp;
use crate::rtp::track_clock::TrackClock;

/// Packets kept to answer NACKs: 1.3 s of Opus.
const CACHED_PACKETS: usize = 64;

/// A subscriber's slot that plays a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subscriber {
    pub(super) peer: usize,
    pub(super) slot: usize,
}

/// Where a track's packets come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// A peer's media section; the SSRC it uses now.
    Peer { key: usize, ssrc: Option<u32> },
    /// A language channel; its next sequence number.
    Source { next_seq: u64 },
}

pub(super) struct Track {
    pub(super) id: TrackId,
    pub(super) room: RoomId,
    pub(super) origin: Origin,
    pub(super) extensions: ExtensionIds,
    pub(super) subscribers: Vec<Subscriber>,
    pub(super) highest_seq: u64,
    pub(super) timestamps: ExtendTimestamp,
    pub(super) clock: TrackClock,
    pub(super) cache: Option<PacketCache>,
    pub(super) tap: Option<TapFn>,
    pub(super) started: bool,
}

impl Track {
    pub(super) fn new(
        room: RoomId,
        origin: Origin,
        extensions: ExtensionIds,
        now: Instant,
    ) -> Track {
        Track {
            id: TrackId::fresh(),
            room,
            origin,
            extensions,
            subscribers: Vec::new(),
            highest_seq: 0,
            timestamps: ExtendTimestamp::default(),
            clock: TrackClock::new(OPUS_CLOCK, now),
            cache: None,
            tap: None,
            started: false,
        }
    }

    /// Keeps packets from now on, because a subscriber may ask for them again.
    pub(super) fn keep_packets(&mut self) {
        self.cache
            .get_or_insert_with(|| PacketCache::new(CACHED_PACKETS));
    }
}
