//! What a client offers, checked (RFC 8829, RFC 9429, and what WHIP and WHEP narrow it to).

use std::io::Cursor;
use std::panic::catch_unwind;

use rtc_sdp::description::common::Attribute;
use rtc_sdp::description::media::MediaDescription;
use rtc_sdp::description::session::SessionDescription;

use crate::rtp::extension::{Extension, ExtensionIds};

/// The largest offer that is read, in bytes. Chromium's with audio and simulcast video is under 10 KiB.
pub const MAX_OFFER: usize = 64 * 1024;
/// The most media sections in an offer.
pub const MAX_SECTIONS: usize = 64;

/// Why an offer cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// Longer than [`MAX_OFFER`] or with more than [`MAX_SECTIONS`] sections.
    #[error("the offer is larger than {MAX_OFFER} bytes or {MAX_SECTIONS} media sections")]
    TooLarge,
    /// Not SDP.
    #[error("the offer is not a session description: {0}")]
    Garbage(String),
    /// No usable audio section.
    #[error("the offer has no audio section; add an audio transceiver")]
    NoAudio,
    /// Audio, but not Opus.
    #[error("the offer's audio has no opus/48000/2; this server speaks only Opus")]
    NoOpus,
    /// No `a=fingerprint` with SHA-256, SHA-384 or SHA-512.
    #[error("the offer has no certificate fingerprint of SHA-256 or stronger")]
    NoFingerprint,
    /// No `a=ice-ufrag` and `a=ice-pwd`, or out of bounds.
    #[error("the offer has no valid ICE user name fragment and password")]
    NoIceCredentials,
    /// `a=ice-lite`: two lite agents never check a path.
    #[error(
        "the offer is from an ICE-lite agent; this server is one itself, so nobody would check"
    )]
    IceLite,
    /// The peer wants this server to start DTLS.
    #[error("the offer says a=setup:passive; offer actpass or active")]
    SetupPassive,
    /// Several sections without BUNDLE.
    #[error("the offer's sections are not bundled; add a=group:BUNDLE with every mid")]
    NoBundle,
    /// No `a=rtcp-mux`.
    #[error("the offer's audio does not multiplex RTCP; add a=rtcp-mux")]
    NoRtcpMux,
    /// Publishing needs a section that sends, listening one that receives.
    #[error("the offer's audio is {found}; {wanted} is needed here")]
    WrongDirection {
        /// The direction of the first audio section.
        found: Direction,
        /// What would do.
        wanted: &'static str,
    },
}

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
    /// Whether the offerer would send.
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the offerer would receive.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }
}

/// The digest of a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FingerprintAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl FingerprintAlgorithm {
    pub(crate) fn digest(self) -> &'static ring::digest::Algorithm {
        match self {
            FingerprintAlgorithm::Sha256 => &ring::digest::SHA256,
            FingerprintAlgorithm::Sha384 => &ring::digest::SHA384,
            FingerprintAlgorithm::Sha512 => &ring::digest::SHA512,
        }
    }
}

/// `a=fingerprint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The digest.
    pub algorithm: FingerprintAlgorithm,
    /// Hex pairs with colons, as offered.
    pub value: String,
}

/// The Opus format of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusFormat {
    /// Its payload type.
    pub payload_type: u8,
    /// Whether generic NACK (RFC 4585) was offered for it.
    pub nack: bool,
    /// Whether receiver reference time reports (RFC 3611) were offered, which give this server the
    /// round trip to a peer that only sends.
    pub rrtr: bool,
}

/// What kind of media a section is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// Audio with Opus.
    Audio(OpusFormat),
    /// Audio without Opus, video, data, or a section that was already refused or stopped.
    Refused,
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
    /// SSRCs declared by `a=ssrc`, flagged if `a=ssrc-group:FID` says they repair another.
    pub ssrcs: Vec<(u32, bool)>,
}

/// A checked offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Media sections, in the offer's order.
    pub sections: Vec<Section>,
    /// Whether the sections are bundled.
    pub bundled: bool,
    /// The peer's `a=ice-ufrag`.
    pub ice_ufrag: String,
    /// The peer's certificate.
    pub fingerprint: Fingerprint,
}

