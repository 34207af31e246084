use super::super::formats::OpusFormat;
use super::super::sources::DeclaredSource;
use super::*;
use crate::rtp::extension::Extension;

/// As Chromium makes it for a microphone and a camera, shortened.
pub(crate) const CHROMIUM: &str = "v=0\r
o=- 4611731400430051336 2 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0 1\r
a=extmap-allow-mixed\r
a=msid-semantic: WMS stream\r
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r
c=IN IP4 0.0.0.0\r
a=rtcp:9 IN IP4 0.0.0.0\r
a=ice-ufrag:ETEn\r
a=ice-pwd:OtSK0WpNtpUjkY4+86js7ZQl\r
a=ice-options:trickle\r
a=fingerprint:sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2\r
a=setup:actpass\r
a=mid:0\r
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=sendonly\r
a=msid:stream track\r
a=rtcp-mux\r
a=rtcp-rsize\r
a=rtpmap:111 opus/48000/2\r
a=rtcp-fb:111 transport-cc\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=rtpmap:63 red/48000/2\r
a=fmtp:63 111/111\r
a=rtpmap:9 G722/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:13 CN/8000\r
a=rtpmap:110 telephone-event/48000\r
a=rtpmap:126 telephone-event/8000\r
a=ssrc:3570614608 cname:4TOk42mSjXCkVIa6\r
a=ssrc:3570614608 msid:stream track\r
m=video 9 UDP/TLS/RTP/SAVPF 96 97\r
c=IN IP4 0.0.0.0\r
a=ice-ufrag:ETEn\r
a=ice-pwd:OtSK0WpNtpUjkY4+86js7ZQl\r
a=fingerprint:sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2\r
a=setup:actpass\r
a=mid:1\r
a=sendonly\r
a=rtcp-mux\r
a=rtpmap:96 VP8/90000\r
a=rtpmap:97 rtx/90000\r
a=fmtp:97 apt=96\r
a=ssrc-group:FID 100 101\r
a=ssrc:100 cname:x\r
a=ssrc:101 cname:x\r
";

fn without(line: &str) -> String {
    let kept: Vec<&str> = CHROMIUM
        .lines()
        .filter(|kept| !kept.starts_with(line))
        .collect();
    kept.join("\r\n") + "\r\n"
}

fn source(ssrc: u32, layer: u8, repair: bool) -> DeclaredSource {
    DeclaredSource {
        ssrc,
        layer,
        repair,
    }
}

#[test]
fn reads_simulcast_without_rids() {
    let group = "a=ssrc-group:SIM 300 100\r\na=ssrc-group:FID 300 301\r\na=ssrc:300 cname:x\r\n\
                 a=ssrc:301 cname:x\r\na=ssrc:100";
    let text = CHROMIUM.replacen("a=ssrc:100", group, 1);
    let video = &Offer::parse(&text).unwrap().sections[1];
    let expected = [
        source(300, 0, false),
        source(301, 0, true),
        source(100, 1, false),
        source(101, 1, true),
    ];
    assert_eq!(video.ssrcs, expected);
    assert_eq!(video.streams(), 2);
}

#[test]
fn reads_what_chromium_offers() {
    let offer = Offer::parse_audio(CHROMIUM).unwrap();
    assert!(offer.bundled);
    assert_eq!(offer.ice_ufrag, "ETEn");
    assert_eq!(offer.fingerprint.algorithm, FingerprintAlgorithm::Sha256);
    let audio = &offer.sections[0];
    assert_eq!(
        audio.kind,
        SectionKind::Audio(OpusFormat {
            payload_type: 111,
            red: None,
            nack: false,
            rrtr: false
        })
    );
    assert_eq!(audio.direction, Direction::SendOnly);
    assert_eq!(audio.extensions.get(Extension::AudioLevel), Some(1));
    assert_eq!(audio.extensions.get(Extension::Mid), Some(4));
    assert_eq!(audio.ssrcs, [source(3_570_614_608, 0, false)]);
    let video = &offer.sections[1];
    assert_eq!(video.kind, SectionKind::Refused);
    assert_eq!(video.ssrcs, [source(100, 0, false), source(101, 0, true)]);
    assert_eq!(
        offer.audio_sections(Direction::sends, "sendonly"),
        Ok(vec![0])
    );
}

