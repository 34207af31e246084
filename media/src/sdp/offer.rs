//! What a client offers, checked (RFC 8829, RFC 9429, and what WHIP and WHEP narrow it to).

use std::io::Cursor;
use std::panic::catch_unwind;

use rtc_sdp::description::media::MediaDescription;
use rtc_sdp::description::session::SessionDescription;

pub use super::section::{Direction, Section, SectionKind};
use super::section::{has, value};

/// The largest offer that is read, in bytes. A video section of Chromium's is about 5 KiB.
pub const MAX_OFFER: usize = 1024 * 1024;
/// The most media sections in an offer.
pub const MAX_SECTIONS: usize = 128;

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
    #[error("the offer has no section that can be used; add an audio transceiver")]
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
    /// A section of audio or video without `a=rtcp-mux`.
    #[error("the offer has a section that does not multiplex RTCP; add a=rtcp-mux to it")]
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
    /// Reads and checks an offer of plain Opus, as WHIP and WHEP make it; other sections are refused.
    ///
    /// # Errors
    ///
    /// See [`OfferError`].
    pub fn parse_audio(text: &str) -> Result<Offer, OfferError> {
        Offer::read(text, |section| match &mut section.kind {
            SectionKind::Audio(opus) => opus.red = None,
            other => *other = SectionKind::Refused,
        })
    }

    /// Reads and checks an offer of audio, video and data channels, of which none need be there; or
    /// an answer to an offer of ours, which reads alike.
    ///
    /// # Errors
    ///
    /// See [`OfferError`].
    pub fn parse(text: &str) -> Result<Offer, OfferError> {
        Offer::read(text, |_| {})
    }

    fn read(text: &str, narrow: impl Fn(&mut Section)) -> Result<Offer, OfferError> {
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
        let mut sections: Vec<Section> = session
            .media_descriptions
            .iter()
            .map(|media| Section::read(media, &session.attributes))
            .collect();
        sections.iter_mut().for_each(narrow);
        let mut mids: Vec<&str> = sections.iter().filter_map(|it| it.mid.as_deref()).collect();
        mids.sort_unstable();
        if let Some(pair) = mids.windows(2).find(|pair| pair[0] == pair[1]) {
            let twice = format!("two sections have the mid {}", pair[0]);
            return Err(OfferError::Garbage(twice));
        }
        let used = |section: &Section| section.kind != SectionKind::Refused;
        // Without a section that can be used there may be none with a transport either.
        let Some(first) = sections.iter().position(used) else {
            let audio = sections.iter().any(|section| section.media == "audio");
            return Err(if audio {
                OfferError::NoOpus
            } else {
                OfferError::NoAudio
            });
        };

        // Bundled sections share the first one's transport; look there, then at the session.
        let media = &session.media_descriptions[first];
        let transport =
            |key: &str| value(&media.attributes, key).or_else(|| value(&session.attributes, key));
        let multiplexed = |(section, media): (&Section, &MediaDescription)| {
            !(section.kind.is_audio() || section.kind.is_video())
                || has(&media.attributes, "rtcp-mux")
        };
        if !sections
            .iter()
            .zip(&session.media_descriptions)
            .all(multiplexed)
        {
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
        let mut usable = sections.iter().filter(|section| used(section));
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
                .filter(|(_, section)| section.kind.is_audio())
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

/// RFC 8839 §5.4: 4 (22) to 256 characters of letters, digits, `+` and `/`. Some clients use `-` and
/// `_` as well.
pub(crate) fn is_ice_text(text: &str, min: usize) -> bool {
    (min..=256).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte))
}

#[cfg(test)]
#[path = "offer_tests.rs"]
pub(crate) mod tests;
