//! Coming and going.

use std::time::Duration;

use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;

use crate::engine::{AcceptError, CloseReason, MediaEvent, Role, Subscription, TrickleError};
use crate::ids::{PeerId, RoomId, TrackId};
use crate::sdp::fragment::TrickleFragment;
use crate::sdp::offer::{Offer, OfferError};
use crate::testing::{Client, Net, Offering, ROOM};

#[test]
fn audio_flows_from_publisher_to_listener_with_every_profile() {
    for profile in [
        SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
        SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
    ] {
        let mut net = Net::new();
        let publish = Offering {
            profile,
            ..Offering::PUBLISH
        };
        let listen = Offering {
            profile,
            ..Offering::listen(1)
        };
        let (publisher, accepted) = net.connect(publish, Role::Publish);
        let (listener, _) = net.connect(listen, Role::Listen(Subscription::Floor));
        net.speak(publisher, 100, 10, 30);
        let heard = &net.clients[listener].heard;
        assert_eq!(heard.len(), 10, "{profile:?}");
        assert_eq!(heard[3].payload(), [103; 40]);
        assert_eq!(heard[3].header.ssrc, net.clients[listener].slots[0]);
        assert!(net.events.contains(&MediaEvent::Connected {
            peer: PeerId(listener as u64)
        }));
        assert!(net.events.contains(&MediaEvent::TrackStarted {
            peer: PeerId(publisher as u64),
            track: accepted.tracks[0]
        }));
    }
}

#[test]
fn a_peer_that_says_goodbye_is_closed_and_answered() {
    let mut net = Net::new();
    let publisher = net.publisher();
    let now = net.now.mono;
    net.clients[publisher].close(now);
    net.exchange();
    assert_eq!(
        net.events.last(),
        Some(&MediaEvent::Closed {
            peer: PeerId(0),
            reason: CloseReason::Left
        })
    );
    assert_eq!(net.engine.stats(now).rooms, 0);
}

#[test]
fn a_listener_that_is_not_connected_yet_keeps_nobody_waiting() {
    let mut net = Net::new();
    let publisher = net.publisher();
    let listener = net.listener(1);
    // It has video waiting for it, more than its way is believed to take.
    let key = net.engine.by_id[&PeerId(listener as u64)];
    net.engine.peers[key].srtp = None;
    let listening = net.engine.peers[key].listening.as_deref_mut().unwrap();
    listening.estimator.wanted(5_000_000);
    net.engine.schedule(key);
    net.run(Duration::from_secs(1));
    let (now, idle) = (net.now.mono, net.engine.config.idle_timeout);
    assert!(net.engine.peers[key].due(idle) > now);
    net.speak(publisher, 0, 1, 30);
}

#[test]
fn a_closed_peer_is_told() {
    let mut net = Net::new();
    let listener = net.listener(1);
    let now = net.now;
    net.engine
        .close(&now, PeerId(0), CloseReason::Requested, &mut net.wire);
    net.exchange();
    assert!(net.clients[listener].closed);
    assert_eq!(net.engine.stats(now.mono).peers.len(), 0);
    assert!(net.engine.poll_timeout().is_some());
    net.run(Duration::from_secs(60));
    assert_eq!(net.engine.poll_timeout(), None);
}

#[test]
fn a_peer_that_vanishes_is_collected_after_the_idle_timeout() {
    let mut net = Net::with_limits(Duration::from_secs(30), 10);
    let publisher = net.publisher();
    let listener = net.listener(1);
    net.speak(publisher, 0, 50, 30);
    // The listener keeps its consent alive, the publisher is gone.
    for _ in 0..28 {
        net.clients[listener].check(true);
        net.run(Duration::from_secs(1));
    }
    assert!(
        !net.events
            .iter()
            .any(|event| matches!(event, MediaEvent::Closed { .. }))
    );
    net.clients[listener].check(true);
    net.run(Duration::from_secs(3));
    assert!(net.events.contains(&MediaEvent::Closed {
        peer: PeerId(publisher as u64),
        reason: CloseReason::Vanished
    }));
    assert_eq!(net.engine.stats(net.now.mono).peers.len(), 1);
    assert_eq!(net.engine.totals().peers_vanished, 1);
}