#[test]
fn reads_nack_where_it_is_offered() {
    let text = CHROMIUM.replace("a=rtcp-fb:111 transport-cc", "a=rtcp-fb:111 nack");
    let offer = Offer::parse_audio(&text).unwrap();
    assert!(matches!(
        offer.sections[0].kind,
        SectionKind::Audio(OpusFormat { nack: true, .. })
    ));
}

#[test]
fn every_way_to_be_unusable_has_its_error() {
    let parse = |text: &str| Offer::parse_audio(text).unwrap_err();
    assert!(matches!(parse("hello"), OfferError::Garbage(_)));
    assert!(matches!(
        parse("\u{0}\u{1}\u{FFFD}"),
        OfferError::Garbage(_)
    ));
    assert!(matches!(
        parse(""),
        OfferError::Garbage(_) | OfferError::NoAudio
    ));
    assert_eq!(parse(&"a".repeat(MAX_OFFER + 1)), OfferError::TooLarge);
    let sections = format!(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{}",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n".repeat(MAX_SECTIONS + 1)
    );
    assert_eq!(parse(&sections), OfferError::TooLarge);
    let video = CHROMIUM.replace("m=audio", "m=video");
    assert_eq!(parse(&video), OfferError::NoAudio);
    assert_eq!(parse(&without("a=rtpmap:111")), OfferError::NoOpus);
    assert_eq!(
        parse(&CHROMIUM.replace("m=audio 9", "m=audio 0")),
        OfferError::NoOpus
    );
    assert_eq!(parse(&without("a=fingerprint")), OfferError::NoFingerprint);
    assert_eq!(
        parse(&CHROMIUM.replace("sha-256 19:E2", "sha-256 19:")),
        OfferError::NoFingerprint
    );
    assert_eq!(
        parse(&CHROMIUM.replace("sha-256", "sha-1")),
        OfferError::NoFingerprint
    );
    assert_eq!(parse(&without("a=ice-pwd")), OfferError::NoIceCredentials);
    assert_eq!(parse(&without("a=ice-ufrag")), OfferError::NoIceCredentials);
    assert_eq!(parse(&without("a=rtcp-mux")), OfferError::NoRtcpMux);
    assert_eq!(
        parse(&CHROMIUM.replace("setup:actpass", "setup:passive")),
        OfferError::SetupPassive
    );
    assert_eq!(
        parse(&CHROMIUM.replace("a=extmap-allow-mixed", "a=ice-lite")),
        OfferError::IceLite
    );
    let offer = Offer::parse_audio(CHROMIUM).unwrap();
    assert_eq!(
        offer.audio_sections(Direction::receives, "recvonly"),
        Err(OfferError::WrongDirection {
            found: Direction::SendOnly,
            wanted: "recvonly"
        })
    );
}

#[test]
fn two_audio_sections_must_be_bundled() {
    let (session, media) = CHROMIUM.split_at(CHROMIUM.find("m=audio").unwrap());
    let audio = &media[..media.find("m=video").unwrap()];
    let second = audio.replace("a=mid:0", "a=mid:1");
    let offer = format!("{session}{audio}{second}");
    assert_eq!(Offer::parse_audio(&offer).unwrap().sections.len(), 2);
    assert_eq!(
        Offer::parse_audio(&offer.replace("BUNDLE 0 1", "BUNDLE 0")),
        Err(OfferError::NoBundle)
    );
}

#[test]
fn hostile_values_are_not_repeated() {
    let offer = Offer::parse_audio(&CHROMIUM.replace("a=mid:0", "a=mid:0 evil\"")).unwrap();
    assert_eq!(offer.sections[0].mid, None);
}
