//! Who hears whom.

use std::time::Duration;

use crate::engine::MediaEvent;
use crate::ids::PeerId;
use crate::testing::Net;

/// All of `speakers` (client, level) speak for `packets` of 20 ms; the payload is the client.
fn speak(net: &mut Net, start: u16, packets: u16, speakers: &[(usize, u8)]) {
    for step in 0..packets {
        let seq = start + step;
        for &(client, level) in speakers {
            net.clients[client].send_audio(seq, u32::from(seq) * 960, level, &[client as u8; 40]);
        }
        net.run(Duration::from_millis(20));
    }
}

fn heard(net: &mut Net, client: usize) -> Vec<(usize, u8)> {
    let slots = net.clients[client].slots.clone();
    let mut heard: Vec<(usize, u8)> = net.clients[client]
        .heard
        .drain(..)
        .map(|heard| {
            let slot = slots
                .iter()
                .position(|&ssrc| ssrc == heard.header.ssrc)
                .unwrap();
            (slot, heard.payload()[0])
        })
        .collect();
    heard.sort_unstable();
    heard.dedup();
    heard
}

#[test]
fn with_enough_slots_everybody_keeps_theirs() {
    let mut net = Net::new();
    let listener = net.listener(3);
    let (a, b) = (net.publisher(), net.publisher());
    speak(&mut net, 0, 30, &[(a, 30), (b, 20)]);
    assert_eq!(heard(&mut net, listener), [(0, a as u8), (1, b as u8)]);
    let c = net.publisher();
    speak(&mut net, 30, 30, &[(a, 30), (b, 60), (c, 10)]);
    assert_eq!(
        heard(&mut net, listener),
        [(0, a as u8), (1, b as u8), (2, c as u8)]
    );
    let now = net.now.mono;
    net.clients[a].close(now);
    net.exchange();
    let d = net.publisher();
    speak(&mut net, 60, 10, &[(b, 30), (c, 30), (d, 30)]);
    assert_eq!(
        heard(&mut net, listener),
        [(0, d as u8), (1, b as u8), (2, c as u8)]
    );
}

#[test]
fn one_slot_follows_the_dominant_speaker_without_a_seam() {
    let mut net = Net::new();
    let listener = net.listener(1);
    let (a, b) = (net.publisher(), net.publisher());
    speak(&mut net, 0, 50, &[(a, 30), (b, 127)]);
    assert_eq!(heard(&mut net, listener), [(0, a as u8)]);
    speak(&mut net, 50, 100, &[(a, 127), (b, 25)]);
    let packets = net.clients[listener].heard.clone();
    assert_eq!(packets.last().unwrap().payload()[0], b as u8);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].header.seq, pair[0].header.seq.wrapping_add(1));
        assert_eq!(
            pair[1]
                .header
                .timestamp
                .wrapping_sub(pair[0].header.timestamp),
            960
        );
    }
    // The switch came within half a second.
    let switched = packets
        .iter()
        .position(|heard| heard.payload()[0] == b as u8)
        .unwrap();
    assert!(switched < 25, "after {switched} packets");
}

#[test]
fn two_slots_of_three_speakers_move_only_what_must() {
    let mut net = Net::new();
    let listener = net.listener(2);
    let (a, b, c) = (net.publisher(), net.publisher(), net.publisher());
    speak(&mut net, 0, 50, &[(a, 30), (b, 32), (c, 127)]);
    assert_eq!(heard(&mut net, listener), [(0, a as u8), (1, b as u8)]);
    speak(&mut net, 50, 50, &[(a, 127), (b, 30), (c, 25)]);
    heard(&mut net, listener);
    speak(&mut net, 100, 10, &[(a, 127), (b, 30), (c, 25)]);
    assert_eq!(heard(&mut net, listener), [(0, c as u8), (1, b as u8)]);
}

#[test]
fn nobody_hears_whom_they_exclude() {
    let mut net = Net::new();
    let listener = net.listener(2);
    let (own, other) = (net.publisher(), net.publisher());
    net.engine
        .exclude(PeerId(listener as u64), PeerId(own as u64), true);
    speak(&mut net, 0, 10, &[(own, 20), (other, 40)]);
    let payloads: Vec<u8> = heard(&mut net, listener).iter().map(|it| it.1).collect();
    assert_eq!(payloads, [other as u8]);
    net.engine
        .exclude(PeerId(listener as u64), PeerId(own as u64), false);
    speak(&mut net, 10, 10, &[(own, 20), (other, 40)]);
    assert_eq!(heard(&mut net, listener).len(), 2);
}

#[test]
fn levels_are_told_while_they_change() {
    let mut net = Net::new();
    let (a, b) = (net.publisher(), net.publisher());
    net.events.clear();
    speak(&mut net, 0, 50, &[(a, 20), (b, 127)]);
    let levels: Vec<_> = net
        .events
        .iter()
        .filter_map(|event| match event {
            MediaEvent::Levels { speakers, .. } => Some(speakers.clone()),
            _ => None,
        })
        .collect();
    assert!((1..=10).contains(&levels.len()), "{levels:?}");
    let last = levels.last().unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].0, PeerId(a as u64));
    assert!(last[0].1.abs_diff(20) <= 4);
    net.events.clear();
    speak(&mut net, 50, 50, &[(a, 20), (b, 127)]);
    assert!(
        net.events
            .iter()
            .filter(|event| matches!(event, MediaEvent::Levels { .. }))
            .count()
            <= 1
    );
}
