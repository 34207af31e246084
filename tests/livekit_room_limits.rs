//! How many LiveKit clients a room takes, whether they may open one, and when it ends.

mod server;
mod signal;

use livekit_protocol::{LeaveRequest, signal_request};
use server::{Server, token};
use signal::Signal;

fn leave(mut client: Signal) {
    client.say(signal_request::Message::Leave(LeaveRequest::default()));
    client.until_closed();
}

#[test]
fn one_client_too_many_is_refused_until_another_leaves() {
    let server = Server::start("rooms: {max_participants: 2}\n");
    let ann = Signal::join(&server, &token("demo", "ann", &[]));
    let mut bob = Signal::join(&server, &token("demo", "bob", &[]));
    let late = token("demo", "cat", &[]);
    let (status, said) = Signal::try_join(&server, &late).expect_err("a refusal");
    assert_eq!(status, 503);
    assert!(said.contains("`rooms.max_participants`"), "{said}");
    // Another room has places of its own, and who comes again takes their own place.
    Signal::join(&server, &token("other", "cat", &[]));
    let mut again = Signal::join(&server, &token("demo", "ann", &[]));
    assert!(again.is_served() && bob.is_served());
    drop(ann);
    leave(again);
    assert!(Signal::join(&server, &late).is_served());
}

#[test]
fn a_room_that_was_not_created_cannot_be_joined_where_that_is_asked_for() {
    let server = Server::start("rooms: {auto_create: false}\n");
    let ann = token("demo", "ann", &[]);
    let (status, said) = Signal::try_join(&server, &ann).expect_err("a refusal");
    assert_eq!(status, 404);
    assert!(said.contains("requested room does not exist"), "{said}");
    let created = server
        .request("POST", "/twirp/livekit.RoomService/CreateRoom")
        .bearer(&token("demo", "backend", &["--room-create"]))
        .json(&serde_json::json!({ "name": "demo" }))
        .send();
    assert_eq!(created.status, 200, "{created:?}");
    assert!(Signal::join(&server, &ann).is_served());
}

#[test]
fn a_room_ends_some_time_after_everybody_left_or_if_nobody_comes_and_not_before() {
    let server = Server::start("rooms: {empty_timeout: 1s, departure_timeout: 1s}\n");
    let mut stays = Signal::join(&server, &token("kept", "ann", &[]));
    let created = server
        .request("POST", "/twirp/livekit.RoomService/CreateRoom")
        .bearer(&token("made", "backend", &["--room-create"]))
        .json(&serde_json::json!({ "name": "made" }))
        .send();
    assert_eq!(created.status, 200, "{created:?}");
    leave(Signal::join(&server, &token("left", "bob", &[])));
    let mut closed = [(); 2].map(|()| {
        let closed = server.logged("an empty room was closed");
        closed["room"].as_str().expect("a name").to_owned()
    });
    closed.sort();
    assert_eq!(closed, ["left", "made"]);
    // The other one is older and was not closed meanwhile.
    assert!(stays.is_served());
    let rooms = server.request("GET", "/rooms").send().body;
    assert!(rooms.contains("kept") && !rooms.contains("left"), "{rooms}");
}
