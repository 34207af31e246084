//! Sources that clients change, share, or make up.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::joining::film;
use crate::ids::{PeerId, TrackId};
use crate::rtcp::write::Compound;
use crate::testing::description::{H264, VP8};
use crate::testing::{Call, Member, ms};

const RATES: [u64; 3] = [100_000, 200_000, 400_000];

fn watched() -> (Call, usize, usize, TrackId) {
    let mut call = Call::new();
    let (publisher, track) = film(&mut call, 0x1000, &RATES);
    let (viewer, _) = call.join(Member::viewer(1, 1), &[track]);
    call.run(ms(1000));
    (call, publisher, viewer, track)
}

/// Asserts that pictures come without a fault.
fn assert_goes_on(call: &mut Call, viewer: usize) {
    let before = call.members[viewer].screen("1").frames.len();
    call.run(ms(1000));
    let member = &call.members[viewer];
    let frames = member.screen("1").frames.len() - before;
    assert!(frames >= 28, "{frames} frames");
    assert!(member.faults().is_empty(), "{:?}", member.faults());
    assert_eq!(call.net.engine.totals().datagrams_panicked, 0);
}

fn packet(ssrc: u32, payload_type: u8, seq: u16, rid: Option<&str>, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x90, payload_type];
    packet.extend(seq.to_be_bytes());
    packet.extend([0, 0, 0, 9]);
    packet.extend(ssrc.to_be_bytes());
    let mut block = vec![0x40, b'0'];
    if let Some(rid) = rid {
        block.push(0xA0 | (rid.len() as u8 - 1));
        block.extend(rid.as_bytes());
    }
    block.resize(block.len().next_multiple_of(4), 0);
    packet.extend([0xBE, 0xDE]);
    packet.extend((block.len() as u16 / 4).to_be_bytes());
    packet.extend(block);
    packet.extend(payload);
    packet
}

#[test]
fn retransmissions_that_repeat_nothing_are_passed_over() {
    let (mut call, publisher, viewer, _) = watched();
    // Have all repair sources introduced.
    for layer in 0..3 {
        let camera = &mut call.members[publisher].cameras[0];
        let ssrc = camera.layers[layer].ssrc;
        let mut transport = 60_000;
        for packet in camera.resend(ssrc, &(0..=u16::MAX).collect::<Vec<_>>(), &mut transport) {
            call.net.clients[publisher].send_rtp(&packet);
        }
    }
    assert_goes_on(&mut call, viewer);
    let mut random = StdRng::seed_from_u64(3);
    for seq in 0..600u16 {
        let ssrc = 0x1001 + 2 * u32::from(seq % 3);
        let mut payload = vec![0u8; usize::from(seq % 12)];
        random.fill(&mut payload[..]);
        let rtx = if seq % 2 == 0 { VP8.rtx } else { H264.rtx };
        let packet = packet(
            ssrc,
            rtx,
            30_000 + seq,
            None,
            &payload[..usize::from(seq % 2).min(payload.len())],
        );
        call.net.clients[publisher].send_rtp(&packet);
    }
    assert_goes_on(&mut call, viewer);
}

#[test]
fn layers_that_were_not_described_belong_to_nothing() {
    let (mut call, publisher, viewer, _) = watched();
    let before = call.net.engine.totals().unknown_stream;
    for (at, rid) in ["x", "", "qq", "Q"].into_iter().enumerate() {
        let rid = Some(rid).filter(|rid| !rid.is_empty()).or(Some("zzz"));
        let packet = packet(0x9000 + at as u32, VP8.payload_type, 1, rid, &[0x10; 30]);
        call.net.clients[publisher].send_rtp(&packet);
    }
    call.net.exchange();
    assert_eq!(call.net.engine.totals().unknown_stream, before + 4);
    assert_goes_on(&mut call, viewer);
}

#[test]
fn two_publishers_may_use_the_same_sources() {
    let (mut call, _, viewer, _) = watched();
    let (_, other) = film(&mut call, 0x1000, &RATES);
    let (second, _) = call.join(Member::viewer(1, 1), &[other]);
    call.run(ms(500));
    assert_goes_on(&mut call, second);
    assert_goes_on(&mut call, viewer);
}

