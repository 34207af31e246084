//! Clients that send too much, read too little, or neither.

use std::{io::Read, time::Duration};

use hive_actors::livekit::proto::{
    DisconnectReason, LeaveRequest, SessionDescription, TrickleRequest, leave_request::Action,
    signal_request as asked, signal_response as told,
};
use tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{CloseCode, Data, OpCode},
    },
};

use super::*;
use crate::livekit::fuzzing::encoded;

/// That a client has to leave, and is told so before its connection is closed in order.
fn assert_expelled(ended: (Option<LeaveRequest>, Option<CloseCode>), log: &SignalLog) {
    assert_told(ended, Action::Disconnect, log);
}

fn assert_told(
    (leave, code): (Option<LeaveRequest>, Option<CloseCode>),
    action: Action,
    log: &SignalLog,
) {
    let leave = leave.expect("a goodbye");
    assert_eq!(leave.reason(), DisconnectReason::StateMismatch);
    assert_eq!(leave.action(), action);
    assert_eq!(code, Some(CloseCode::Normal));
    log.wait_for(&Told::Left(DisconnectReason::StateMismatch));
}

fn frame(data: Vec<u8>, opcode: Data, is_final: bool) -> Message {
    Message::Frame(Frame::message(data, OpCode::Data(opcode), is_final))
}

#[actix_web::test]
async fn what_is_no_message_ends_the_connection() {
    for message in [
        Message::binary(vec![0x0a, 0xff, 0xff]),
        Message::text("{\"ping\":1}"),
        Message::binary(vec![0; config().http.signal.max_frame + 1]),
        frame(vec![1], Data::Reserved(3), true),
    ] {
        World::with(config(), move |world| {
            let mut socket = world.join("demo");
            socket.send(message);
            assert_expelled(socket.ended(), &world.log);
        })
        .await;
    }
}

#[actix_web::test]
async fn a_large_message_may_come_in_fragments_up_to_the_limit() {
    World::with(config(), |world| {
        let mut socket = world.join("demo");
        let offer = SessionDescription {
            sdp: "x".repeat(250_000),
            ..SessionDescription::default()
        };
        let message = encoded(asked::Message::Offer(offer));
        let (first, last) = message.split_at(131_072);
        socket.send(frame(first.to_vec(), Data::Binary, false));
        socket.send(frame(last.to_vec(), Data::Continue, true));
        assert!(matches!(socket.message(), Some(told::Message::Answer(_))));
        socket.send(frame(vec![0; 800_000], Data::Binary, false));
        socket.send(frame(vec![0; 800_000], Data::Continue, false));
        assert_expelled(socket.ended(), &world.log);
    })
    .await;
}

#[actix_web::test]
async fn more_messages_than_the_rate_permits_end_the_connection() {
    let mut config = config();
    (config.http.signal.per_second, config.http.signal.burst) = (1, 20);
    World::with(config, |world| {
        let mut socket = world.join("demo");
        for n in 0..60 {
            socket.say(asked::Message::Ping(n));
        }
        assert_told(socket.ended(), Action::Reconnect, &world.log);
    })
    .await;
}

#[actix_web::test]
async fn a_burst_waits_until_the_room_gets_it_done() {
    let mut config = config();
    config.http.signal.inbox = 4;
    World::with(config, |world| {
        let mut socket = world.join("demo");
        for _ in 0..300 {
            socket.say(asked::Message::Trickle(TrickleRequest::default()));
        }
        socket.say(asked::Message::Offer(SessionDescription::default()));
        assert!(matches!(socket.message(), Some(told::Message::Answer(_))));
        assert!(world.log.told().len() >= 300, "all before it was done");
    })
    .await;
}

#[actix_web::test]
async fn a_room_that_gets_nothing_done_sends_the_client_away_to_come_again() {
    let mut config = config();
    config.http.signal.inbox = 4;
    config.http.request_timeout = Duration::from_secs(1);
    World::with(config, |world| {
        let mut socket = world.join("stuck");
        for _ in 0..10 {
            socket.say(asked::Message::Trickle(TrickleRequest::default()));
        }
        assert_told(socket.ended(), Action::Reconnect, &world.log);
    })
    .await;
}

#[actix_web::test]
async fn a_client_that_does_not_read_loses_its_connection_but_not_its_place() {
    let mut config = config();
    config.http.signal.slow_reader_timeout = Duration::from_millis(50);
    World::with(config, |world| {
        let mut socket = world.connect(&v1(&token("flood"), true)).expect("joined");
        world.log.wait_for(&Told::Dropped);
        assert_eq!(world.log.told(), [Told::Dropped]);
        // The flood never ends by itself: that there is an end to read shows that the connection was cut.
        let mut received = Vec::new();
        // A reset is an end, too.
        let _ = socket.0.get_mut().read_to_end(&mut received);
    })
    .await;
}

#[actix_web::test]
async fn a_client_that_falls_silent_loses_its_connection_but_not_its_place() {
    let mut config = config();
    config.http.signal.ping_timeout = Duration::from_millis(50);
    World::with(config, |world| {
        let mut socket = world.join("demo");
        assert_eq!(socket.ended(), (None, Some(CloseCode::Away)));
        world.log.wait_for(&Told::Dropped);
        assert_eq!(world.log.told(), [Told::Dropped]);
    })
    .await;
}
