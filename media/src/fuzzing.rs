//! One entry point per parser of ours, for the fuzz targets in `fuzz/` and for the mutation tests
//! here. Each returns if its input is handled as it should be and panics if an invariant breaks.

mod video;

pub use video::video_payload;

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::audio::EncodedFrame;
use crate::audio::jitter::JitterConfig;
use crate::audio::reader::SpeechDecoder;
use crate::bwe::BandwidthEstimator;
use crate::certificate::Certificate;
use crate::clock::Now;
use crate::engine::{Engine, EngineConfig, Plan, Play};
use crate::ids::{PeerId, RoomId, TrackId};
use crate::net::Deframer;
use crate::rtcp::read::{RtcpItem, read_compound};
use crate::rtcp::write::Compound;
use crate::rtp::extension::{Extension, ExtensionIds, find};
use crate::rtp::header::Header;
use crate::rtp::ssrc_table::{Section, SsrcTable};
use crate::sdp::answer::{AnswerContext, Preference, SectionAnswer, write_answer};
use crate::sdp::candidates::Candidates;
use crate::sdp::fragment::TrickleFragment;
use crate::sdp::offer::{Direction, Offer, SectionKind};
use crate::stun::demux::{binding_request_ufrags, classify};
use crate::stun::ice_lite::{IceCredentials, answer_check};

fn credentials() -> IceCredentials {
    IceCredentials {
        ufrag: "serverfr".to_owned(),
        pwd: "passwordpasswordpassword".to_owned(),
    }
}

/// Classification, and the binding request behind it. Nothing without the password is answered.
pub fn stun_demux(data: &[u8]) {
    classify(data);
    if let Some((ours, theirs)) = binding_request_ufrags(data) {
        assert!(ours.len() + theirs.len() < data.len());
    }
    let from = SocketAddr::from(([192, 0, 2, 1], 9));
    if let Ok(checked) = answer_check(data, from, &credentials()) {
        assert!(checked.response.len() < crate::engine::MAX_DATAGRAM);
    }
}

/// A TCP stream that arrives in pieces: their number comes first, then their sizes, then the stream.
/// Whatever the pieces are, the frames are the same, and none is longer than a datagram.
pub fn tcp_stream(data: &[u8]) {
    let Some((&count, rest)) = data.split_first() else {
        return;
    };
    let (sizes, stream) = rest.split_at(rest.len().min(count.into()));
    let read = |sizes: &[u8]| {
        let (mut deframer, mut frames, mut rest) = (Deframer::default(), Vec::new(), stream);
        let mut sizes = sizes.iter();
        loop {
            let size = sizes.next().map_or(rest.len(), |&size| size.into());
            let (mut piece, later) = rest.split_at(size.min(rest.len()));
            loop {
                match deframer.next(&mut piece) {
                    Ok(Some(frame)) => {
                        assert!((1..=crate::engine::MAX_DATAGRAM).contains(&frame.len()));
                        frames.push(frame.to_vec());
                    }
                    Ok(None) => break,
                    Err(_) => return (frames, false),
                }
            }
            assert!(piece.is_empty());
            rest = later;
            if rest.is_empty() {
                return (frames, true);
            }
        }
    };
    assert_eq!(read(sizes), read(&[]));
}

/// An offer, as WHIP and WHEP read it and as clients of a room make it, and the answers to it. They are
/// SDP with as many sections, whatever was offered before.
pub fn sdp_offer(text: &str) {
    if let Ok(offer) = Offer::parse_audio(text) {
        let _ = offer.audio_sections(Direction::sends, "sendonly");
        let answers: Vec<SectionAnswer> = offer
            .sections
            .iter()
            .map(|section| match section.kind {
                SectionKind::Audio(_) | SectionKind::Video(_) => SectionAnswer::receive(),
                SectionKind::Data(_) => SectionAnswer::Data,
                SectionKind::Refused => SectionAnswer::Refuse,
            })
            .collect();
        let context = AnswerContext {
            ice: &credentials(),
            fingerprint: "AA",
            candidates: &Candidates::default(),
            cname: "hive",
            session_id: 1,
            version: 1,
        };
        assert_answers(&write_answer(&offer, &answers, &context), &offer);
    }
    if let Ok(offer) = Offer::parse(text) {
        negotiate(&offer);
    }
}

