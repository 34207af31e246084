//! Answers, generated from what the worker decided.

use std::fmt::Write;
use std::net::SocketAddr;

use super::offer::{Direction, Offer, OpusFormat, Section, SectionKind};
use crate::rtp::extension::Extension;
use crate::stun::ice_lite::IceCredentials;

/// What becomes of one offered section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionAnswer {
    /// Refused: port 0.
    Refuse,
    /// The server receives.
    Receive,
    /// The server sends one stream.
    Send {
        /// Its synchronisation source.
        ssrc: u32,
        /// Its stream and track ids for `a=msid`.
        msid: (String, String),
    },
}

/// Everything an answer says about the server.
#[derive(Debug)]
pub struct AnswerContext<'a> {
    /// The server's ICE credentials for this peer.
    pub ice: &'a IceCredentials,
    /// The server's certificate, SHA-256.
    pub fingerprint: &'a str,
    /// Host candidates.
    pub candidates: &'a [SocketAddr],
    /// The RTCP canonical name of what is sent.
    pub cname: &'a str,
    /// `o=` session id, under 2⁶².
    pub session_id: u64,
}

/// Writes the answer to `offer`, with one [`SectionAnswer`] for each of its sections.
pub fn write_answer(
    offer: &Offer,
    sections: &[SectionAnswer],
    context: &AnswerContext<'_>,
) -> String {
    let mut sdp = String::with_capacity(2048);
    // Writing to a String cannot fail.
    let _ = write!(
        sdp,
        "v=0\r\no=- {} 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
        context.session_id
    );
    let accepted = || {
        offer
            .sections
            .iter()
            .zip(sections)
            .filter(|(_, answer)| **answer != SectionAnswer::Refuse)
    };
    if offer.bundled {
        sdp.push_str("a=group:BUNDLE");
        for mid in accepted().filter_map(|(section, _)| section.mid.as_deref()) {
            let _ = write!(sdp, " {mid}");
        }
        sdp.push_str("\r\n");
    }
    sdp.push_str("a=ice-lite\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS *\r\n");
    let mut first = true;
    for (section, answer) in offer.sections.iter().zip(sections) {
        match (&section.kind, answer) {
            (SectionKind::Audio(opus), SectionAnswer::Receive | SectionAnswer::Send { .. }) => {
                write_audio(&mut sdp, section, opus, answer, context, first);
                first = false;
            }
            _ => {
                let _ = write!(
                    sdp,
                    "m={} 0 {} {}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n",
                    section.media, section.protocol, section.format
                );
                write_mid(&mut sdp, section);
            }
        }
    }
    sdp
}

fn write_mid(sdp: &mut String, section: &Section) {
    if let Some(mid) = &section.mid {
        let _ = write!(sdp, "a=mid:{mid}\r\n");
    }
}

fn write_audio(
    sdp: &mut String,
    section: &Section,
    opus: &OpusFormat,
    answer: &SectionAnswer,
    context: &AnswerContext<'_>,
    first: bool,
) {
    let payload_type = opus.payload_type;
    let _ = write!(
        sdp,
        "m=audio 9 {} {payload_type}\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\na=setup:passive\r\n",
        section.protocol, context.ice.ufrag, context.ice.pwd, context.fingerprint
    );
    write_mid(sdp, section);
    for extension in [Extension::AudioLevel, Extension::Mid] {
        // The server writes no mid: its streams are told apart by SSRC.
        let used = matches!(answer, SectionAnswer::Receive) || extension != Extension::Mid;
        if let Some(id) = section.extensions.get(extension).filter(|_| used) {
            let _ = write!(sdp, "a=extmap:{id} {}\r\n", extension.uri());
        }
    }
    let direction = match answer {
        SectionAnswer::Receive => Direction::RecvOnly,
        _ => Direction::SendOnly,
    };
    let _ = write!(
        sdp,
        "a={direction}\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:{payload_type} opus/48000/2\r\n"
    );
    if opus.nack {
        let _ = write!(sdp, "a=rtcp-fb:{payload_type} nack\r\n");
    }
    if opus.rrtr {
        let _ = write!(sdp, "a=rtcp-fb:{payload_type} rrtr\r\n");
    }
    let _ = write!(sdp, "a=fmtp:{payload_type} minptime=10;useinbandfec=1\r\n");
    if let SectionAnswer::Send {
        ssrc,
        msid: (stream, track),
    } = answer
    {
        let cname = context.cname;
        let _ = write!(
            sdp,
            "a=msid:{stream} {track}\r\na=ssrc:{ssrc} cname:{cname}\r\n\
             a=ssrc:{ssrc} msid:{stream} {track}\r\n"
        );
    }
    if first || section.mid.is_none() {
        write_candidates(sdp, context.candidates);
    }
}

/// Writes host candidates (RFC 8839 §5.1) and their end.
pub(super) fn write_candidates(sdp: &mut String, candidates: &[SocketAddr]) {
    for (at, candidate) in candidates.iter().enumerate() {
        // RFC 8445 §5.1.2: type preference of host candidates 126, component 1.
        let priority = (126 << 24) + ((65_535 - at as u32) << 8) + 255;
        let _ = write!(
            sdp,
            "a=candidate:{} 1 udp {priority} {} {} typ host\r\n",
            at + 1,
            candidate.ip(),
            candidate.port()
        );
    }
    sdp.push_str("a=end-of-candidates\r\n");
}

#[cfg(test)]
mod tests {
    use super::super::offer::tests::CHROMIUM;
    use super::*;

    fn answer(sections: &[SectionAnswer]) -> String {
        let ice = IceCredentials {
            ufrag: "serverfr".to_owned(),
            pwd: "p".repeat(24),
        };
        write_answer(
            &Offer::parse(CHROMIUM).unwrap(),
            sections,
            &AnswerContext {
                ice: &ice,
                fingerprint: "AA:BB",
                candidates: &[
                    "192.0.2.1:4000".parse().unwrap(),
                    "[2001:db8::1]:4000".parse().unwrap(),
                ],
                cname: "hive",
                session_id: 7,
            },
        )
    }

    #[test]
    fn receives_audio_and_refuses_video() {
        let sdp = answer(&[SectionAnswer::Receive, SectionAnswer::Refuse]);
        for line in [
            "a=group:BUNDLE 0",
            "a=ice-lite",
            "m=audio 9 UDP/TLS/RTP/SAVPF 111",
            "a=setup:passive",
            "a=recvonly",
            "a=rtcp-mux",
            "a=mid:0",
            "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            "a=candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host",
            "a=candidate:2 1 udp 2130706175 2001:db8::1 4000 typ host",
            "a=end-of-candidates",
            "m=video 0 UDP/TLS/RTP/SAVPF 96",
            "a=mid:1",
        ] {
            assert!(sdp.lines().any(|found| found == line), "{line} in\n{sdp}");
        }
        assert!(!sdp.contains("abs-send-time") && !sdp.contains("transport-cc"));
        rtc_sdp::SessionDescription::unmarshal(&mut std::io::Cursor::new(sdp)).unwrap();
    }

    #[test]
    fn names_what_it_sends() {
        let sdp = answer(&[
            SectionAnswer::Send {
                ssrc: 42,
                msid: ("floor".to_owned(), "floor-0".to_owned()),
            },
            SectionAnswer::Refuse,
        ]);
        for line in [
            "a=sendonly",
            "a=msid:floor floor-0",
            "a=ssrc:42 cname:hive",
            "a=ssrc:42 msid:floor floor-0",
        ] {
            assert!(sdp.lines().any(|found| found == line), "{line} in\n{sdp}");
        }
    }
}
