//! Answers, and offers of ours, generated from what the worker decided.

use std::fmt::Write;

use super::candidates::Candidates;
use super::formats::{OpusFormat, VideoFormat};
use super::offer::Offer;
use super::section::{Direction, Section, SectionKind};
use crate::rtp::extension::Extension;
use crate::stun::ice_lite::IceCredentials;
use crate::video::codec::VideoCodec;

/// The largest data channel message that clients are to send, in bytes: what is passed on, and what an SDP without
/// the attribute means (RFC 8841, section 6.1). A browser refuses to send a larger one and tells the application,
/// which would otherwise never learn that it was dropped.
pub const MAX_MESSAGE_SIZE: usize = 64 * 1024;

/// What becomes of one section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionAnswer {
    /// Refused: port 0.
    Refuse,
    /// Audio or video.
    Media(MediaAnswer),
    /// Data channels.
    Data,
}

/// Who sends in a section of audio or video.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaAnswer {
    /// Whether the server receives.
    pub receive: bool,
    /// What the server sends.
    pub send: Option<SentStream>,
    /// How the client should encode what the server receives.
    pub prefer: Preference,
}

/// How a publisher should encode, and what it is that it publishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preference {
    /// The video codec; the offer's first if there is none.
    pub codec: Option<VideoCodec>,
    /// Whether audio pauses in silence (`usedtx`).
    pub dtx: bool,
    /// Whether audio has two channels.
    pub stereo: bool,
    /// Whether audio is sent redundantly (RFC 2198), if the client can.
    pub red: bool,
    /// Whether it is no microphone, and is sent to clients however many are louder.
    pub always: bool,
}

/// One stream that the server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentStream {
    /// Its synchronisation source.
    pub ssrc: u32,
    /// The source of its retransmissions.
    pub rtx: Option<u32>,
    /// Its stream and track ids for `a=msid`.
    pub msid: (String, String),
}

impl SectionAnswer {
    /// The server receives, as the client likes to send.
    pub fn receive() -> SectionAnswer {
        SectionAnswer::Media(MediaAnswer {
            receive: true,
            ..MediaAnswer::default()
        })
    }

    /// The server sends.
    pub fn send(stream: SentStream) -> SectionAnswer {
        SectionAnswer::Media(MediaAnswer {
            send: Some(stream),
            ..MediaAnswer::default()
        })
    }
}

/// Everything a description says about the server.
#[derive(Debug)]
pub struct AnswerContext<'a> {
    /// The server's ICE credentials for this peer.
    pub ice: &'a IceCredentials,
    /// The server's certificate, SHA-256.
    pub fingerprint: &'a str,
    /// Host candidates.
    pub candidates: &'a Candidates,
    /// The RTCP canonical name of what is sent.
    pub cname: &'a str,
    /// `o=` session id, under 2⁶².
    pub session_id: u64,
    /// `o=` session version, which grows with each description.
    pub version: u64,
}

/// Writes the answer to `offer`, with one [`SectionAnswer`] for each of its sections.
pub fn write_answer(
    offer: &Offer,
    sections: &[SectionAnswer],
    context: &AnswerContext<'_>,
) -> String {
    let sections: Vec<_> = offer.sections.iter().zip(sections).collect();
    write_description(&sections, offer.bundled, "passive", context)
}

/// Writes an offer with these sections, of which the server's own directions are in the answers.
pub fn write_offer(sections: &[(Section, SectionAnswer)], context: &AnswerContext<'_>) -> String {
    let sections: Vec<_> = sections
        .iter()
        .map(|(section, answer)| (section, answer))
        .collect();
    write_description(&sections, true, "actpass", context)
}