fn assert_answers(answer: &str, offer: &Offer) {
    let sections = answer.lines().filter(|line| line.starts_with("m=")).count();
    assert_eq!(sections, offer.sections.len(), "{offer:?}");
    let is_sdp = |line: &str| line.as_bytes().get(1) == Some(&b'=');
    assert!(answer.lines().all(is_sdp), "{answer:?}");
}

/// Two clients of a room offer the same, again, the other way round, and in part; what one publishes
/// the other is to receive.
fn negotiate(offer: &Offer) {
    let mut engine = engine();
    let now = Now {
        mono: Instant::now(),
        unix: Duration::ZERO,
    };
    let mut turned = offer.clone();
    turned.sections.reverse();
    let mut part = offer.clone();
    part.sections.truncate(offer.sections.len() / 2);
    let mut tracks: Vec<TrackId> = Vec::new();
    for offer in [offer, &turned, offer, &part, offer] {
        for peer in [1, 2].map(PeerId) {
            let msid = ("stream".to_owned(), "track".to_owned());
            let play = |&track| Play {
                track,
                msid: msid.clone(),
            };
            let mids = offer.sections.iter().filter_map(|it| it.mid.clone());
            let plan = Plan {
                plays: tracks.iter().map(play).collect(),
                receives: mids.map(|mid| (mid, Preference::default())).collect(),
            };
            let Ok(negotiated) = engine.negotiate(&now, RoomId(1), peer, offer, &plan) else {
                panic!("an offer was read and not answered: {offer:?}");
            };
            assert_answers(&negotiated.sdp, offer);
            let mut mids: Vec<&String> = negotiated.played.iter().map(|(mid, _)| mid).collect();
            let count = mids.len();
            mids.sort_unstable();
            mids.dedup();
            assert_eq!(mids.len(), count, "a section plays two tracks");
            tracks.extend(negotiated.published.iter().map(|it| it.track));
        }
        let kept = engine.stats(now.mono).tracks;
        assert!(kept <= 2 * offer.sections.len(), "tracks without a section");
    }
    // It may also be the answer to an offer of ours.
    let plays: Vec<Play> = tracks
        .iter()
        .map(|&track| Play {
            track,
            msid: Default::default(),
        })
        .collect();
    for _ in 0..2 {
        let offered = engine.offer(&now, RoomId(1), PeerId(3), &plays, &[], false);
        assert!(offered.is_ok());
        assert_eq!(engine.answered(PeerId(3), offer), Ok(()));
    }
}

fn engine() -> Engine {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    let certificate = CERTIFICATE.get_or_init(|| {
        Certificate::generate().expect("the provider makes keys of the kind that we ask for")
    });
    let config = EngineConfig {
        candidates: Candidates::default(),
        idle_timeout: Duration::from_secs(30),
        max_peers: 3,
        prominent_speakers: 10,
        seed: [7; 32],
    };
    Engine::new(config, certificate).expect("our own certificate serves DTLS")
}

/// A trickled fragment.
pub fn sdp_fragment(text: &str) {
    if let Ok(fragment) = TrickleFragment::parse(text) {
        let answer = fragment.write_restart(&credentials(), &Candidates::default());
        assert!(
            answer
                .lines()
                .all(|line| line.as_bytes().get(1) == Some(&b'='))
        );
    }
}

