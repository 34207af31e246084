//! One media section of a client's description.

use rtc_sdp::description::common::Attribute;
use rtc_sdp::description::media::MediaDescription;

use super::formats::{DataFormat, OpusFormat, VideoFormat};
use super::layers;
use super::sources::{self, DeclaredSource};
use crate::rtp::extension::{Extension, ExtensionIds};

/// The most simulcast layers of a section that are taken.
pub const MAX_LAYERS: usize = 3;

/// The direction of a media section as its offerer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// The offerer sends.
    SendOnly,
    /// The offerer receives.
    RecvOnly,
    /// Nobody sends.
    Inactive,
}

impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        })
    }
}

impl Direction {
    /// The direction of somebody who sends, receives, both or neither.
    pub fn new(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// Whether the offerer would send.
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the offerer would receive.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }
}

/// What kind of media a section is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// Audio with Opus.
    Audio(OpusFormat),
    /// Video, with at least one codec that can be forwarded, in the offer's order.
    Video(Vec<VideoFormat>),
    /// Data channels.
    Data(DataFormat),
    /// Something else, or a section that was already refused or stopped.
    Refused,
}

impl SectionKind {
    /// Whether it is audio.
    pub fn is_audio(&self) -> bool {
        matches!(self, SectionKind::Audio(_))
    }

    /// Whether it is video.
    pub fn is_video(&self) -> bool {
        matches!(self, SectionKind::Video(_))
    }
}

/// One `m=` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// `audio`, `video` or `application`, as offered.
    pub media: String,
    /// The transport protocol, as offered.
    pub protocol: String,
    /// The first format, which a refusal repeats.
    pub format: String,
    /// `a=mid`.
    pub mid: Option<String>,
    /// Direction, as the offerer sees it.
    pub direction: Direction,
    /// What it can be answered as.
    pub kind: SectionKind,
    /// Ids of the extensions this server understands.
    pub extensions: ExtensionIds,
    /// Sources declared by `a=ssrc`.
    pub ssrcs: Vec<DeclaredSource>,
    /// The track of `a=msid`, if the offerer sends one.
    pub msid_track: Option<String>,
    /// The simulcast layers that the offerer would send (`a=rid … send`), in the offer's order; empty
    /// without simulcast.
    pub rids: Vec<Box<str>>,
}

impl Section {
    pub(super) fn read(media: &MediaDescription, session: &[Attribute]) -> Section {
        let attributes = &media.attributes;
        let protocol = media.media_name.protos.join("/");
        let mid = value(attributes, "mid")
            .filter(|mid| is_token(mid))
            .map(str::to_owned);
        let mut extensions = ExtensionIds::default();
        for at in attributes.iter().filter(|at| at.key == "extmap") {
            if let Some((extension, id)) = at.value.as_deref().and_then(parse_extmap) {
                extensions.set(extension, id);
            }
        }
        Section {
            media: media.media_name.media.clone(),
            kind: kind(media, &protocol),
            protocol,
            format: media
                .media_name
                .formats
                .first()
                .cloned()
                .unwrap_or_else(|| "0".to_owned()),
            mid,
            direction: direction(attributes)
                .or_else(|| direction(session))
                .unwrap_or(Direction::SendRecv),
            extensions,
            ssrcs: sources::read(attributes),
            msid_track: value(attributes, "msid")
                .and_then(|msid| msid.split_whitespace().nth(1))
                .filter(|track| track.len() <= 256)
                .map(str::to_owned),
            rids: rids(attributes),
        }
    }
}

impl Section {
    /// The rids of its simulcast layers, low to high; see [`layers`].
    pub fn layers(&self) -> Vec<Box<str>> {
        layers::low_to_high(&self.rids)
    }

    /// How many streams of simulcast the offerer may send.
    pub fn streams(&self) -> usize {
        match self.rids.len() {
            0 => sources::layers(&self.ssrcs),
            rids => rids,
        }
    }

