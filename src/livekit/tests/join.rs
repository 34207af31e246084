//! Joining, in both generations, and what is said while one is there.

use hive_actors::livekit::{
    Topology,
    proto::{
        DisconnectReason, LeaveRequest, Ping, SessionDescription, UpdateParticipantMetadata,
        client_info::Sdk, leave_request::Action, signal_request as asked, signal_response as told,
    },
};
use tungstenite::{Message, protocol::frame::coding::CloseCode};

use super::*;

fn offer(sdp: String) -> SessionDescription {
    SessionDescription {
        r#type: "offer".to_owned(),
        sdp,
        ..SessionDescription::default()
    }
}

#[actix_web::test]
async fn a_newer_client_joins_with_its_offer_compressed_or_not() {
    World::with(config(), |world| {
        // As much as an offer of many sections has, and so that it cannot be compressed away.
        let sdp: String = (0..5000).map(|n| format!("{n:06x}")).collect();
        let request = JoinRequest {
            connection_settings: Some(ConnectionSettings {
                auto_subscribe: true,
                ..ConnectionSettings::default()
            }),
            publisher_offer: Some(offer(sdp.clone())),
            ..JoinRequest::default()
        };
        for gzip in [false, true] {
            let address = v1_with(&token("demo"), &request, gzip);
            assert!(gzip || address.len() > 40_000, "{}", address.len());
            let mut socket = world.connect(&address).expect("joined");
            let Some(told::Message::Join(join)) = socket.message() else {
                panic!("the first message is the join");
            };
            assert_eq!((join.ping_interval, join.ping_timeout), (5, 15));
            assert_eq!(join.server_version, "1.9.0");
            let info = join.server_info.expect("an info");
            assert_eq!((info.protocol, info.version.as_str()), (16, "1.9.0"));
            assert_eq!(join.enabled_publish_codecs[0].mime, "audio/opus");
            let joined = world.log.joined().pop().expect("joined");
            assert_eq!(joined.topology, Topology::Single);
            assert_eq!(
                (joined.room.as_str(), joined.identity.as_str()),
                ("demo", "ann")
            );
            assert_eq!(
                (joined.name.as_str(), joined.metadata.as_str()),
                ("Ann", "m")
            );
            assert!(joined.auto_subscribe && joined.permission.can_publish);
            assert_eq!(joined.offer.expect("an offer").sdp, sdp);
            assert_eq!(joined.client.address, "127.0.0.1");
        }
    })
    .await;
}

#[actix_web::test]
async fn an_older_client_says_itself_in_the_query_and_its_token_in_a_header() {
    World::with(config(), |world| {
        let address =
            "/rtc?auto_subscribe=0&sdk=python&version=1.2.0&protocol=16&os=linux&room=demo";
        let mut socket =
            Socket::connect(world.server.address(), address, Some(&token("demo"))).expect("joined");
        assert!(matches!(socket.message(), Some(told::Message::Join(_))));
        let joined = world.log.joined().pop().expect("joined");
        assert_eq!(joined.topology, Topology::PublisherAndSubscriber);
        assert!(!joined.auto_subscribe);
        assert_eq!(joined.client.sdk, i32::from(Sdk::Python));
        assert_eq!(
            (joined.client.version.as_str(), joined.client.protocol),
            ("1.2.0", 16)
        );
        drop(socket);
        let address = format!("/rtc?access_token={}", token("demo"));
        let mut socket = world.connect(&address).expect("joined");
        assert!(matches!(socket.message(), Some(told::Message::Join(_))));
        let joined = world.log.joined().pop().expect("joined");
        assert!(joined.auto_subscribe, "unless it says otherwise");
    })
    .await;
}