/// An RTP packet: header, payload, extensions, renumbering and the SSRC table.
pub fn rtp_packet(data: &[u8]) {
    let Ok(header) = Header::parse(data) else {
        return;
    };
    assert!(header.len <= data.len());
    if let Ok(payload) = header.payload(data) {
        assert!(header.len + payload.len() <= data.len());
    }
    let (mut publisher, mut subscriber) = (ExtensionIds::default(), ExtensionIds::default());
    publisher.set(Extension::AudioLevel, 1);
    publisher.set(Extension::Mid, 4);
    publisher.set(Extension::Rid, 10);
    publisher.set(Extension::RepairedRid, 11);
    subscriber.set(Extension::AudioLevel, 14);
    if let Some(block) = &header.extension {
        let map = publisher.map_to(&subscriber);
        for room in [0, 3, 4, 7, 64, 1500] {
            let mut out = vec![0; room];
            let len = map.rewrite(data, block, &mut out);
            assert!(len <= room && len % 4 == 0);
            if room == 1500 && len > 0 {
                // What was written is read back.
                let mut packet = vec![0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                packet.extend_from_slice(&out[..len]);
                let written = Header::parse(&packet).expect("our own header is well-formed");
                let block = written.extension.expect("an extension was written");
                assert!(find(&packet, &block, 14).is_some());
            }
        }
    }
    let mut table = SsrcTable::default();
    table.apply(vec![Section {
        mid: Some("0".into()),
        extensions: publisher,
        payload_types: vec![111],
        repairs: Vec::new(),
        rids: vec!["h".into()],
        video: true,
        ssrcs: Vec::new(),
    }]);
    let _ = table.resolve(data, &header);
}

/// An RTCP compound: it never yields more statements than it has words, nor its feedback more
/// arrivals than bytes, and the estimate stays sound whatever it says.
pub fn rtcp_compound(data: &[u8]) {
    let mut items = 0;
    let now = Instant::now();
    let mut estimator = BandwidthEstimator::new(now, 1_000_000);
    for _ in 0..100 {
        estimator.on_sent(now, 1000);
    }
    let _ = read_compound(data, |item| {
        items += 1;
        if let RtcpItem::TransportFeedback(span) = item {
            let feedback = span.of(data).expect("it was read");
            assert!(feedback.arrivals().count() <= data.len());
            estimator.on_feedback(now + Duration::from_millis(100), &feedback);
            assert!((30_000..=50_000_000).contains(&estimator.estimate()));
        }
    });
    assert!(items <= data.len() / 4 + 1);
    // Writing into any room never overruns it.
    let mut room = vec![0; data.len().min(64)];
    let len = room.len();
    let mut compound = Compound::new(&mut room);
    compound.receiver_report(1, &[]);
    compound.cname(1, "hive");
    compound.nack(1, 2, &[1, 2, 40]);
    compound.transport_feedback(1, 2, 3, 4, [Some(5), None, Some(700), Some(6)].into_iter());
    assert!(compound.len() <= len);
}

/// A publisher's packets, through the jitter buffer and the Opus decoder: what comes out is in order,
/// and its samples are numbers. Each packet is 2 bytes of sequence number, 4 of timestamp, 1 of
/// milliseconds since the last, 1 of length, and its payload.
pub fn speech_decoder(mut data: &[u8]) {
    let Ok(mut decoder) = SpeechDecoder::new(JitterConfig::default()) else {
        return;
    };
    let mut now = Instant::now();
    let mut heard_until = 0;
    while let Some((&[a, b, c, d, e, f, wait, length], rest)) = data.split_first_chunk() {
        let (payload, rest) = rest.split_at(rest.len().min(length.into()));
        data = rest;
        now += Duration::from_millis(wait.into());
        let frame = EncodedFrame {
            seq: u16::from_be_bytes([a, b]),
            timestamp: u32::from_be_bytes([c, d, e, f]),
            payload: Bytes::copy_from_slice(payload),
            arrival: now,
        };
        decoder.push(frame, now);
        decoder.poll(now, &mut |piece| {
            assert!(piece.media_time48 >= heard_until, "sound of the past");
            heard_until = piece.media_time48 + piece.pcm48.len() as u64;
            assert!(piece.pcm48.iter().all(|sample| sample.is_finite()));
        });
    }
}

/// Packets of data channels, as DTLS hands them over.
pub fn sctp_packet(data: &[u8]) {
    crate::sctp::fuzz_packets(data);
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::testing::description::{self, Codecs, Kind};
    use crate::testing::{Client, Member, Offering};

    /// Feeds `target` with seeds that were mutated: bytes changed, cut, doubled, spliced.
    fn mutate(seeds: &[Vec<u8>], rounds: usize, target: impl Fn(&[u8])) {
        let mut random = StdRng::seed_from_u64(11);
        for _ in 0..rounds {
            let mut data = seeds[random.random_range(0..seeds.len())].clone();
            for _ in 0..random.random_range(0..6) {
                if data.is_empty() {
                    break;
                }
                let at = random.random_range(0..data.len());
                match random.random_range(0..5) {
                    0 => data[at] = random.random(),
                    1 => data[at] ^= 1 << random.random_range(0..8),
                    2 => data.truncate(at),
                    3 => {
                        let end = random.random_range(at..data.len());
                        let copy = data[at..end].to_vec();
                        data.splice(at..at, copy);
                    }
                    _ => data[at] = [0, 0xFF, 0x7F, 0x80][random.random_range(0..4)],
                }
            }
            target(&data);
        }
    }

    #[test]
    fn mutated_input_breaks_no_invariant() {
        let client = Client::new("192.0.2.1:1", Offering::PUBLISH);
        let offer = client.offer().into_bytes();
        let chromium = crate::sdp::offer::tests::CHROMIUM.as_bytes().to_vec();
        let mut member = Member::viewer(2, 2);
        member.section(Kind::Data, "sendrecv");
        member.speak(7, 30).film(8, &[1, 2, 3], Instant::now());
        let transport = ("EsAw", client.fingerprint());
        let client_of_a_room =
            description::write(&member.sections, &Codecs::default(), transport, "actpass");
        let seeds = [offer, chromium, client_of_a_room.into_bytes()];
        mutate(&seeds, 3000, |data| {
            if let Ok(text) = std::str::from_utf8(data) {
                sdp_offer(text);
            }
        });
        let fragment = b"a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
            m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
        mutate(&[fragment.to_vec()], 10_000, |data| {
            if let Ok(text) = std::str::from_utf8(data) {
                sdp_fragment(text);
            }
        });
        let mut client = Client::new("192.0.2.1:1", Offering::PUBLISH);
        client.server_ufrag = "serverfr".to_owned();
        client.server_pwd = credentials().pwd;
        client.check(true);
        mutate(&[client.outbox.pop_back().unwrap()], 10_000, stun_demux);
        let stream = b"\x05\x01\x02\0\x09\x03\0\x03one\0\0\0\x02ab\0\x01x";
        mutate(&[stream.to_vec()], 10_000, tcp_stream);
        let one_byte = [
            0xB1, 0xEF, 0, 1, 0, 0, 3, 0xC0, 0, 0, 0, 9, 0, 0, 0, 7, 0xBE, 0xDE, 0, 2, 0x10, 0x85,
            0x40, b'0', 0xA0, b'h', 0, 0, 1, 2, 3, 1,
        ];
        let two_byte = [
            0x90, 0x6F, 0, 1, 0, 0, 3, 0xC0, 0, 0, 0, 9, 0x10, 0, 0, 2, 1, 1, 0x85, 4, 1, b'0', 0,
            0, 1, 2, 3,
        ];
        mutate(&[one_byte.to_vec(), two_byte.to_vec()], 20_000, rtp_packet);
        let mut buffer = [0; 512];
        let mut compound = Compound::new(&mut buffer);
        compound.sender_report(1, 2, 3, (4, 5));
        compound.cname(1, "name");
        compound.nack(1, 2, &[1, 2, 40]);
        compound.reference_time(1, 7);
        compound.delay_since_reference(1, 2, 3, 4);
        compound.picture_loss(1, 2);
        let arrivals = (0..40).map(|n| (n % 7 > 0).then_some(n * 50));
        compound.transport_feedback(1, 2, 3, 4, arrivals);
        compound.bye(1);
        let len = compound.len();
        mutate(&[buffer[..len].to_vec()], 20_000, rtcp_compound);

        let mut packets = Vec::new();
        for n in 0..20_u8 {
            let payload = [0x78, 0x12, 0x34, n, 0x55, n];
            packets.extend([0, n, 0, 0, n * 3, n * 12, 20, payload.len() as u8]);
            packets.extend(payload);
        }
        mutate(&[packets], 100, speech_decoder);
        mutate(&[crate::sctp::fuzz_seed()], 20_000, sctp_packet);
        mutate(&video::seeds(), 20_000, video_payload);
    }
}
