//! Data channels of clients.

use bytes::Bytes;

use super::joining::film;
use crate::engine::MediaEvent;
use crate::ids::PeerId;
use crate::testing::description::Kind;
use crate::testing::{Call, Member, ms};

/// A call of so many members that have channels.
fn members(count: usize) -> Call {
    let mut call = Call::new();
    for _ in 0..count {
        let mut member = Member::new();
        member.section(Kind::Data, "sendrecv");
        member.connect_data(call.net.now.mono);
        member.open_channel(call.net.now.mono, "_reliable", true);
        member.open_channel(call.net.now.mono, "_lossy", false);
        call.join(member, &[]);
    }
    call.run(ms(500));
    for member in &call.members {
        assert_eq!(member.channels.len(), 2);
    }
    call
}

fn received(call: &Call) -> Vec<(u64, String, Vec<u8>)> {
    call.events(|event| match event {
        MediaEvent::Data {
            peer,
            label,
            payload,
        } => Some((peer.0, label.to_string(), payload.to_vec())),
        _ => None,
    })
}

fn send(call: &mut Call, to: &[u64], label: &str, payload: &[u8]) {
    let now = call.net.now;
    let to: Vec<PeerId> = to.iter().copied().map(PeerId).collect();
    let payload = Bytes::copy_from_slice(payload);
    let net = &mut call.net;
    net.engine
        .send_data(&now, None, &to, label, &payload, &mut net.wire);
    call.run(ms(100));
}

#[test]
fn messages_come_and_go_under_their_labels() {
    let mut call = members(3);
    let now = call.net.now.mono;
    call.members[0].send(now, "_reliable", b"to all");
    call.members[1].send(now, "_lossy", b"");
    call.run(ms(100));
    let mut told = received(&call);
    told.sort_unstable();
    assert_eq!(
        told,
        [
            (0, "_reliable".to_owned(), b"to all".to_vec()),
            (1, "_lossy".to_owned(), Vec::new())
        ]
    );
    send(&mut call, &[1, 2, 77], "_reliable", b"to all");
    send(&mut call, &[2], "_lossy", b"to one");
    send(&mut call, &[2], "_unknown", b"to nobody");
    assert_eq!(call.members[0].messages, []);
    assert_eq!(
        call.members[1].messages,
        [("_reliable".to_owned(), b"to all".to_vec())]
    );
    assert_eq!(call.members[2].messages.len(), 2);
    let totals = call.net.engine.totals();
    assert_eq!((totals.messages_in, totals.messages_out), (2, 3));
    assert_eq!(totals.messages_dropped, 1);
}

#[test]
fn a_long_message_passes_and_one_that_is_too_long_is_dropped() {
    let mut call = members(2);
    let long: Vec<u8> = (0..200_000u32).map(|at| (at % 251) as u8).collect();
    let now = call.net.now.mono;
    call.members[0].send(now, "_reliable", &long);
    call.run(ms(2000));
    let told = received(&call);
    assert_eq!(told.len(), 1);
    assert!(told[0].2 == long);
    send(&mut call, &[1], "_reliable", &long);
    call.run(ms(2000));
    assert!(call.members[1].messages[0].1 == long);
    send(&mut call, &[1], "_reliable", &[0; 300_000]);
    send(&mut call, &[1], "_reliable", b"after");
    assert_eq!(call.members[1].messages.len(), 2);
    assert_eq!(call.net.engine.totals().messages_dropped, 1);
}

#[test]
fn what_is_lost_comes_again_over_the_reliable_channel_only() {
    let mut call = members(2);
    for who in 0..2 {
        call.link(who, ms(40), 0.2, 70 + who as u64);
    }
    for number in 0..100u8 {
        let now = call.net.now.mono;
        for label in ["_reliable", "_lossy"] {
            call.members[0].send(now, label, &[number]);
        }
        call.run(ms(20));
    }
    call.run(ms(60_000));
    let told = received(&call);
    let of = |label: &str| -> Vec<u8> {
        let told = told.iter().filter(|(_, of, _)| of == label);
        told.map(|(.., payload)| payload[0]).collect()
    };
    assert_eq!(of("_reliable"), (0..100).collect::<Vec<u8>>());
    let lossy = of("_lossy").len();
    assert!((50..100).contains(&lossy), "{lossy}");
}