impl Offer {
    /// Reads and checks an offer.
    ///
    /// # Errors
    ///
    /// See [`OfferError`].
    pub fn parse(text: &str) -> Result<Offer, OfferError> {
        if text.len() > MAX_OFFER {
            return Err(OfferError::TooLarge);
        }
        // A defect of the parser, met by one client's text, must end in that client's error.
        let session =
            catch_unwind(|| SessionDescription::unmarshal(&mut Cursor::new(text.as_bytes())))
                .map_err(|_| OfferError::Garbage("it broke the parser".to_owned()))?
                .map_err(|error| OfferError::Garbage(error.to_string()))?;
        if session.media_descriptions.len() > MAX_SECTIONS {
            return Err(OfferError::TooLarge);
        }
        if session.attributes.iter().any(|at| at.key == "ice-lite") {
            return Err(OfferError::IceLite);
        }
        let sections: Vec<Section> = session
            .media_descriptions
            .iter()
            .map(|media| section(media, &session.attributes))
            .collect();
        if !sections.iter().any(|section| section.media == "audio") {
            return Err(OfferError::NoAudio);
        }
        let Some(first) = sections
            .iter()
            .position(|section| matches!(section.kind, SectionKind::Audio(_)))
        else {
            return Err(OfferError::NoOpus);
        };

        // Bundled sections share the first one's transport; look there, then at the session.
        let media = &session.media_descriptions[first];
        let transport =
            |key: &str| value(&media.attributes, key).or_else(|| value(&session.attributes, key));
        if !has(&media.attributes, "rtcp-mux") {
            return Err(OfferError::NoRtcpMux);
        }
        let ice_ufrag = transport("ice-ufrag").unwrap_or_default();
        let ice_pwd = transport("ice-pwd").unwrap_or_default();
        if !is_ice_text(ice_ufrag, 4) || !is_ice_text(ice_pwd, 22) {
            return Err(OfferError::NoIceCredentials);
        }
        let fingerprint = media
            .attributes
            .iter()
            .chain(&session.attributes)
            .filter(|at| at.key == "fingerprint")
            .find_map(|at| parse_fingerprint(at.value.as_deref()?))
            .ok_or(OfferError::NoFingerprint)?;
        if transport("setup") == Some("passive") {
            return Err(OfferError::SetupPassive);
        }
        let bundle: Vec<&str> = session
            .attributes
            .iter()
            .filter(|at| at.key == "group")
            .filter_map(|at| at.value.as_deref()?.strip_prefix("BUNDLE"))
            .flat_map(str::split_whitespace)
            .collect();
        let mut usable = sections
            .iter()
            .filter(|section| matches!(section.kind, SectionKind::Audio(_)));
        let in_bundle = |section: &Section| {
            section
                .mid
                .as_deref()
                .is_some_and(|mid| bundle.contains(&mid))
        };
        let bundled = usable.clone().all(in_bundle);
        if !bundled && usable.nth(1).is_some() {
            return Err(OfferError::NoBundle);
        }
        Ok(Offer {
            bundled,
            ice_ufrag: ice_ufrag.to_owned(),
            fingerprint,
            sections,
        })
    }

    /// Indices of the audio sections whose direction suits `fits`.
    ///
    /// # Errors
    ///
    /// [`OfferError::WrongDirection`] if there are none.
    pub fn audio_sections(
        &self,
        fits: fn(Direction) -> bool,
        wanted: &'static str,
    ) -> Result<Vec<usize>, OfferError> {
        let audio = || {
            self.sections
                .iter()
                .enumerate()
                .filter(|(_, section)| matches!(section.kind, SectionKind::Audio(_)))
        };
        let fitting: Vec<usize> = audio()
            .filter(|(_, section)| fits(section.direction))
            .map(|(at, _)| at)
            .collect();
        if fitting.is_empty() {
            let found = audio()
                .map(|(_, section)| section.direction)
                .next()
                .unwrap_or(Direction::Inactive);
            return Err(OfferError::WrongDirection { found, wanted });
        }
        Ok(fitting)
    }
}

