//! One entry point per parser of ours, for the fuzz targets in `fuzz/` and for the mutation tests
//! here. Each returns if its input is handled as it should be and panics if an invariant breaks.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::audio::EncodedFrame;
use crate::audio::jitter::JitterConfig;
use crate::audio::reader::SpeechDecoder;
use crate::bwe::BandwidthEstimator;
use crate::rtcp::read::{RtcpItem, read_compound};
use crate::rtcp::write::Compound;
use crate::rtp::extension::{Extension, ExtensionIds, find};
use crate::rtp::header::Header;
use crate::rtp::ssrc_table::{Section, SsrcTable};
use crate::sdp::answer::{AnswerContext, SectionAnswer, write_answer};
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

/// An offer, and the answer to it if it has one: the answer is SDP with as many sections.
pub fn sdp_offer(text: &str) {
    let Ok(offer) = Offer::parse_audio(text) else {
        return;
    };
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
    let answer = write_answer(
        &offer,
        &answers,
        &AnswerContext {
            ice: &credentials(),
            fingerprint: "AA",
            candidates: &[],
            cname: "hive",
            session_id: 1,
            version: 1,
        },
    );
    let sections = answer.lines().filter(|line| line.starts_with("m=")).count();
    assert_eq!(sections, offer.sections.len(), "{text:?}");
    assert!(
        answer
            .lines()
            .all(|line| line.as_bytes().get(1) == Some(&b'='))
    );
}

/// A trickled fragment.
pub fn sdp_fragment(text: &str) {
    if let Ok(fragment) = TrickleFragment::parse(text) {
        let answer = fragment.write_restart(&credentials(), &[]);
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
        rids: vec!["h".into()],
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

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::testing::{Client, Offering};

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
        mutate(&[offer, chromium], 3000, |data| {
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
    }
}
