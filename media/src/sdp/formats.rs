//! The formats of media sections that this server can receive and forward.

use rtc_sdp::description::media::MediaDescription;

use super::section::{value, values};
use crate::video::codec::VideoCodec;

/// The most video formats of a section that are taken. Chromium offers about ten, each with RTX.
const MAX_VIDEO_FORMATS: usize = 16;

/// The Opus format of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusFormat {
    /// Its payload type.
    pub payload_type: u8,
    /// The payload type of redundant audio (RFC 2198) that carries it, if offered.
    pub red: Option<u8>,
    /// Whether generic NACK (RFC 4585) was offered for it.
    pub nack: bool,
    /// Whether receiver reference time reports (RFC 3611) were offered, which give this server the
    /// round trip to a peer that only sends.
    pub rrtr: bool,
}

/// A video format of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// Its payload type.
    pub payload_type: u8,
    /// The codec.
    pub codec: VideoCodec,
    /// `a=fmtp`, as offered; empty if there is none.
    pub parameters: String,
    /// The payload type that repairs it (RFC 4588).
    pub rtx: Option<u8>,
    /// Whether generic NACK was offered.
    pub nack: bool,
    /// Whether picture loss indications were offered.
    pub picture_loss: bool,
    /// Whether transport-wide congestion control feedback was offered.
    pub transport_feedback: bool,
}

/// The data channels of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataFormat {
    /// `a=max-message-size`, bytes; 65,536 if it is left out (RFC 8841 §6.1).
    pub max_message_size: usize,
}

impl OpusFormat {
    /// The first of the section's formats that is `opus/48000/2` (RFC 7587 §7).
    pub(super) fn read(media: &MediaDescription) -> Option<OpusFormat> {
        let payload_type =
            payload_types(media).find(|&number| is_named(media, number, "opus/48000/2"))?;
        let red = payload_types(media).find(|&number| {
            let carries = parameters(media, number)
                .split('/')
                .all(|block| block.trim().parse() == Ok(payload_type));
            is_named(media, number, "red/48000/2") && carries
        });
        Some(OpusFormat {
            payload_type,
            red,
            nack: feedback(media, payload_type, "nack"),
            rrtr: feedback(media, payload_type, "rrtr"),
        })
    }
}

impl VideoFormat {
    /// The section's formats whose codec can be forwarded, in its order.
    pub(super) fn read_all(media: &MediaDescription) -> Vec<VideoFormat> {
        let repairs: Vec<(u8, u8)> = payload_types(media)
            .filter(|&number| is_named(media, number, "rtx/90000"))
            .filter_map(|number| {
                let apt = parameters(media, number)
                    .split(';')
                    .find_map(|parameter| parameter.trim().strip_prefix("apt="))?;
                Some((apt.trim().parse().ok()?, number))
            })
            .collect();
        payload_types(media)
            .filter_map(|payload_type| {
                let codec =
                    VideoCodec::from_name(named(media, payload_type)?.strip_suffix("/90000")?)?;
                Some(VideoFormat {
                    payload_type,
                    codec,
                    parameters: parameters(media, payload_type).to_owned(),
                    rtx: repairs
                        .iter()
                        .find(|(apt, _)| *apt == payload_type)
                        .map(|(_, rtx)| *rtx),
                    nack: feedback(media, payload_type, "nack"),
                    picture_loss: feedback(media, payload_type, "nack pli"),
                    transport_feedback: feedback(media, payload_type, "transport-cc"),
                })
            })
            .filter(|format| is_printable(&format.parameters))
            .take(MAX_VIDEO_FORMATS)
            .collect()
    }

    /// The value of a format parameter, or what its absence means.
    fn parameter(&self, key: &str, absent: &'static str) -> String {
        self.parameters
            .split(';')
            .filter_map(|parameter| parameter.trim().split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .map_or(absent, |(_, value)| value.trim())
            .to_ascii_lowercase()
    }

    /// Whether who can decode this format can decode `other`: the same codec and profile, or one that
    /// is part of it. Levels are not compared, as decoders take more than they say.
    pub fn decodes(&self, other: &VideoFormat) -> bool {
        if self.codec != other.codec {
            return false;
        }
        let same = |key, absent| self.parameter(key, absent) == other.parameter(key, absent);
        match self.codec {
            VideoCodec::Vp8 => true,
            VideoCodec::Vp9 => same("profile-id", "0"),
            VideoCodec::Av1 => same("profile", "0"),
            VideoCodec::H264 => {
                // The level is the last of the three bytes; constraint bits are the middle one.
                let bytes = |format: &VideoFormat| {
                    let id = format.parameter("profile-level-id", "42e01f");
                    let byte = |at: usize| u8::from_str_radix(id.get(at..at + 2)?, 16).ok();
                    Some((byte(0)?, byte(2)?))
                };
                let mode = |format: &VideoFormat| {
                    let mode = format.parameter("packetization-mode", "0");
                    mode.parse::<u8>().ok()
                };
                // Who takes fragments takes whole units, too (RFC 6184 §6.2 and §6.3).
                let units = mode(self).is_some() && mode(self) >= mode(other);
                let (Some(ours), Some(theirs)) = (bytes(self), bytes(other)) else {
                    return false;
                };
                // Constrained baseline is what all profiles have in common (H.264 §A.2).
                let common = theirs.0 == 0x42 && theirs.1 & 0x40 != 0;
                units && mode(other).is_some() && (ours.0 == theirs.0 || common)
            }
        }
    }
}

impl DataFormat {
    pub(super) fn read(media: &MediaDescription) -> Option<DataFormat> {
        let sctp = media.media_name.protos.iter().any(|proto| proto == "SCTP")
            && media.media_name.formats.first().map(String::as_str) == Some("webrtc-datachannel");
        let max_message_size = value(&media.attributes, "max-message-size")
            .and_then(|size| size.parse().ok())
            .unwrap_or(65_536);
        sctp.then_some(DataFormat { max_message_size })
    }
}

/// The section's dynamic payload types that RTP and RTCP on one port leave free: 64–95 would be taken
/// for RTCP (RFC 5761 §4).
fn payload_types(media: &MediaDescription) -> impl Iterator<Item = u8> {
    media
        .media_name
        .formats
        .iter()
        .filter_map(|format| format.parse().ok())
        .filter(|number| *number < 128 && !(64..96).contains(number))
}

/// What `a=rtpmap` calls a payload type.
fn named(media: &MediaDescription, number: u8) -> Option<&str> {
    values(&media.attributes, "rtpmap")
        .filter_map(|line| line.split_once(' '))
        .find(|(format, _)| format.parse() == Ok(number))
        .map(|(_, codec)| codec.trim())
}

fn is_named(media: &MediaDescription, number: u8, codec: &str) -> bool {
    named(media, number).is_some_and(|named| named.eq_ignore_ascii_case(codec))
}

fn parameters(media: &MediaDescription, number: u8) -> &str {
    values(&media.attributes, "fmtp")
        .filter_map(|line| line.split_once(' '))
        .find(|(format, _)| format.parse() == Ok(number))
        .map_or("", |(_, parameters)| parameters.trim())
}

fn feedback(media: &MediaDescription, number: u8, wanted: &str) -> bool {
    values(&media.attributes, "rtcp-fb")
        .filter_map(|line| line.split_once(' '))
        .any(|(format, feedback)| {
            (format == "*" || format.parse() == Ok(number)) && feedback.trim() == wanted
        })
}

/// Parameters are repeated in the answer.
fn is_printable(text: &str) -> bool {
    text.len() <= 256 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
