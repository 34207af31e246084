//! Trickle ICE fragments, `application/trickle-ice-sdpfrag` (RFC 8840 §9, RFC 9725 §4.3).

use super::candidates::Candidates;
use super::offer::is_ice_text;
use crate::stun::ice_lite::IceCredentials;

/// The largest fragment that is read, in bytes.
pub const MAX_FRAGMENT: usize = 16 * 1024;

/// Why a fragment cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// Longer than [`MAX_FRAGMENT`].
    #[error("the fragment is larger than {MAX_FRAGMENT} bytes")]
    TooLarge,
    /// A line that is not `x=value`.
    #[error("the fragment has a line that is not SDP")]
    Garbage,
    /// No valid `a=ice-ufrag` and `a=ice-pwd`.
    #[error("the fragment has no valid ICE user name fragment and password")]
    NoIceCredentials,
}

/// A client's fragment. The server is ICE-lite and learns addresses from checks, so of candidates
/// only the number is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrickleFragment {
    /// The client's user name fragment; a new one asks for an ICE restart.
    pub ice_ufrag: String,
    /// How many candidates it brought.
    pub candidates: usize,
    /// Whether no more will come.
    pub end_of_candidates: bool,
    /// `m=` and `a=mid` lines, which the answer to a restart repeats.
    media: Vec<String>,
}

impl TrickleFragment {
    /// Reads a fragment.
    ///
    /// # Errors
    ///
    /// See [`FragmentError`].
    pub fn parse(text: &str) -> Result<TrickleFragment, FragmentError> {
        if text.len() > MAX_FRAGMENT {
            return Err(FragmentError::TooLarge);
        }
        let (mut ufrag, mut pwd) = (None, None);
        let mut fragment = TrickleFragment {
            ice_ufrag: String::new(),
            candidates: 0,
            end_of_candidates: false,
            media: Vec::new(),
        };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (kind, value) = line.split_once('=').ok_or(FragmentError::Garbage)?;
            if kind.len() != 1 || !kind.as_bytes()[0].is_ascii_lowercase() {
                return Err(FragmentError::Garbage);
            }
            let printable = line.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            match kind {
                "m" if printable && fragment.media.len() < 8 => {
                    fragment.media.push(line.to_owned());
                }
                "a" => match value.split_once(':') {
                    Some(("ice-ufrag", value)) => ufrag = ufrag.or(Some(value)),
                    Some(("ice-pwd", value)) => pwd = pwd.or(Some(value)),
                    Some(("candidate", _)) => fragment.candidates += 1,
                    Some(("mid", _)) if printable && fragment.media.len() < 8 => {
                        fragment.media.push(line.to_owned());
                    }
                    None if value == "end-of-candidates" => fragment.end_of_candidates = true,
                    _ => {}
                },
                _ => {}
            }
        }
        match (ufrag, pwd) {
            (Some(ufrag), Some(pwd)) if is_ice_text(ufrag, 4) && is_ice_text(pwd, 22) => {
                fragment.ice_ufrag = ufrag.to_owned();
                Ok(fragment)
            }
            _ => Err(FragmentError::NoIceCredentials),
        }
    }

    /// The fragment that answers this one's ICE restart.
    pub(crate) fn write_restart(&self, ice: &IceCredentials, candidates: &Candidates) -> String {
        let mut text = format!(
            "a=ice-lite\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n",
            ice.ufrag, ice.pwd
        );
        for line in &self.media {
            text.push_str(line);
            text.push_str("\r\n");
        }
        candidates.write(&mut text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAGMENT: &str = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
        m=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
        a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0\r\n\
        a=end-of-candidates\r\n";

    #[test]
    fn reads_the_rfcs_example() {
        let fragment = TrickleFragment::parse(FRAGMENT).unwrap();
        assert_eq!(fragment.ice_ufrag, "EsAw");
        assert_eq!(fragment.candidates, 1);
        assert!(fragment.end_of_candidates);
        let ice = IceCredentials {
            ufrag: "server".to_owned(),
            pwd: "secret".to_owned(),
        };
        let answer = fragment.write_restart(
            &ice,
            &Candidates {
                udp: vec!["192.0.2.9:5000".parse().unwrap()],
                tcp: Vec::new(),
            },
        );
        assert!(answer.contains("a=ice-ufrag:server\r\na=ice-pwd:secret\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 2130706431 192.0.2.9 5000 typ host\r\n"));
    }

    #[test]
    fn refuses_what_is_not_a_fragment() {
        let parse = |text: &str| TrickleFragment::parse(text).unwrap_err();
        assert_eq!(parse("hello"), FragmentError::Garbage);
        assert_eq!(parse("=x"), FragmentError::Garbage);
        assert_eq!(parse(""), FragmentError::NoIceCredentials);
        assert_eq!(
            parse("a=ice-ufrag:EsAw\r\n"),
            FragmentError::NoIceCredentials
        );
        assert_eq!(parse(&"a=x\r\n".repeat(4000)), FragmentError::TooLarge);
    }
}