fn write_description(
    sections: &[(&Section, &SectionAnswer)],
    bundled: bool,
    setup: &str,
    context: &AnswerContext<'_>,
) -> String {
    let mut sdp = String::with_capacity(2048);
    // Writing to a String cannot fail.
    let _ = write!(
        sdp,
        "v=0\r\no=- {} {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
        context.session_id, context.version
    );
    if bundled {
        sdp.push_str("a=group:BUNDLE");
        let accepted = sections
            .iter()
            .filter(|(_, answer)| **answer != SectionAnswer::Refuse);
        for mid in accepted.filter_map(|(section, _)| section.mid.as_deref()) {
            let _ = write!(sdp, " {mid}");
        }
        sdp.push_str("\r\n");
    }
    sdp.push_str("a=ice-lite\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS *\r\n");
    let mut first = true;
    for (section, answer) in sections {
        match (&section.kind, answer) {
            (SectionKind::Audio(opus), SectionAnswer::Media(media)) => {
                let mut opus = opus.clone();
                if media.receive && !media.prefer.red {
                    opus.red = None;
                }
                write_head(&mut sdp, section, &audio_formats(&opus), setup, context);
                write_extensions(&mut sdp, section, media);
                write_audio(&mut sdp, &opus, media);
                write_streams(&mut sdp, media, context);
            }
            (SectionKind::Video(formats), SectionAnswer::Media(media)) => {
                let formats = in_preference(formats, media.prefer.codec);
                write_head(&mut sdp, section, &video_formats(&formats), setup, context);
                write_extensions(&mut sdp, section, media);
                write_video(&mut sdp, section, &formats, media);
                write_streams(&mut sdp, media, context);
            }
            (SectionKind::Data(_), SectionAnswer::Data) => {
                write_head(&mut sdp, section, "webrtc-datachannel", setup, context);
                let _ = write!(
                    sdp,
                    "a=sctp-port:5000\r\na=max-message-size:{MAX_MESSAGE_SIZE}\r\n"
                );
            }
            _ => {
                let _ = write!(
                    sdp,
                    "m={} 0 {} {}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n",
                    section.media, section.protocol, section.format
                );
                write_mid(&mut sdp, section);
                continue;
            }
        }
        if first || section.mid.is_none() {
            context.candidates.write(&mut sdp);
        }
        first = false;
    }
    sdp
}

fn write_mid(sdp: &mut String, section: &Section) {
    if let Some(mid) = &section.mid {
        let _ = write!(sdp, "a=mid:{mid}\r\n");
    }
}

fn write_head(
    sdp: &mut String,
    section: &Section,
    formats: &str,
    setup: &str,
    context: &AnswerContext<'_>,
) {
    let _ = write!(
        sdp,
        "m={} 9 {} {formats}\r\nc=IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\na=setup:{setup}\r\n",
        section.media, section.protocol, context.ice.ufrag, context.ice.pwd, context.fingerprint
    );
    write_mid(sdp, section);
}

/// Says which extensions the server reads and writes.
fn write_extensions(sdp: &mut String, section: &Section, media: &MediaAnswer) {
    let audio = section.kind.is_audio();
    for extension in Extension::ALL.map(|(extension, _)| extension) {
        let used = match extension {
            Extension::AudioLevel => audio,
            // The server writes none of them, as its streams are told apart by SSRC; but what one
            // answer leaves out, Chromium does not offer again, not even in other sections.
            Extension::Mid => true,
            Extension::Rid | Extension::RepairedRid => !audio,
            Extension::AbsoluteCaptureTime => true,
            // Only video is adapted to the network.
            Extension::TransportSequence
            | Extension::DependencyDescriptor
            | Extension::VideoOrientation
            | Extension::PlayoutDelay => !audio,
        };
        if let Some(id) = section.extensions.get(extension).filter(|_| used) {
            let _ = write!(sdp, "a=extmap:{id} {}\r\n", extension.uri());
        }
    }
    let direction = Direction::new(media.send.is_some(), media.receive);
    let _ = write!(sdp, "a={direction}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n");
}

fn audio_formats(opus: &OpusFormat) -> String {
    match opus.red {
        // Redundancy first is what makes publishers use it.
        Some(red) => format!("{red} {}", opus.payload_type),
        None => opus.payload_type.to_string(),
    }
}

