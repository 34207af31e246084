//! The video codecs, and what an SFU has to know of one packet of them.

use super::av1;
use super::dependency::FrameDependency;
use super::descriptor::Descriptor;
use super::{vp8, vp9};

/// The RTP clock of every video codec here, in ticks a second.
pub const VIDEO_CLOCK: u32 = 90_000;

/// A video codec that this server forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// The AV1 RTP specification of the Alliance for Open Media.
    Av1,
}

impl VideoCodec {
    /// The codec with the `a=rtpmap` encoding name `name`, in any case.
    pub fn from_name(name: &str) -> Option<VideoCodec> {
        [Self::Vp8, Self::Vp9, Self::H264, Self::Av1]
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// The `a=rtpmap` encoding name.
    pub fn name(self) -> &'static str {
        match self {
            VideoCodec::Vp8 => "VP8",
            VideoCodec::Vp9 => "VP9",
            VideoCodec::H264 => "H264",
            VideoCodec::Av1 => "AV1",
        }
    }

    /// The numbers in `payload` that differ from subscriber to subscriber.
    pub(super) fn descriptor(self, payload: &[u8]) -> Descriptor {
        let info = match self {
            VideoCodec::Vp8 => vp8::inspect(payload),
            VideoCodec::Vp9 => vp9::inspect(payload),
            VideoCodec::H264 | VideoCodec::Av1 => None,
        };
        info.map(|info| info.descriptor).unwrap_or_default()
    }

    /// What `payload` alone tells; `None` if it is malformed.
    pub(super) fn inspect(self, payload: &[u8]) -> Option<PacketInfo> {
        match self {
            VideoCodec::Vp8 => vp8::inspect(payload),
            VideoCodec::Vp9 => vp9::inspect(payload),
            VideoCodec::H264 => super::h264::inspect(payload),
            VideoCodec::Av1 => av1::inspect(payload),
        }
    }
}

/// Where a subscriber that is sent fewer temporal layers may be sent more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SwitchUp {
    /// Not known to be possible.
    #[default]
    No,
    /// With this frame, which needs nothing above the base layer (VP8's Y bit).
    Here,
    /// With the next picture, provided that this one was sent (VP9's U bit).
    After,
}

/// What a forwarder needs to know of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketInfo {
    /// The first packet of a keyframe: a decoder may start here.
    pub keyframe: bool,
    /// The first packet of a frame (of one spatial layer).
    pub begins_frame: bool,
    /// The last packet of a frame (of one spatial layer).
    pub ends_frame: bool,
    /// The frame refers to earlier pictures. Only VP9 tells; `true` where it is not known.
    pub inter_picture: bool,
    /// Temporal layer, 0 is the base.
    pub temporal: u8,
    /// Spatial layer within the stream, 0 is the base.
    pub spatial: u8,
    /// Whether more temporal layers may be sent from here on.
    pub switch_up: SwitchUp,
    /// Numbers in the payload that are rewritten.
    pub descriptor: Descriptor,
    /// What the dependency descriptor tells, where there is one.
    pub dependency: Option<FrameDependency>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_found_by_their_names_in_any_case() {
        assert_eq!(VideoCodec::from_name("vp8"), Some(VideoCodec::Vp8));
        assert_eq!(VideoCodec::from_name("AV1"), Some(VideoCodec::Av1));
        assert_eq!(VideoCodec::from_name("rtx"), None);
    }

    #[test]
    fn no_payload_is_too_hostile() {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut payload = [0u8; 64];
        for _ in 0..20_000 {
            for byte in &mut payload {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *byte = state as u8;
            }
            let len = usize::from(payload[63] % 64);
            for codec in [
                VideoCodec::Vp8,
                VideoCodec::Vp9,
                VideoCodec::H264,
                VideoCodec::Av1,
            ] {
                let _ = codec.inspect(&payload[..len]);
                let descriptor = codec.descriptor(&payload[..len]);
                descriptor.patch(&mut payload[..len], &Default::default());
            }
        }
    }
}
