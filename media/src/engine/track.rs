//! A track: what is forwarded.

use std::time::Instant;

use super::TapFn;
use super::video_track::VideoTrack;
use crate::ids::{RoomId, TrackId};
use crate::rtp::OPUS_CLOCK;
use crate::rtp::cache::PacketCache;
use crate::rtp::extension::ExtensionIds;
use crate::rtp::forward::TrackPacket;
use crate::rtp::header::Header;
use crate::rtp::red;
use crate::rtp::sequence::ExtendTimestamp;
use crate::rtp::track_clock::TrackClock;
use crate::sdp::section::{Section, SectionKind};

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
    /// A language channel; its next sequence number, and the timestamp of its last packet.
    Source {
        next_seq: u64,
        last_timestamp: Option<u32>,
    },
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
    /// Muted by the server: what comes is dropped.
    pub(super) muted: bool,
    /// Whether it is among the loudest, of which clients are sent packets.
    pub(super) prominent: bool,
    /// Whether it is that without a comparison: it is no microphone.
    pub(super) always: bool,
    /// How many listeners are sent it though it is not prominent.
    pub(super) listeners: usize,
    /// Payload types of Opus and of redundant audio.
    opus: u8,
    red: Option<u8>,
    /// What a track of video has besides; audio has none.
    pub(super) video: Option<Box<VideoTrack>>,
}

impl Track {
    /// A track of audio.
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
            muted: false,
            prominent: true,
            always: false,
            listeners: 0,
            opus: 0,
            red: None,
            video: None,
        }
    }

    /// The track that a peer sends in a section.
    pub(super) fn of_section(
        room: RoomId,
        origin: Origin,
        section: &Section,
        now: Instant,
    ) -> Track {
        let mut track = Track::new(room, origin, section.extensions, now);
        match &section.kind {
            SectionKind::Audio(opus) => {
                track.opus = opus.payload_type;
                track.red = opus.red;
            }
            SectionKind::Video(formats) => {
                track.video = Some(Box::new(VideoTrack::new(formats, section.streams(), now)));
            }
            SectionKind::Data(_) | SectionKind::Refused => {}
        }
        track
    }

    /// Whether it is heard and not seen.
    pub(super) fn is_audio(&self) -> bool {
        self.video.is_none()
    }

    /// Keeps packets from now on, because a subscriber may ask for them again.
    pub(super) fn keep_packets(&mut self) {
        if self.is_audio() {
            self.cache
                .get_or_insert_with(|| PacketCache::new(CACHED_PACKETS));
        }
    }

    /// A packet of audio as subscribers see it; `None` if it is redundant audio that makes no sense.
    pub(super) fn packet<'a>(
        &self,
        bytes: &'a [u8],
        header: &'a Header,
        payload: &'a [u8],
        seq: u64,
    ) -> Option<TrackPacket<'a>> {
        let primary = if Some(header.payload_type) == self.red {
            Some(red::primary(payload, self.opus)?)
        } else {
            None
        };
        Some(TrackPacket {
            bytes,
            header,
            payload,
            primary,
            seq,
        })
    }
}