fn write_audio(sdp: &mut String, opus: &OpusFormat, media: &MediaAnswer) {
    let payload_type = opus.payload_type;
    let _ = write!(sdp, "a=rtpmap:{payload_type} opus/48000/2\r\n");
    if opus.nack {
        let _ = write!(sdp, "a=rtcp-fb:{payload_type} nack\r\n");
    }
    if opus.rrtr {
        let _ = write!(sdp, "a=rtcp-fb:{payload_type} rrtr\r\n");
    }
    let _ = write!(sdp, "a=fmtp:{payload_type} minptime=10;useinbandfec=1");
    if media.prefer.dtx {
        sdp.push_str(";usedtx=1");
    }
    if media.prefer.stereo {
        sdp.push_str(";stereo=1");
    }
    sdp.push_str("\r\n");
    if let Some(red) = opus.red {
        let _ = write!(
            sdp,
            "a=rtpmap:{red} red/48000/2\r\na=fmtp:{red} {payload_type}/{payload_type}\r\n"
        );
    }
}

/// The formats, those of the preferred codec first.
fn in_preference(formats: &[VideoFormat], codec: Option<VideoCodec>) -> Vec<&VideoFormat> {
    let mut formats: Vec<_> = formats.iter().collect();
    // The sort is stable.
    formats.sort_by_key(|format| codec.is_some_and(|codec| format.codec != codec));
    formats
}

fn video_formats(formats: &[&VideoFormat]) -> String {
    let numbers: Vec<String> = formats
        .iter()
        .flat_map(|format| [Some(format.payload_type), format.rtx])
        .flatten()
        .map(|number| number.to_string())
        .collect();
    numbers.join(" ")
}

fn write_video(sdp: &mut String, section: &Section, formats: &[&VideoFormat], media: &MediaAnswer) {
    for format in formats {
        let number = format.payload_type;
        let _ = write!(sdp, "a=rtpmap:{number} {}/90000\r\n", format.codec.name());
        for (offered, feedback) in [
            (format.transport_feedback, "transport-cc"),
            (format.nack, "nack"),
            (format.picture_loss, "nack pli"),
        ] {
            if offered {
                let _ = write!(sdp, "a=rtcp-fb:{number} {feedback}\r\n");
            }
        }
        if !format.parameters.is_empty() {
            let _ = write!(sdp, "a=fmtp:{number} {}\r\n", format.parameters);
        }
        if let Some(rtx) = format.rtx {
            let _ = write!(
                sdp,
                "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={number}\r\n"
            );
        }
    }
    if media.receive && !section.rids.is_empty() {
        for rid in &section.rids {
            let _ = write!(sdp, "a=rid:{rid} recv\r\n");
        }
        let _ = write!(sdp, "a=simulcast:recv {}\r\n", section.rids.join(";"));
    }
}

fn write_streams(sdp: &mut String, media: &MediaAnswer, context: &AnswerContext<'_>) {
    let Some(SentStream {
        ssrc,
        rtx,
        msid: (stream, track),
    }) = &media.send
    else {
        return;
    };
    let _ = write!(sdp, "a=msid:{stream} {track}\r\n");
    if let Some(rtx) = rtx {
        let _ = write!(sdp, "a=ssrc-group:FID {ssrc} {rtx}\r\n");
    }
    for ssrc in [Some(ssrc), rtx.as_ref()].into_iter().flatten() {
        let cname = context.cname;
        let _ = write!(
            sdp,
            "a=ssrc:{ssrc} cname:{cname}\r\na=ssrc:{ssrc} msid:{stream} {track}\r\n"
        );
    }
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
            &Offer::parse_audio(CHROMIUM).unwrap(),
            sections,
            &AnswerContext {
                ice: &ice,
                fingerprint: "AA:BB",
                candidates: &Candidates {
                    udp: vec!["192.0.2.1:4000".parse().unwrap()],
                    tcp: vec!["192.0.2.1:4001".parse().unwrap()],
                },
                cname: "hive",
                session_id: 7,
                version: 1,
            },
        )
    }

    #[test]
    fn receives_audio_and_refuses_video() {
        let sdp = answer(&[SectionAnswer::receive(), SectionAnswer::Refuse]);
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
            "a=candidate:2 1 tcp 1520435199 192.0.2.1 4001 typ host tcptype passive",
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
            SectionAnswer::send(SentStream {
                ssrc: 42,
                rtx: None,
                msid: ("floor".to_owned(), "floor-0".to_owned()),
            }),
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
