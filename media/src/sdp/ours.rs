//! The sections of offers of ours: what a subscriber's peer connection is offered.

use super::formats::{DataFormat, OpusFormat, VideoFormat};
use super::section::{Direction, Section, SectionKind};
use crate::rtp::extension::{Extension, ExtensionIds};
use crate::video::codec::VideoCodec;

const PROTOCOL: &str = "UDP/TLS/RTP/SAVPF";

/// Payload types of video formats and of their repair, with format parameters. H.264 is offered in the
/// profiles that browsers encode.
const VIDEO: [(u8, u8, VideoCodec, &str); 7] = [
    (96, 97, VideoCodec::Vp8, ""),
    (98, 99, VideoCodec::Vp9, "profile-id=0"),
    (100, 101, VideoCodec::Vp9, "profile-id=2"),
    (
        102,
        103,
        VideoCodec::H264,
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    ),
    (
        104,
        105,
        VideoCodec::H264,
        "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f",
    ),
    (
        106,
        107,
        VideoCodec::H264,
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640032",
    ),
    (45, 46, VideoCodec::Av1, "profile=0"),
];

/// The section of data channels, which comes first.
pub fn data_section() -> Section {
    Section {
        media: "application".to_owned(),
        protocol: "UDP/DTLS/SCTP".to_owned(),
        format: "webrtc-datachannel".to_owned(),
        kind: SectionKind::Data(DataFormat {
            max_message_size: super::answer::MAX_MESSAGE_SIZE,
        }),
        ..section(0)
    }
}

/// A section in which the client receives audio, the `at`-th of the offer.
pub fn audio_section(at: usize) -> Section {
    Section {
        media: "audio".to_owned(),
        kind: SectionKind::Audio(OpusFormat {
            payload_type: 111,
            red: Some(63),
            nack: true,
            rrtr: false,
        }),
        extensions: extensions(&[Extension::AudioLevel, Extension::AbsoluteCaptureTime]),
        ..section(at)
    }
}

/// A section in which the client receives video, the `at`-th of the offer.
pub fn video_section(at: usize) -> Section {
    let formats = VIDEO.map(|(payload_type, rtx, codec, parameters)| VideoFormat {
        payload_type,
        codec,
        parameters: parameters.to_owned(),
        rtx: Some(rtx),
        nack: true,
        picture_loss: true,
        transport_feedback: true,
    });
    Section {
        media: "video".to_owned(),
        kind: SectionKind::Video(formats.to_vec()),
        extensions: extensions(&[
            Extension::TransportSequence,
            Extension::DependencyDescriptor,
            Extension::VideoOrientation,
            Extension::AbsoluteCaptureTime,
            Extension::PlayoutDelay,
        ]),
        ..section(at)
    }
}

fn section(at: usize) -> Section {
    Section {
        media: String::new(),
        protocol: PROTOCOL.to_owned(),
        format: "0".to_owned(),
        mid: Some(at.to_string()),
        direction: Direction::RecvOnly,
        kind: SectionKind::Refused,
        extensions: ExtensionIds::default(),
        ssrcs: Vec::new(),
        msid_track: None,
        rids: Vec::new(),
    }
}

/// Every extension has one id in all sections, as bundling asks for (RFC 8285 §5).
fn extensions(used: &[Extension]) -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    for extension in used {
        ids.set(*extension, *extension as u16 + 1);
    }
    ids
}