#[test]
fn a_source_belongs_to_one_section_of_its_peer() {
    let mut call = Call::new();
    let epoch = call.net.epoch;
    let mut member = Member::new();
    member
        .film(0x1000, &[300_000], epoch)
        .film(0x1000, &[300_000], epoch);
    member.speak(0x1000, 30);
    let (_, negotiated) = call.join(member, &[]);
    let plays: Vec<TrackId> = negotiated.published.iter().map(|it| it.track).collect();
    call.join(Member::viewer(1, 2), &plays);
    call.run(ms(2000));
    assert_eq!(call.net.engine.totals().datagrams_panicked, 0);
    let (_, fine) = film(&mut call, 0x2000, &RATES);
    let (viewer, _) = call.join(Member::viewer(1, 1), &[fine]);
    call.run(ms(500));
    assert_goes_on(&mut call, viewer);
}

#[test]
fn ever_new_sources_take_no_more_memory_and_pictures_go_on() {
    let (mut call, publisher, viewer, _) = watched();
    for round in 0..150u32 {
        for layer in 0..3u32 {
            let ssrc = 0x10_0000 + 64 * round + 2 * layer;
            call.members[publisher].cameras[0].layers[layer as usize].replace_source(ssrc);
        }
        call.run(ms(100));
    }
    assert_goes_on(&mut call, viewer);
    let known = call.net.engine.known_sources(PeerId(publisher as u64));
    assert!(known <= 256, "{known}");
    // Late packets of a source that was replaced replace nothing.
    let late = packet(
        0x10_0000 + 64 * 149,
        VP8.payload_type,
        1,
        Some("q"),
        &[0x10; 30],
    );
    let ssrc = call.members[publisher].cameras[0].layers[0].ssrc;
    assert_eq!(ssrc, 0x10_0000 + 64 * 149);
    call.members[publisher].cameras[0].layers[0].replace_source(0x77_0000);
    call.run(ms(200));
    call.net.clients[publisher].send_rtp(&late);
    call.run(ms(100));
    assert_goes_on(&mut call, viewer);
    let stats = call.net.engine.stats(call.net.now.mono);
    assert_eq!(stats.peers.len(), 2);
}

#[test]
fn a_section_that_rested_is_published_again_under_the_same_sources() {
    for simulcast in [true, false] {
        let mut call = Call::new();
        let rates = if simulcast { &RATES[..] } else { &RATES[..1] };
        let (publisher, _) = film(&mut call, 0x1000, rates);
        call.run(ms(500));
        call.members[publisher].sections[0].direction = "inactive";
        assert_eq!(call.negotiate(publisher, &[]).published, []);
        call.run(ms(200));
        call.members[publisher].sections[0].direction = "sendonly";
        let track = call.negotiate(publisher, &[]).published[0].track;
        // A browser introduces its sources again, as nobody acknowledged them lately.
        for layer in &mut call.members[publisher].cameras[0].layers {
            layer.introduce();
        }
        let (viewer, _) = call.join(Member::viewer(1, 1), &[track]);
        call.run(ms(500));
        assert_goes_on(&mut call, viewer);
    }
}

#[test]
fn a_track_that_is_muted_is_not_sent_but_its_arrival_is_told_of() {
    let (mut call, publisher, viewer, track) = watched();
    let now = call.net.now;
    call.net.engine.mute(&now, track, true);
    call.run(ms(50));
    call.members[publisher].feedback.clear();
    let before = call.members[viewer].screen("1").packets;
    call.run(ms(2000));
    assert_eq!(call.members[viewer].screen("1").packets, before);
    let feedback = &call.members[publisher].feedback;
    assert!(feedback.len() > 15, "{}", feedback.len());
    for pair in feedback.windows(2) {
        assert!(pair[1] - pair[0] <= ms(150));
    }
    call.members[publisher].keyframes_asked.clear();
    // The camera rests, so that nothing that the viewer misses is the cause of the request.
    call.members[publisher].cameras[0].muted = true;
    let now = call.net.now;
    call.net.engine.mute(&now, track, false);
    call.run(ms(600));
    let asked = &call.members[publisher].keyframes_asked;
    assert!(!asked.is_empty(), "nobody asked for a keyframe");
    call.members[publisher].cameras[0].muted = false;
    call.run(ms(700));
    assert_goes_on(&mut call, viewer);
}

