//! What the room service says, over rooms from a table.

use actix_web::{
    http::{Method as HttpMethod, header},
    test::TestRequest,
};
use hive_actors::livekit::proto;
use prost::Message;
use serde_json::{Value, json};

use super::methods::Method;
use crate::{
    auth::{Claims, Keyring, VideoGrant, unix_seconds},
    http::tests::{Answer, World, bearer, config},
};

fn token(video: VideoGrant) -> String {
    let claims = Claims {
        video,
        ..Claims::default()
    };
    let keyring = Keyring::new(&config().auth);
    keyring
        .issue(claims, None, unix_seconds())
        .expect("a token")
        .0
}

fn creator() -> VideoGrant {
    VideoGrant {
        room_create: true,
        room_list: true,
        ..VideoGrant::default()
    }
}

fn admin(room: &str) -> VideoGrant {
    VideoGrant {
        room_admin: true,
        room: Some(room.to_owned()),
        ..VideoGrant::default()
    }
}

fn post(method: &str, video: VideoGrant) -> TestRequest {
    TestRequest::post()
        .uri(&format!("/twirp/livekit.RoomService/{method}"))
        .insert_header(bearer(&token(video)))
}

fn with_json(method: &str, video: VideoGrant, body: Value) -> TestRequest {
    post(method, video)
        .insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8"))
        .set_payload(body.to_string())
}

fn with_protobuf(method: &str, video: VideoGrant, message: &impl Message) -> TestRequest {
    post(method, video)
        .insert_header((header::CONTENT_TYPE, "application/protobuf"))
        .set_payload(message.encode_to_vec())
}

/// The error's code, after checking that it is one of Twirp's.
fn code(answer: &Answer) -> (u16, String) {
    assert_eq!(
        answer.header("content-type"),
        "application/json",
        "{answer:?}"
    );
    let body = answer.json();
    assert!(
        body["msg"].as_str().is_some_and(|msg| !msg.is_empty()),
        "{answer:?}"
    );
    let code = body["code"].as_str().expect("a code").to_owned();
    (answer.status.as_u16(), code)
}

#[actix_web::test]
async fn a_room_is_created_in_either_encoding() {
    let world = World::new();
    let body = json!({ "name": "demo", "empty_timeout": 300, "newerThanUs": 1 });
    let answer = world.ask(with_json("CreateRoom", creator(), body)).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    let room = answer.json();
    assert_eq!(
        (&room["name"], &room["empty_timeout"]),
        (&json!("demo"), &json!(300))
    );
    assert_eq!(
        room["creation_time"], "1800000000",
        "64 bits are a string in protobuf's JSON"
    );
    assert_eq!(
        (&room["metadata"], &room["version"]),
        (&json!(""), &Value::Null),
        "what is not set is there"
    );

    let request = proto::CreateRoomRequest {
        name: "demo".to_owned(),
        empty_timeout: 300,
        ..proto::CreateRoomRequest::default()
    };
    let answer = world
        .ask(with_protobuf("CreateRoom", creator(), &request))
        .await;
    assert_eq!(answer.header("content-type"), "application/protobuf");
    let room = proto::Room::decode(answer.bytes.as_ref()).expect("a room");
    assert_eq!((room.name.as_str(), room.empty_timeout), ("demo", 300));
    assert_eq!(*world.table.asked.lock(), ["create demo", "create demo"]);
}

