//! An allocation in virtual time.

use std::time::Duration;

use turn_server_proto::types::{
    attribute::{ChannelNumber, Lifetime, XorPeerAddress, XorRelayedAddress},
    message::{CHANNEL_BIND, CREATE_PERMISSION, REFRESH},
    stun::message::Method,
};

use super::*;
use crate::turn::{
    SharedSecret,
    door::{Door, Expiry},
    test_client::{Asking, ask, code},
};

const PEER: &str = "192.0.2.7:7882";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

/// An allocation of a client that the door let in.
fn allocation() -> Allocation {
    let (secret, client) = (SharedSecret::random(), address("192.0.2.1:5000"));
    let credentials = secret.credentials("ann", 2000);
    let door = Door::new("hive".to_owned(), secret);
    let challenge = ask(&Asking::default());
    let challenge = Message::from_bytes(&challenge).expect("STUN");
    let challenge = door.examine(&challenge, client, Expiry::Enforced, 1000);
    let challenge = challenge.err().expect("no credentials were shown");
    let challenge = Message::from_bytes(&challenge).expect("STUN");
    let nonce = challenge.attribute::<Nonce>().expect("a nonce");
    let signed = ask(&Asking {
        nonce: Some(nonce.nonce()),
        credentials: Some(&credentials),
        ..Asking::default()
    });
    let signed = Message::from_bytes(&signed).expect("STUN");
    let user = door.examine(&signed, client, Expiry::Enforced, 1000);
    let ends = Ends {
        client,
        server: address("0.0.0.0:3479"),
        relayed: address("192.0.2.7:50000"),
    };
    Allocation::new(ends, user.expect("good credentials"), "hive", at(0))
}

/// What is answered to a request, at once or later.
fn answered(allocation: &mut Allocation, request: &Asking<'_>, now: Instant) -> Vec<u8> {
    let request = ask(request);
    let request = Message::from_bytes(&request).expect("STUN");
    let at_once = allocation.request(&request, now);
    let mut later = Vec::new();
    allocation.settle(now, &mut later);
    match at_once {
        Some(Outgoing::Client(answer)) => answer,
        other => later.pop().unwrap_or_else(|| panic!("{other:?}")),
    }
}

fn with_peer(method: Method, peers: &[SocketAddr]) -> Asking<'_> {
    Asking {
        method,
        peers,
        ..Asking::default()
    }
}

#[test]
fn it_lives_ten_minutes_and_longer_if_it_is_refreshed() {
    let mut allocation = allocation();
    let made = answered(&mut allocation, &Asking::default(), at(0));
    assert_eq!(code(&made), 0);
    let made = Message::from_bytes(&made).expect("STUN");
    let relayed = made.attribute::<XorRelayedAddress>().expect("an address");
    assert_eq!(
        relayed.addr(made.transaction_id()),
        address("192.0.2.7:50000")
    );
    let state = |allocation: &mut Allocation, now| allocation.settle(now, &mut Vec::new());
    assert_eq!(state(&mut allocation, at(599)), State::Until(at(600)));
    let refreshed = answered(&mut allocation, &with_peer(REFRESH, &[]), at(599));
    assert_eq!(code(&refreshed), 0);
    assert_eq!(state(&mut allocation, at(601)), State::Until(at(1199)));
    assert_eq!(state(&mut allocation, at(1200)), State::Ended);
}

#[test]
fn it_ends_when_the_client_says_so() {
    let mut allocation = allocation();
    answered(&mut allocation, &Asking::default(), at(0));
    let goodbye = Asking {
        method: REFRESH,
        more: &[&Lifetime::new(0)],
        ..Asking::default()
    };
    assert_eq!(code(&answered(&mut allocation, &goodbye, at(1))), 0);
    assert_eq!(allocation.settle(at(1), &mut Vec::new()), State::Ended);
}

#[test]
fn datagrams_pass_both_ways_once_they_are_permitted() {
    let (mut allocation, peer) = (allocation(), address(PEER));
    let peers = [peer];
    answered(&mut allocation, &Asking::default(), at(0));
    assert_eq!(allocation.peer_sent(peer, b"early", at(0)), None);
    let permitted = answered(
        &mut allocation,
        &with_peer(CREATE_PERMISSION, &peers),
        at(0),
    );
    assert_eq!(code(&permitted), 0);
    let indication = allocation.peer_sent(peer, b"data", at(0)).expect("passes");
    let indication = Message::from_bytes(&indication).expect("STUN");
    assert!(indication.has_attribute(XorPeerAddress::TYPE));
    let bound = Asking {
        more: &[&ChannelNumber::new(0x4000)],
        ..with_peer(CHANNEL_BIND, &peers)
    };
    assert_eq!(code(&answered(&mut allocation, &bound, at(0))), 0);
    let framed = allocation.peer_sent(peer, b"data", at(0)).expect("passes");
    assert_eq!(framed, b"\x40\0\0\x04data");
    let sent = allocation.client_sent(b"\x40\0\0\x04data".to_vec(), at(0));
    let Some(Outgoing::Peer { to, frame, data }) = sent else {
        panic!("{sent:?}");
    };
    assert_eq!((to, &frame[data]), (peer, &b"data"[..]));
    let unbound = allocation.client_sent(b"\x40\x01\0\x04data".to_vec(), at(0));
    assert_eq!(unbound, None);
    assert_eq!(allocation.peer_sent(peer, b"late", at(301)), None);
}

#[test]
fn what_was_not_signed_does_not_reach_the_library() {
    let allocation = allocation();
    let credentials = SharedSecret::random().credentials("eve", 2000);
    let mut request = ask(&Asking {
        nonce: Some("nonce"),
        credentials: Some(&credentials),
        ..with_peer(CREATE_PERMISSION, &[address(PEER)])
    });
    // XOR-PEER-ADDRESS of 12 bytes, behind the signature.
    request.extend([0, 0x12, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0]);
    let length = u16::try_from(request.len() - 20).expect("short");
    request[2..4].copy_from_slice(&length.to_be_bytes());
    let request = Message::from_bytes(&request).expect("STUN");
    let adopted = allocation.adopt(&request);
    let adopted = Message::from_bytes(&adopted).expect("STUN");
    let peers = adopted
        .iter_attributes()
        .filter(|(_, attribute)| attribute.get_type() == XorPeerAddress::TYPE);
    assert_eq!(peers.count(), 1);
    let name = adopted.attribute::<Username>().expect("a name");
    assert_eq!(name.username(), "2000:ann");
    assert!(
        adopted
            .validate_integrity_with_key(&allocation.user.key)
            .is_ok()
    );
}