#[test]
fn requests_beyond_reason_are_not_met() {
    let (mut call, _, viewer, _) = watched();
    let screen = call.members[viewer].screen("1");
    let (ssrc, last) = (screen.ssrc, screen.frames.last().unwrap().seq as u16);
    let before = call.net.engine.totals().retransmitted;
    let sent = call.net.engine.totals().rtp_out;
    let net = &mut call.net;
    for round in 0..200u16 {
        let mut buffer = [0; 1200];
        let mut compound = Compound::new(&mut buffer);
        let missing: Vec<u16> = (0..64)
            .map(|at| last.wrapping_sub(round % 4 * 64 + 64 - at))
            .collect();
        compound.nack(1, ssrc, &missing);
        let len = compound.len();
        net.clients[viewer].send_rtcp(&buffer[..len]);
        net.run(ms(5));
    }
    call.run(ms(100));
    let totals = call.net.engine.totals();
    let again = totals.retransmitted - before;
    assert!(
        again > 0 && again <= 256 + (totals.rtp_out - sent) / 4,
        "{again}"
    );
    assert_goes_on(&mut call, viewer);
}

#[test]
fn feedback_that_makes_no_sense_harms_nobody() {
    let (mut call, publisher, viewer, _) = watched();
    let mut random = StdRng::seed_from_u64(9);
    for round in 0..3000u32 {
        let words = random.random_range(4..40);
        let mut compound = vec![0x8F, 205];
        compound.extend(((words + 1) as u16).to_be_bytes());
        let mut body = vec![0u8; 4 * words + 4];
        random.fill(&mut body[..]);
        match round % 3 {
            // Of few packets from anywhere, with chunks that are likely sound.
            0 => {
                body[10..12].copy_from_slice(&[0, 7]);
                body[16..18].copy_from_slice(&[0x20, 7]);
            }
            1 => {
                body[10..12].copy_from_slice(&[0x1F, 0xFF]);
                body[16..18].copy_from_slice(&[0x1F, 0xFF]);
            }
            _ => {}
        }
        compound.extend(body);
        for who in [publisher, viewer] {
            call.net.clients[who].send_rtcp(&compound);
        }
        if round % 100 == 0 {
            call.run(ms(10));
        }
    }
    call.run(ms(500));
    // Whoever lies about its own way may get less, for a while.
    let (_, track) = film(&mut call, 0x2000, &RATES);
    let (other, _) = call.join(Member::viewer(1, 1), &[track]);
    call.run(ms(500));
    assert_goes_on(&mut call, other);
    assert!(call.members[viewer].faults().is_empty());
}

#[test]
fn payloads_that_make_no_sense_harm_nobody() {
    let (mut call, publisher, viewer, track) = watched();
    let (liar, second) = film(&mut call, 0x2000, &RATES);
    call.members[viewer].section(crate::testing::description::Kind::Video, "recvonly");
    call.negotiate(viewer, &[track, second]);
    call.run(ms(500));
    call.members[liar].cameras[0].muted = true;
    let mut random = StdRng::seed_from_u64(4);
    for _ in 0..5000 {
        let mut payload = vec![0u8; random.random_range(0..60)];
        random.fill(&mut payload[..]);
        let ssrc = 0x2000 + random.random_range(0..6);
        let payload_type = [
            VP8.payload_type,
            VP8.rtx,
            H264.payload_type,
            H264.rtx,
            111,
            50,
        ][random.random_range(0..6)];
        let packet = packet(
            ssrc,
            payload_type,
            random.random(),
            Some(["q", "h", "f"][random.random_range(0..3)]),
            &payload,
        );
        call.net.clients[liar].send_rtp(&packet);
        if random.random_bool(0.02) {
            call.net.run(ms(3));
        }
    }
    call.net.exchange();
    let (third, _) = call.join(Member::viewer(1, 1), &[track]);
    call.run(ms(1000));
    assert_goes_on(&mut call, third);
    assert_eq!(call.members[publisher].strays, 0);
}