#[actix_web::test]
async fn every_method_does_what_it_is_called() {
    let world = World::new();
    let ann = json!({ "room": "demo", "identity": "ann" });
    let with = |more: Value| {
        let mut body = ann.clone();
        let members = body.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        body
    };
    for (method, video, body, member, value) in [
        (
            "ListRooms",
            creator(),
            json!({}),
            "/rooms/1/name",
            json!("other"),
        ),
        (
            "ListRooms",
            creator(),
            json!({ "names": ["other"] }),
            "/rooms/0/name",
            json!("other"),
        ),
        (
            "DeleteRoom",
            creator(),
            json!({ "room": "demo" }),
            "",
            json!({}),
        ),
        (
            "ListParticipants",
            admin("demo"),
            json!({ "room": "demo" }),
            "/participants/1/identity",
            json!("bob"),
        ),
        (
            "GetParticipant",
            admin("demo"),
            ann.clone(),
            "/identity",
            json!("ann"),
        ),
        (
            "RemoveParticipant",
            admin("demo"),
            ann.clone(),
            "",
            json!({}),
        ),
        (
            "MutePublishedTrack",
            admin("demo"),
            with(json!({ "track_sid": "TR_1", "muted": true })),
            "/track/muted",
            json!(true),
        ),
        (
            "UpdateParticipant",
            admin("demo"),
            with(json!({ "attributes": { "a": "b" } })),
            "/attributes/a",
            json!("b"),
        ),
        (
            "UpdateSubscriptions",
            admin("demo"),
            with(json!({ "trackSids": ["TR_1"], "subscribe": true })),
            "",
            json!({}),
        ),
        (
            "SendData",
            admin("demo"),
            json!({ "room": "demo", "data": "aGk=", "destination_identities": ["bob"] }),
            "",
            json!({}),
        ),
        (
            "UpdateRoomMetadata",
            admin("demo"),
            json!({ "room": "demo", "metadata": "m" }),
            "/metadata",
            json!("m"),
        ),
    ] {
        let answer = world.ask(with_json(method, video, body)).await;
        assert_eq!(answer.status.as_u16(), 200, "{method}: {answer:?}");
        assert_eq!(answer.json().pointer(member), Some(&value), "{method}");
    }
    assert_eq!(
        *world.table.asked.lock(),
        [
            "delete demo",
            "remove ann of demo",
            "mute TR_1 of ann: true",
            "update ann",
            "subscribe ann: [\"TR_1\"]",
            "send [104, 105] to [\"bob\"]",
            "metadata of demo",
        ]
    );
}

#[actix_web::test]
async fn without_a_good_token_nothing_is_answered() {
    let world = World::new();
    for method in Method::ALL {
        let address = format!("/twirp/livekit.RoomService/{}", method.name());
        let bare = || {
            TestRequest::post()
                .uri(&address)
                .insert_header((header::CONTENT_TYPE, "application/json"))
                .set_payload("{}")
        };
        for request in [bare(), bare().insert_header(bearer("x.y.z"))] {
            let answer = world.ask(request).await;
            assert_eq!(
                code(&answer),
                (401, "unauthenticated".to_owned()),
                "{method:?}"
            );
            assert!(!answer.header("www-authenticate").is_empty());
        }
    }
    assert!(world.table.asked.lock().is_empty());
}

#[actix_web::test]
async fn each_method_needs_its_grant() {
    let world = World::new();
    let denied = (401, "unauthenticated".to_owned());
    for method in Method::ALL {
        let name = method.name();
        let body = json!({ "name": "demo", "room": "demo", "identity": "ann" });
        let (granted, other) = match name {
            "CreateRoom" | "ListRooms" | "DeleteRoom" => (creator(), admin("demo")),
            _ => (admin("demo"), creator()),
        };
        for video in [VideoGrant::default(), other, admin("elsewhere")] {
            let answer = world.ask(with_json(name, video, body.clone())).await;
            assert_eq!(code(&answer), denied, "{name}");
        }
        let answer = world.ask(with_json(name, granted, body)).await;
        assert_eq!(answer.status.as_u16(), 200, "{name}: {answer:?}");
    }
}

#[actix_web::test]
async fn what_the_rooms_refuse_has_twirps_code() {
    let world = World::new();
    for (room, status, name) in [
        ("none", 404, "not_found"),
        ("full", 429, "resource_exhausted"),
        ("odd", 400, "invalid_argument"),
        ("closing", 503, "unavailable"),
    ] {
        let request = with_json("CreateRoom", creator(), json!({ "name": room }));
        assert_eq!(code(&world.ask(request).await), (status, name.to_owned()));
    }
    let nameless = with_json(
        "GetParticipant",
        admin("demo"),
        json!({ "identity": "ann" }),
    );
    let answer = world.ask(nameless).await;
    assert_eq!(code(&answer), (400, "invalid_argument".to_owned()));
    assert_eq!(answer.json()["meta"], json!({ "argument": "room" }));
}

