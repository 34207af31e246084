//! A video packet, as it comes in and as it went out.

use std::time::Instant;

use super::codec::PacketInfo;
use crate::rtp::forward::TrackPacket;

/// A decrypted packet of a video track, as all its subscribers see it.
#[derive(Clone, Copy, Debug)]
pub struct VideoPacket<'a> {
    /// The packet, and its extended number in its simulcast stream.
    pub rtp: TrackPacket<'a>,
    /// Index of its simulcast stream, low to high; 0 if there is only one.
    pub stream: u8,
    /// What it is, by the stream's [`Inspector`](super::inspect::Inspector).
    pub info: PacketInfo,
    /// When its frame was captured, on a clock common to all streams: what
    /// [`TrackClock::instant_of`](crate::rtp::track_clock::TrackClock::instant_of) says.
    pub captured: Instant,
}

/// A packet to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentAs {
    /// Index of the simulcast stream it is of.
    pub stream: u8,
    /// Its extended number in that stream.
    pub track_seq: u64,
    /// Its number here.
    pub(super) seq: u64,
}
