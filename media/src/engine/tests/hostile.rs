//! Bad input harms nobody else and is counted.

use std::time::Duration;

use rand::{Rng, SeedableRng};

use crate::engine::Role;
use crate::ids::PeerId;
use crate::testing::{Net, Offering};

const STRANGER: &str = "203.0.113.66:6666";

/// A conversation whose listener must hear everything, whatever happens beside it.
fn conversation() -> (Net, usize, usize) {
    let mut net = Net::new();
    let publisher = net.publisher();
    let listener = net.listener(1);
    (net, publisher, listener)
}

#[test]
fn garbage_from_strangers_and_peers_is_counted_and_forgotten() {
    let (mut net, publisher, listener) = conversation();
    let mut random = rand::rngs::StdRng::seed_from_u64(5);
    let own = net.clients[publisher].address.to_string();
    for round in 0..5000 {
        let len = random.random_range(0..1500);
        let mut junk = vec![0; len];
        random.fill(&mut junk[..]);
        // Lead each parser into temptation.
        if let Some(first) = junk.first_mut() {
            *first = [0, 22, 0x80, 0x90, 0x81][round % 5];
        }
        if len > 8 && round % 5 == 0 {
            junk[..8].copy_from_slice(&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42]);
        }
        net.inject(if round % 2 == 0 { STRANGER } else { &own }, &junk);
    }
    net.inject(STRANGER, &[0x80; 1600]);
    net.wire.sent.clear();
    net.speak(publisher, 0, 20, 30);
    assert_eq!(net.clients[listener].heard.len(), 20);
    let totals = net.engine.totals();
    assert!(totals.unknown_source > 0);
    assert!(totals.stun_malformed > 0);
    assert!(totals.srtp_unauthentic > 0);
    assert_eq!(totals.oversized, 1);
    assert_eq!(totals.datagrams_panicked, 0);
    assert_eq!(net.engine.stats(net.now.mono).peers.len(), 2);
}

#[test]
fn every_truncation_of_real_traffic_is_harmless() {
    let (mut net, publisher, listener) = conversation();
    net.clients[publisher].send_audio(0, 0, 30, &[9; 40]);
    let media = net.clients[publisher].outbox.pop_back().unwrap();
    net.clients[publisher].check(true);
    let check = net.clients[publisher].outbox.pop_back().unwrap();
    let own = net.clients[publisher].address.to_string();
    for whole in [media, check] {
        for len in 0..whole.len() {
            net.inject(&own, &whole[..len]);
            net.inject(STRANGER, &whole[..len]);
        }
    }
    net.exchange();
    assert_eq!(net.clients[listener].heard.len(), 0);
    net.speak(publisher, 1, 5, 30);
    assert_eq!(net.clients[listener].heard.len(), 5);
}

#[test]
fn replayed_media_is_forwarded_once() {
    let (mut net, publisher, listener) = conversation();
    net.speak(publisher, 0, 3, 30);
    let replay = net.clients[publisher].last_sent.clone();
    let own = net.clients[publisher].address.to_string();
    for _ in 0..10 {
        net.inject(&own, &replay);
        net.inject(STRANGER, &replay);
    }
    net.exchange();
    assert_eq!(net.clients[listener].heard.len(), 3);
    assert_eq!(net.engine.totals().srtp_replayed, 10);
    assert_eq!(net.engine.totals().unknown_source, 10);
}

#[test]
fn a_flood_of_forged_checks_and_hellos_gets_no_answer_and_no_memory() {
    let (mut net, publisher, listener) = conversation();
    net.clients[publisher].check(true);
    let mut forged = net.clients[publisher].outbox.pop_back().unwrap();
    let last = forged.len() - 12;
    forged[last] ^= 1;
    let mut unknown = forged.clone();
    // The first byte of our ufrag in USERNAME.
    unknown[24] ^= 1;
    let mut hello = vec![22, 0xFE, 0xFF];
    hello.resize(200, 0);
    let before = net.wire.sent.len();
    for port in 1..2000u16 {
        let from = format!("203.0.113.66:{port}");
        net.inject(&from, &forged);
        net.inject(&from, &unknown);
        net.inject(&from, &hello);
    }
    assert_eq!(net.wire.sent.len(), before);
    let totals = *net.engine.totals();
    assert_eq!(totals.stun_unauthentic + totals.stun_malformed, 1999);
    assert_eq!(totals.stun_unknown_ufrag, 1999);
    assert_eq!(totals.unknown_source, 1999);
    net.speak(publisher, 0, 5, 30);
    assert_eq!(net.clients[listener].heard.len(), 5);
}

#[test]
fn garbage_during_the_handshake_does_not_stop_it() {
    let mut net = Net::new();
    let (index, _) = net.join(Offering::PUBLISH, Role::Publish);
    net.clients[index].check(true);
    net.exchange();
    let own = net.clients[index].address.to_string();
    let mut random = rand::rngs::StdRng::seed_from_u64(9);
    for _ in 0..500 {
        let mut junk = vec![0; random.random_range(13..400)];
        random.fill(&mut junk[..]);
        junk[..3].copy_from_slice(&[22, 0xFE, 0xFD]);
        net.inject(&own, &junk);
    }
    net.wire.sent.clear();
    let now = net.now.mono;
    net.clients[index].start_dtls(now);
    net.run(Duration::from_secs(5));
    assert!(net.clients[index].is_connected());
    assert!(net.engine.totals().dtls_malformed > 0);
}

#[test]
fn malformed_but_authentic_rtcp_and_rtp_are_counted() {
    let (mut net, publisher, listener) = conversation();
    // A report that promises 31 blocks and has none.
    net.clients[publisher].send_rtcp(&[0x9F, 201, 0, 1, 0, 0, 0, 1]);
    // A payload type nobody negotiated comes from an authentic peer.
    net.exchange();
    assert_eq!(net.engine.totals().rtcp_malformed, 1);
    // A listener that publishes.
    net.clients[listener].send_audio(0, 0, 30, &[1; 40]);
    net.exchange();
    assert_eq!(net.engine.totals().unknown_stream, 1);
    net.speak(publisher, 0, 5, 30);
    assert_eq!(net.clients[listener].heard.len(), 5);
}

#[test]
fn one_peer_cannot_fill_the_tables() {
    let (mut net, publisher, listener) = conversation();
    for ssrc in 0..500 {
        net.clients[publisher].send_audio_as(0x10_0000 + ssrc, 0, 0, 30, &[1; 40]);
    }
    net.exchange();
    let known = net.engine.known_sources(PeerId(publisher as u64));
    assert!(known <= 256, "{known}");
    for port in 1..100u16 {
        net.clients[listener].address = format!("203.0.113.66:{port}").parse().unwrap();
        net.clients[listener].check(true);
        net.exchange();
    }
    let stats = net.engine.stats(net.now.mono);
    assert_eq!(stats.peers.len(), 2);
    assert!(net.engine.known_paths() <= 9);
}
