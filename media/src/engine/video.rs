//! Tracks of video.

use std::time::Instant;

use super::datagram::Incoming;
use super::{Engine, Transmit};
use crate::clock::Now;
use crate::sdp::formats::VideoFormat;

/// What a track of video has besides what any has.
pub(super) struct VideoTrack {
    formats: Vec<VideoFormat>,
    rids: Vec<Box<str>>,
}

impl VideoTrack {
    pub(super) fn new(formats: &[VideoFormat], rids: &[Box<str>], _now: Instant) -> VideoTrack {
        VideoTrack {
            formats: formats.to_vec(),
            rids: rids.to_vec(),
        }
    }
}

impl Engine {
    /// Takes an authentic packet of a track of video.
    pub(super) fn on_video(
        &mut self,
        _now: &Now,
        _incoming: &Incoming<'_>,
        _packet: &mut [u8],
        _out: &mut dyn Transmit,
    ) {
    }
}
