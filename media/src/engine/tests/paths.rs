//! Clients that change between UDP and TCP.

use std::time::Duration;

use crate::engine::{CloseReason, ConnectionId, Path};
use crate::ids::PeerId;
use crate::sdp::fragment::TrickleFragment;
use crate::testing::Net;

fn connection(slot: u32) -> Option<ConnectionId> {
    Some(ConnectionId { slot, serial: slot })
}

/// Moves a client to a connection or to UDP, and lets it check that path.
fn check_by(
    net: &mut Net,
    client: usize,
    connection: Option<ConnectionId>,
    nominate: bool,
) -> Path {
    net.clients[client].connection = connection;
    net.clients[client].check(nominate);
    net.exchange();
    net.clients[client].path()
}

#[test]
fn media_follows_the_peer_from_udp_to_tcp_and_back() {
    let mut net = Net::new();
    let publisher = net.publisher();
    let listener = net.listener(1);
    net.speak(publisher, 0, 5, 30);
    for client in [listener, publisher] {
        check_by(&mut net, client, connection(client as u32), true);
    }
    net.speak(publisher, 5, 5, 30);
    for client in [listener, publisher] {
        check_by(&mut net, client, None, true);
    }
    net.speak(publisher, 10, 5, 30);
    assert_eq!(net.clients[listener].heard.len(), 15);
    assert_eq!(net.engine.totals().unknown_source, 0);
    assert_eq!(net.engine.known_paths(), 4);
}

#[test]
fn the_same_address_by_tcp_is_nobody_until_it_is_checked() {
    let mut net = Net::new();
    let publisher = net.publisher();
    let listener = net.listener(1);
    net.clients[publisher].connection = connection(1);
    net.speak(publisher, 0, 5, 30);
    assert_eq!(net.clients[listener].heard.len(), 0);
    assert_eq!(net.engine.totals().unknown_source, 5);
}

#[test]
fn a_check_that_does_not_nominate_moves_nothing() {
    let mut net = Net::new();
    let publisher = net.publisher();
    let listener = net.listener(1);
    check_by(&mut net, listener, connection(1), false);
    net.clients[listener].connection = None;
    net.speak(publisher, 0, 5, 30);
    assert_eq!(net.clients[listener].heard.len(), 5);
}

#[test]
fn a_peer_whose_connection_ended_is_reached_by_what_it_has_left() {
    let mut net = Net::new();
    let publisher = net.publisher();
    let listener = net.listener(1);
    let tcp = check_by(&mut net, listener, connection(1), true);
    assert!(net.engine.is_path(tcp));
    net.engine.path_closed(tcp);
    assert!(!net.engine.is_path(tcp));
    net.clients[listener].connection = None;
    net.speak(publisher, 0, 5, 30);
    assert_eq!(net.clients[listener].heard.len(), 5);
    // Without any, it is sent nothing until it is back.
    let udp = net.clients[listener].path();
    net.engine.path_closed(udp);
    net.speak(publisher, 5, 5, 30);
    assert_eq!(net.clients[listener].heard.len(), 5);
    check_by(&mut net, listener, connection(2), false);
    net.speak(publisher, 10, 5, 30);
    assert_eq!(net.clients[listener].heard.len(), 10);
    // It was the engine that was told, so that it need not hang up.
    assert!(net.wire.hung_up.is_empty());
}

#[test]
fn a_peer_that_goes_takes_its_connections_along() {
    let mut net = Net::new();
    let listener = net.listener(1);
    for slot in 1..4 {
        check_by(&mut net, listener, connection(slot), true);
    }
    let now = net.now;
    net.engine
        .close(&now, PeerId(0), CloseReason::Requested, &mut net.wire);
    net.exchange();
    assert!(net.clients[listener].closed, "without a goodbye");
    let slots: Vec<u32> = net.wire.hung_up.iter().map(|id| id.slot).collect();
    assert_eq!(slots, [1, 2, 3]);
    assert_eq!(net.engine.known_paths(), 0);
}

#[test]
fn old_connections_are_closed_when_there_are_too_many() {
    let mut net = Net::new();
    let listener = net.listener(1);
    for slot in 1..30 {
        check_by(&mut net, listener, connection(slot), true);
    }
    assert_eq!(net.engine.known_paths(), 8);
    assert_eq!(net.wire.hung_up.len(), 21);
    assert!(net.engine.is_path(net.clients[listener].path()));
}

#[test]
fn ice_restarts_from_udp_to_tcp() {
    let mut net = Net::new();
    let publisher = net.publisher();
    let listener = net.listener(1);
    let restart = TrickleFragment::parse(
        "a=ice-ufrag:again\r\na=ice-pwd:9876543210987654321098\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n",
    )
    .unwrap();
    let answer = net
        .engine
        .trickle(PeerId(listener as u64), &restart)
        .unwrap()
        .unwrap();
    net.clients[listener].take_answer(&answer.fragment);
    net.clients[listener].ufrag = "again".to_owned();
    // Even without a nomination: the one before the restart does not count any more.
    check_by(&mut net, listener, connection(1), false);
    net.speak(publisher, 0, 5, 30);
    assert_eq!(net.clients[listener].heard.len(), 5);
    net.run(Duration::from_secs(1));
    assert_eq!(net.engine.totals().unknown_source, 0);
}