#[actix_web::test]
async fn what_is_no_call_is_a_bad_route() {
    let world = World::new();
    let bad_route = (404, "bad_route".to_owned());
    let get = TestRequest::get().uri("/twirp/livekit.RoomService/ListRooms");
    assert_eq!(code(&world.ask(get).await), bad_route);
    for address in [
        "/twirp/livekit.RoomService/Explode",
        "/twirp/livekit.Nothing/ListRooms",
        "/twirp/livekit.RoomService",
        "/twirp/a/b/c",
    ] {
        let answer = world.ask(TestRequest::post().uri(address)).await;
        assert_eq!(code(&answer), bad_route, "{address}");
    }
    let text = post("ListRooms", creator()).insert_header((header::CONTENT_TYPE, "text/plain"));
    assert_eq!(code(&world.ask(text).await), bad_route);
}

#[actix_web::test]
async fn what_livekit_has_and_hive_has_not_says_so() {
    let world = World::new();
    for address in [
        "/twirp/livekit.Egress/StartRoomCompositeEgress",
        "/twirp/livekit.Ingress/CreateIngress",
        "/twirp/livekit.SIP/CreateSIPParticipant",
        "/twirp/livekit.AgentDispatchService/CreateDispatch",
        "/twirp/livekit.RoomService/ForwardParticipant",
        "/twirp/livekit.RoomService/MoveParticipant",
        "/twirp/livekit.RoomService/PerformRpc",
    ] {
        let answer = world.ask(TestRequest::post().uri(address)).await;
        assert_eq!(
            code(&answer),
            (501, "unimplemented".to_owned()),
            "{address}"
        );
        assert!(answer.body.contains("docs/http.md"), "{answer:?}");
    }
}

#[actix_web::test]
async fn bodies_that_cannot_be_read_and_rooms_that_hang_are_told_apart() {
    let mut config = config();
    config.http.room_service.max_body = 4096;
    config.http.request_timeout = std::time::Duration::from_millis(20);
    let world = World::with(&config);
    let broken = post("CreateRoom", creator())
        .insert_header((header::CONTENT_TYPE, "application/protobuf"))
        .set_payload(&b"\xff\xff\xff"[..]);
    assert_eq!(
        code(&world.ask(broken).await),
        (400, "malformed".to_owned())
    );
    let large = json!({ "name": "r", "metadata": "x".repeat(5000) });
    let large = with_json("CreateRoom", creator(), large);
    assert_eq!(
        code(&world.ask(large).await),
        (429, "resource_exhausted".to_owned())
    );
    let stuck = with_json("CreateRoom", creator(), json!({ "name": "stuck" }));
    assert_eq!(
        code(&world.ask(stuck).await),
        (408, "deadline_exceeded".to_owned())
    );
}

#[actix_web::test]
async fn a_key_that_asks_too_often_is_told_in_twirps_words_whatever_its_address_may() {
    let mut config = config();
    config.http.room_service.burst = 2;
    config.http.room_service.per_second = 1;
    config.http.rate.burst = 1;
    let world = World::with(&config);
    let list = || with_json("ListRooms", creator(), json!({}));
    assert_eq!(world.ask(list()).await.status.as_u16(), 200);
    assert_eq!(world.ask(list()).await.status.as_u16(), 200);
    let answer = world.ask(list()).await;
    assert_eq!(code(&answer), (429, "resource_exhausted".to_owned()));
    assert_eq!(answer.header("retry-after"), "1");
}

#[actix_web::test]
async fn strangers_that_ask_too_often_are_told_so_by_address() {
    let mut config = config();
    config.http.rate.burst = 1;
    config.http.rate.per_second = 1;
    let world = World::with(&config);
    let stranger = || {
        TestRequest::post()
            .uri("/twirp/livekit.RoomService/ListRooms")
            .insert_header((header::CONTENT_TYPE, "application/json"))
            .insert_header(bearer("x.y.z"))
    };
    assert_eq!(world.ask(stranger()).await.status.as_u16(), 401);
    let answer = world.ask(stranger()).await;
    assert_eq!(code(&answer), (429, "resource_exhausted".to_owned()));
}

#[actix_web::test]
async fn browsers_may_ask_first() {
    let preflight = TestRequest::default()
        .method(HttpMethod::OPTIONS)
        .uri("/twirp/livekit.RoomService/ListRooms")
        .insert_header((header::ORIGIN, "https://app.example.org"))
        .insert_header((header::ACCESS_CONTROL_REQUEST_METHOD, "POST"));
    let answer = World::new().ask(preflight).await;
    assert_eq!(answer.status.as_u16(), 204);
    assert_eq!(
        answer.header("access-control-allow-methods"),
        "POST, OPTIONS"
    );
}