#[test]
fn a_peer_that_never_connects_is_collected_too() {
    let mut net = Net::new();
    net.join(Offering::PUBLISH, Role::Publish);
    net.run(Duration::from_secs(31));
    assert_eq!(
        net.events,
        [MediaEvent::Closed {
            peer: PeerId(0),
            reason: CloseReason::Vanished
        }]
    );
}

/// Connects a client while the datagrams of DTLS for which `lose` holds (whether the client sent it, its
/// number in that direction) are lost. Gives the seconds it took.
fn handshake_seconds(mut lose: impl FnMut(bool, usize) -> bool) -> Option<f64> {
    let mut net = Net::new();
    let (index, _) = net.join(Offering::PUBLISH, Role::Publish);
    net.clients[index].check(true);
    net.run(Duration::from_millis(20));
    let start = net.now.mono;
    net.clients[index].start_dtls(start);
    let (mut up, mut down) = (0, 0);
    for _ in 0..200 {
        let from = net.clients[index].path();
        while let Some(mut datagram) = net.clients[index].outbox.pop_front() {
            up += 1;
            if !lose(true, up - 1) {
                net.engine
                    .handle_datagram(&net.now.clone(), from, &mut datagram, &mut net.wire);
            }
        }
        while let Some((_, datagram)) = net.wire.sent.pop_front() {
            let dtls = (20..=63).contains(&datagram[0]);
            down += usize::from(dtls);
            if !dtls || !lose(false, down - 1) {
                net.clients[index].handle(&net.now.clone(), &datagram);
            }
        }
        if net.clients[index].is_connected() && net.engine.stats(net.now.mono).peers[0].connected {
            let seconds = (net.now.mono - start).as_secs_f64();
            // Nor does anything that is still on its way, or a timer, break what was agreed.
            net.run(Duration::from_secs(20));
            let peers = net.engine.stats(net.now.mono).peers;
            return peers.first().map(|_| seconds);
        }
        net.now = net.now.after(Duration::from_millis(50));
        net.engine.handle_timeout(&net.now.clone(), &mut net.wire);
        let now = net.now.mono;
        net.clients[index].handle_timeout(now);
    }
    None
}

#[test]
fn the_handshake_survives_any_two_lost_datagrams() {
    for first in 0..14 {
        for second in first..14 {
            let lost = |client: bool, n: usize| {
                let n = 2 * n + usize::from(client);
                n == first || n == second
            };
            let seconds = handshake_seconds(lost);
            assert!(
                seconds.is_some_and(|seconds| seconds < 2.5),
                "{first} and {second} lost: {seconds:?}"
            );
        }
    }
}

#[test]
fn a_certificate_other_than_the_promised_one_is_refused() {
    let mut net = Net::new();
    let (index, _) = net.join(Offering::PUBLISH, Role::Publish);
    let impostor = Client::new("198.51.100.1:1000", Offering::PUBLISH);
    let honest = std::mem::replace(&mut net.clients[index], impostor);
    net.clients[index].server_ufrag = honest.server_ufrag;
    net.clients[index].server_pwd = honest.server_pwd;
    net.clients[index].check(true);
    net.run(Duration::from_millis(20));
    let now = net.now.mono;
    net.clients[index].start_dtls(now);
    net.run(Duration::from_millis(200));
    assert_eq!(
        net.events,
        [MediaEvent::Closed {
            peer: PeerId(0),
            reason: CloseReason::Dtls(crate::DtlsFailure::Fingerprint)
        }]
    );
}

#[test]
fn media_follows_the_peer_to_another_address() {
    let mut net = Net::new();
    let publisher = net.publisher();
    let listener = net.listener(1);
    net.speak(publisher, 0, 5, 30);
    for (client, address) in [(listener, "203.0.113.5:7"), (publisher, "[2001:db8::5]:7")] {
        net.clients[client].address = address.parse().unwrap();
        net.clients[client].check(true);
        net.exchange();
    }
    net.speak(publisher, 5, 5, 30);
    assert_eq!(net.clients[listener].heard.len(), 10);
    assert_eq!(net.engine.totals().unknown_source, 0);
}