fn section(media: &MediaDescription, session: &[Attribute]) -> Section {
    let attributes = &media.attributes;
    let protocol = media.media_name.protos.join("/");
    let mid = value(attributes, "mid")
        .filter(|mid| is_token(mid))
        .map(str::to_owned);
    let secured = protocol.contains("TLS") && protocol.contains("SAVP");
    let live = media.media_name.port.value != 0 || has(attributes, "bundle-only");
    let opus = (media.media_name.media == "audio" && secured && live)
        .then(|| opus(media))
        .flatten();
    let mut extensions = ExtensionIds::default();
    for at in attributes.iter().filter(|at| at.key == "extmap") {
        if let Some((extension, id)) = at.value.as_deref().and_then(parse_extmap) {
            extensions.set(extension, id);
        }
    }
    Section {
        media: media.media_name.media.clone(),
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
        kind: opus.map_or(SectionKind::Refused, SectionKind::Audio),
        extensions,
        ssrcs: ssrcs(attributes),
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

/// The first of the section's formats that is `opus/48000/2` (RFC 7587 §7).
fn opus(media: &MediaDescription) -> Option<OpusFormat> {
    let payload_type = media.media_name.formats.iter().find_map(|format| {
        let payload_type: u8 = format.parse().ok().filter(|&number| number < 128)?;
        // With RTCP on the same port, 64–95 would be taken for RTCP (RFC 5761 §4).
        if (64..96).contains(&payload_type) {
            return None;
        }
        media
            .attributes
            .iter()
            .filter(|at| at.key == "rtpmap")
            .filter_map(|at| at.value.as_deref()?.split_once(' '))
            .any(|(number, codec)| {
                number == format && codec.trim().eq_ignore_ascii_case("opus/48000/2")
            })
            .then_some(payload_type)
    })?;
    let feedback = |wanted: &str| {
        media
            .attributes
            .iter()
            .filter(|at| at.key == "rtcp-fb")
            .filter_map(|at| at.value.as_deref()?.split_once(' '))
            .any(|(number, feedback)| {
                (number == "*" || number.parse() == Ok(payload_type)) && feedback.trim() == wanted
            })
    };
    Some(OpusFormat {
        payload_type,
        nack: feedback("nack"),
        rrtr: feedback("rrtr"),
    })
}

fn ssrcs(attributes: &[Attribute]) -> Vec<(u32, bool)> {
    let values = |key: &'static str| {
        attributes
            .iter()
            .filter(move |at| at.key == key)
            .filter_map(|at| at.value.as_deref())
    };
    let repairs: Vec<u32> = values("ssrc-group")
        .filter_map(|group| group.strip_prefix("FID "))
        .filter_map(|group| group.split_whitespace().nth(1)?.parse().ok())
        .collect();
    let mut ssrcs: Vec<(u32, bool)> = Vec::new();
    for value in values("ssrc") {
        let Some(ssrc) = value.split(' ').next().and_then(|ssrc| ssrc.parse().ok()) else {
            continue;
        };
        if ssrcs.len() < 16 && !ssrcs.iter().any(|&(known, _)| known == ssrc) {
            ssrcs.push((ssrc, repairs.contains(&ssrc)));
        }
    }
    ssrcs
}

/// `<id>[/<direction>] <uri> [attributes]` (RFC 8285 §5).
fn parse_extmap(value: &str) -> Option<(Extension, u16)> {
    let mut fields = value.split_whitespace();
    let id = fields.next()?.split('/').next()?.parse().ok()?;
    Some((Extension::from_uri(fields.next()?)?, id))
}

fn parse_fingerprint(value: &str) -> Option<Fingerprint> {
    let (algorithm, digest) = value.trim().split_once(' ')?;
    let (algorithm, bytes) = match algorithm.to_ascii_lowercase().as_str() {
        "sha-256" => (FingerprintAlgorithm::Sha256, 32),
        "sha-384" => (FingerprintAlgorithm::Sha384, 48),
        "sha-512" => (FingerprintAlgorithm::Sha512, 64),
        _ => return None,
    };
    let digest = digest.trim();
    let pairs = digest.split(':');
    let sound = pairs.clone().count() == bytes
        && pairs
            .into_iter()
            .all(|pair| pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
    sound.then(|| Fingerprint {
        algorithm,
        value: digest.to_owned(),
    })
}

fn value<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|at| at.key == key)
        .and_then(|at| at.value.as_deref())
        .map(str::trim)
}

fn has(attributes: &[Attribute], key: &str) -> bool {
    attributes.iter().any(|at| at.key == key)
}

/// RFC 8839 §5.4: 4 (22) to 256 characters of letters, digits, `+` and `/`. Some clients use `-` and
/// `_` as well.
pub(crate) fn is_ice_text(text: &str, min: usize) -> bool {
    (min..=256).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte))
}

/// A token (RFC 8866 §9) short enough to repeat.
fn is_token(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&byte))
}

#[cfg(test)]
#[path = "offer_tests.rs"]
pub(crate) mod tests;