    /// Takes from a section of ours what the answer to it leaves out. Gives whether that is anything.
    /// What the answer adds or changes, or a refusal, is passed over.
    pub(crate) fn narrow(&mut self, answer: &Section) -> bool {
        if self.mid != answer.mid {
            return false;
        }
        let kind = match (&self.kind, &answer.kind) {
            (SectionKind::Audio(ours), SectionKind::Audio(theirs)) => {
                if ours.payload_type != theirs.payload_type {
                    return false;
                }
                SectionKind::Audio(OpusFormat {
                    red: ours.red.filter(|_| ours.red == theirs.red),
                    nack: ours.nack && theirs.nack,
                    rrtr: ours.rrtr && theirs.rrtr,
                    ..*ours
                })
            }
            (SectionKind::Video(ours), SectionKind::Video(theirs)) => {
                let common = |format: &VideoFormat| {
                    let number = format.payload_type;
                    let theirs = theirs.iter().find(|theirs| theirs.payload_type == number)?;
                    (theirs.codec == format.codec).then(|| VideoFormat {
                        rtx: format.rtx.filter(|_| format.rtx == theirs.rtx),
                        nack: format.nack && theirs.nack,
                        ..format.clone()
                    })
                };
                let common: Vec<VideoFormat> = ours.iter().filter_map(common).collect();
                if common.is_empty() {
                    return false;
                }
                SectionKind::Video(common)
            }
            _ => return false,
        };
        let extensions = self.extensions.in_common(&answer.extensions);
        let changed = self.kind != kind || self.extensions != extensions;
        (self.kind, self.extensions) = (kind, extensions);
        changed
    }
}

fn kind(media: &MediaDescription, protocol: &str) -> SectionKind {
    let live = media.media_name.port.value != 0 || has(&media.attributes, "bundle-only");
    if !live || !protocol.contains("TLS") && !protocol.contains("DTLS") {
        return SectionKind::Refused;
    }
    let rtp = protocol.contains("SAVP");
    match media.media_name.media.as_str() {
        "audio" if rtp => OpusFormat::read(media).map_or(SectionKind::Refused, SectionKind::Audio),
        "video" if rtp => match VideoFormat::read_all(media) {
            formats if formats.is_empty() => SectionKind::Refused,
            formats => SectionKind::Video(formats),
        },
        "application" => DataFormat::read(media).map_or(SectionKind::Refused, SectionKind::Data),
        _ => SectionKind::Refused,
    }
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    attributes.iter().find_map(|at| match at.key.as_str() {
        "sendrecv" => Some(Direction::SendRecv),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::RecvOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    })
}

/// The layers of `a=simulcast:send` (RFC 8853 §5.1) that have an `a=rid` line; alternatives of one
/// layer count as the first of them. Paused layers (`~`) may start at any time.
fn rids(attributes: &[Attribute]) -> Vec<Box<str>> {
    let declared: Vec<&str> = values(attributes, "rid")
        .filter_map(|rid| rid.split_once(' '))
        .filter(|(_, rest)| rest.split_whitespace().next() == Some("send"))
        .map(|(rid, _)| rid)
        .collect();
    let list = values(attributes, "simulcast")
        .find_map(|line| {
            let mut fields = line.split_whitespace();
            fields.find(|field| *field == "send")?;
            fields.next()
        })
        .unwrap_or_default();
    list.split(';')
        .filter_map(|layer| layer.split(',').next())
        .map(|rid| rid.trim_start_matches('~'))
        .filter(|rid| declared.contains(rid) && is_rid(rid))
        .take(MAX_LAYERS)
        .map(Box::from)
        .collect()
}

/// `<id>[/<direction>] <uri> [attributes]` (RFC 8285 §5).
fn parse_extmap(value: &str) -> Option<(Extension, u16)> {
    let mut fields = value.split_whitespace();
    let id = fields.next()?.split('/').next()?.parse().ok()?;
    Some((Extension::from_uri(fields.next()?)?, id))
}

pub(super) fn values<'a>(
    attributes: &'a [Attribute],
    key: &'static str,
) -> impl Iterator<Item = &'a str> {
    attributes
        .iter()
        .filter(move |at| at.key == key)
        .filter_map(|at| at.value.as_deref())
        .map(str::trim)
}

pub(super) fn value<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|at| at.key == key)
        .and_then(|at| at.value.as_deref())
        .map(str::trim)
}

pub(super) fn has(attributes: &[Attribute], key: &str) -> bool {
    attributes.iter().any(|at| at.key == key)
}

/// RFC 8852 §3.1: letters and digits; some clients use `-` and `_`. Short enough for a header
/// extension of one byte's length.
fn is_rid(text: &str) -> bool {
    (1..=16).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A token (RFC 8866 §9) short enough to repeat.
fn is_token(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&byte))
}