#[test]
fn ice_restarts_without_a_break() {
    let mut net = Net::new();
    let publisher = net.publisher();
    let listener = net.listener(1);
    let peer = PeerId(listener as u64);
    let same = TrickleFragment::parse(
        "a=ice-ufrag:client\r\na=ice-pwd:0123456789012345678901\r\na=candidate:1 1 udp 1 192.0.2.3 9 typ host\r\n",
    )
    .unwrap();
    assert_eq!(net.engine.trickle(peer, &same), Ok(None));
    let restart = TrickleFragment::parse(
        "a=ice-ufrag:again\r\na=ice-pwd:9876543210987654321098\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n",
    )
    .unwrap();
    let answer = net.engine.trickle(peer, &restart).unwrap().unwrap();
    assert!(
        answer
            .fragment
            .contains(&format!("a=ice-ufrag:{}", answer.ice_ufrag))
    );
    // Old credentials are good until new ones are used.
    net.clients[listener].check(true);
    net.exchange();
    assert_eq!(net.clients[listener].check_answers, 2);
    let client = &mut net.clients[listener];
    let old = (client.server_ufrag.clone(), client.server_pwd.clone());
    client.take_answer(&answer.fragment);
    client.ufrag = "again".to_owned();
    client.address = "203.0.113.5:7".parse().unwrap();
    client.check(true);
    net.exchange();
    assert_eq!(net.clients[listener].check_answers, 3);
    net.speak(publisher, 0, 5, 30);
    assert_eq!(net.clients[listener].heard.len(), 5);
    let client = &mut net.clients[listener];
    (client.server_ufrag, client.server_pwd) = old;
    client.ufrag = "client".to_owned();
    client.check(true);
    net.exchange();
    assert_eq!(net.clients[listener].check_answers, 3);
    assert_eq!(net.engine.totals().stun_unknown_ufrag, 1);
    assert_eq!(
        net.engine.trickle(PeerId(99), &restart),
        Err(TrickleError::UnknownPeer(PeerId(99)))
    );
}

#[test]
fn refusals_name_their_reason_and_change_nothing() {
    let mut net = Net::with_limits(Duration::from_secs(30), 2);
    net.publisher();
    let client = Client::new("198.51.100.9:9", Offering::PUBLISH);
    let offer = Offer::parse_audio(&client.offer()).unwrap();
    let now = net.now;
    let mut accept = |peer, role| net.engine.accept(&now, ROOM, PeerId(peer), &offer, role);
    assert_eq!(
        accept(0, Role::Publish),
        Err(AcceptError::PeerExists(PeerId(0)))
    );
    assert!(matches!(
        accept(5, Role::Listen(Subscription::Floor)),
        Err(AcceptError::Offer(OfferError::WrongDirection { .. }))
    ));
    assert!(accept(5, Role::Publish).is_ok());
    assert_eq!(accept(6, Role::Publish), Err(AcceptError::TooManyPeers(2)));
    let stats = net.engine.stats(now.mono);
    assert_eq!((stats.peers.len(), stats.tracks, stats.rooms), (2, 2, 1));
}

#[test]
fn a_language_channel_must_exist_in_the_room() {
    let mut net = Net::new();
    let now = net.now;
    let elsewhere = net.engine.add_source(&now, RoomId(77));
    let client = Client::new("198.51.100.9:9", Offering::listen(1));
    let offer = Offer::parse_audio(&client.offer()).unwrap();
    for track in [elsewhere, TrackId(u64::MAX)] {
        assert_eq!(
            net.engine.accept(
                &now,
                ROOM,
                PeerId(0),
                &offer,
                Role::Listen(Subscription::Source(track))
            ),
            Err(AcceptError::UnknownTrack(track))
        );
    }
}