#[actix_web::test]
async fn the_room_does_what_is_asked_and_the_session_answers_pings() {
    World::with(config(), |world| {
        let mut socket = world.join("demo");
        socket.say(asked::Message::Offer(offer("v=0".to_owned())));
        let Some(told::Message::Answer(answer)) = socket.message() else {
            panic!("an answer");
        };
        assert_eq!(
            (answer.r#type.as_str(), answer.sdp.as_str()),
            ("answer", "v=0")
        );
        socket.say(asked::Message::Ping(1));
        let Some(told::Message::Pong(now)) = socket.message() else {
            panic!("a pong");
        };
        assert!(now.abs_diff(unix_seconds() as i64 * 1000) < 60_000);
        socket.say(asked::Message::PingReq(Ping {
            timestamp: 7,
            rtt: 1,
        }));
        let Some(told::Message::PongResp(pong)) = socket.message() else {
            panic!("a pong");
        };
        assert_eq!(pong.last_ping_timestamp, 7);
        // Nothing, and something of a protocol to come, are ignored.
        socket.send(Message::binary(Vec::new()));
        socket.send(Message::binary(vec![0xc0, 0x3e, 1]));
        socket.say(asked::Message::Ping(2));
        assert!(matches!(socket.message(), Some(told::Message::Pong(_))));
        let handled = world.log.told();
        assert_eq!(
            handled.len(),
            1,
            "pings are no business of the room: {handled:?}"
        );
    })
    .await;
}

#[actix_web::test]
async fn a_client_that_leaves_is_gone_for_good_and_one_that_is_cut_is_not() {
    World::with(config(), |world| {
        let mut socket = world.join("demo");
        socket.say(asked::Message::Leave(LeaveRequest::default()));
        assert_eq!(socket.ended(), (None, Some(CloseCode::Normal)));
        world.log.wait_for(&Told::Dropped);
        assert_eq!(
            world.log.told(),
            [Told::Left(DisconnectReason::ClientInitiated), Told::Dropped]
        );
    })
    .await;
    World::with(config(), |world| {
        drop(world.join("demo"));
        world.log.wait_for(&Told::Dropped);
        assert_eq!(world.log.told(), [Told::Dropped]);
    })
    .await;
}

#[actix_web::test]
async fn at_the_servers_end_clients_are_sent_to_another_one() {
    World::with(config(), |world| {
        let mut socket = world.join("demo");
        world.server.close();
        let (leave, code) = socket.ended();
        let leave = leave.expect("a goodbye");
        assert_eq!(leave.reason(), DisconnectReason::ServerShutdown);
        assert_eq!(leave.action(), Action::Reconnect);
        assert!(leave.can_reconnect);
        assert_eq!(code, Some(CloseCode::Normal));
        let refused = world
            .connect(&v1(&token("demo"), true))
            .expect_err("closed");
        assert_eq!(refused.status, 503);
    })
    .await;
}

#[actix_web::test]
async fn a_client_gets_a_fresh_token_that_lets_it_in_again() {
    World::with(config(), |world| {
        let mut socket = world.connect(&v1(&token("demo"), false)).expect("joined");
        let fresh = socket.fresh_token();
        let mut again = world.connect(&v1(&fresh, false)).expect("joined again");
        assert!(!again.fresh_token().is_empty());
    })
    .await;
}

#[actix_web::test]
async fn a_client_that_is_not_what_it_was_gets_a_token_that_says_so() {
    World::with(config(), |world| {
        let mut socket = world.connect(&v1(&token("demo"), false)).expect("joined");
        socket.fresh_token();
        socket.say(asked::Message::UpdateMetadata(UpdateParticipantMetadata {
            name: "Anna".to_owned(),
            attributes: [("mood".to_owned(), "fine".to_owned())].into(),
            ..UpdateParticipantMetadata::default()
        }));
        let fresh = socket.fresh_token();
        world.connect(&v1(&fresh, false)).expect("joined again");
        let joined = world.log.joined();
        let again = joined.last().expect("it joined");
        assert_eq!((&*again.name, &*again.metadata), ("Anna", ""));
        assert_eq!(again.attributes["mood"], "fine");
        assert!(!again.permission.can_publish && !again.permission.can_subscribe);
    })
    .await;
}