#[test]
fn channels_outlive_an_ice_restart_and_further_offers() {
    let mut call = members(2);
    for round in 0..3u8 {
        match round {
            0 => drop(call.negotiate(0, &[])),
            1 => call.restart_ice(0, &[]),
            _ => {
                call.members[0].speak(0x100, 30);
                call.negotiate(0, &[]);
            }
        }
        call.run(ms(100));
        let now = call.net.now.mono;
        call.members[0].send(now, "_reliable", &[round]);
        send(&mut call, &[0], "_reliable", &[round]);
        call.run(ms(100));
        assert_eq!(received(&call).len(), usize::from(round) + 1);
        assert_eq!(call.members[0].messages.len(), usize::from(round) + 1);
    }
}

#[test]
fn media_outlives_the_association() {
    let mut call = Call::new();
    let (_, track) = film(&mut call, 0x1000, &[300_000]);
    let mut member = Member::viewer(0, 1);
    member.section(Kind::Data, "sendrecv");
    member.connect_data(call.net.now.mono);
    member.open_channel(call.net.now.mono, "_reliable", true);
    let (viewer, _) = call.join(member, &[track]);
    call.run(ms(500));
    let now = call.net.now.mono;
    call.members[viewer].data.as_mut().unwrap().close(now);
    let frames = call.members[viewer].screen("0").frames.len();
    call.run(ms(1000));
    assert!(call.members[viewer].screen("0").frames.len() > frames + 25);
    send(&mut call, &[viewer as u64], "_reliable", b"lost");
    assert_eq!(call.net.engine.totals().messages_dropped, 1);
    // Nor does what is no SCTP at all do any harm.
    for len in [0, 1, 12, 40, 1100] {
        call.net.clients[viewer].send_record(now, &vec![0xA5; len]);
    }
    call.run(ms(500));
    assert!(call.members[viewer].screen("0").frames.len() > frames + 35);
}

#[test]
fn a_peer_sends_no_more_than_is_dealt_with() {
    let mut call = members(2);
    let now = call.net.now.mono;
    for _ in 0..64 {
        call.members[0].send(now, "_reliable", &[7; 15_000]);
    }
    call.run(ms(5000));
    let mut dealt_with = 0;
    let mut rounds = 0;
    while dealt_with < 64 {
        let came = received(&call).len();
        // As many as there is credit for, and those that a single datagram may complete.
        assert!(came > dealt_with && came - dealt_with < 50, "{came}");
        for _ in dealt_with..came {
            let net = &mut call.net;
            let now = net.now;
            net.engine
                .data_taken(&now, PeerId(0), 15_000, ms(1000), &mut net.wire);
        }
        dealt_with = came;
        rounds += 1;
        // Nothing comes while the pause lasts.
        call.run(ms(900));
        assert_eq!(received(&call).len(), came);
        call.run(ms(5000));
    }
    assert!(rounds > 1);
    assert_eq!(received(&call).len(), 64);
    // Others were not slowed down.
    let now = call.net.now.mono;
    call.members[1].send(now, "_reliable", b"x");
    call.run(ms(100));
    assert_eq!(received(&call).len(), 65);
}

#[test]
fn a_file_reaches_a_slow_recipient_whole() {
    const CHUNK: usize = 15_000;
    const CHUNKS: usize = 400;
    let mut call = members(3);
    // 10 Mbit/s, for 6 MB: more than may wait for a recipient.
    call.link(2, ms(40), 0.0, 3);
    for link in call.net.links.get_mut(&2).unwrap() {
        link.bps = Some(10_000_000);
    }
    let (mut begun, mut relayed, mut seen) = (0, 0, 0);
    for _ in 0..1200 {
        // A client sends as long as its own buffer has room.
        let now = call.net.now.mono;
        while begun < CHUNKS && begun < relayed + 60 {
            call.members[0].send(now, "_reliable", &[begun as u8; CHUNK]);
            begun += 1;
        }
        call.run(ms(50));
        let came = call.net.events[seen..]
            .iter()
            .filter_map(|event| match event {
                MediaEvent::Data { payload, .. } => Some(payload.clone()),
                _ => None,
            });
        let came: Vec<Bytes> = came.collect();
        seen = call.net.events.len();
        let net = &mut call.net;
        let (now, from) = (net.now, PeerId(0));
        for payload in came {
            let to = [PeerId(1), PeerId(2)];
            net.engine
                .send_data(&now, Some(from), &to, "_reliable", &payload, &mut net.wire);
            net.engine
                .data_taken(&now, from, CHUNK, ms(0), &mut net.wire);
            relayed += 1;
        }
        if call.members[2].messages.len() == CHUNKS {
            break;
        }
    }
    assert_eq!(call.net.engine.totals().messages_dropped, 0);
    for member in &call.members[1..] {
        let numbers: Vec<u8> = member.messages.iter().map(|it| it.1[0]).collect();
        let expected: Vec<u8> = (0..CHUNKS).map(|at| at as u8).collect();
        assert_eq!(numbers, expected);
    }
}
