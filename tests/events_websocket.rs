//! The events WebSocket: who comes and goes is told; clients that misbehave are closed with the code for it.

mod server;

use std::io::{Read, Write};

use server::{Server, token};
use tungstenite::Message;

#[test]
fn participants_are_told_as_they_come_and_go() {
    let server = Server::start("");
    let ann = token("demo", "ann", &["--name", "Ann"]);
    let mut events = server.events("demo", &token("demo", "bob", &[]), "");
    let snapshot = events.find(|event| event["type"] == "participants");
    assert_eq!(
        (snapshot["v"].as_u64(), snapshot["kind"].as_str()),
        (Some(1), Some("snapshot"))
    );
    let opened = server.publish("demo", &ann);
    let joined = events.find(|event| event["type"] == "participants" && event["kind"] == "joined");
    let participant = &joined["participants"][0];
    assert_eq!(
        (&participant["identity"], &participant["name"]),
        (&"ann".into(), &"Ann".into()),
        "{joined}"
    );
    assert_eq!(
        (&participant["publishing"], &participant["lang"]),
        (&true.into(), &"en".into()),
        "{joined}"
    );
    assert_eq!(
        server
            .request("DELETE", opened.header("location"))
            .bearer(&ann)
            .send()
            .status,
        200
    );
    let left = events.find(|event| event["type"] == "participants" && event["kind"] == "left");
    assert_eq!(left["participants"][0]["identity"], "ann", "{left}");
}

#[test]
fn a_client_that_talks_or_floods_is_closed_with_the_code_for_it() {
    let server = Server::start("");
    let ann = token("demo", "ann", &[]);
    for (message, code) in [
        (Message::text("hello"), 1003),
        (Message::binary(vec![1, 2, 3]), 1003),
        (Message::binary(vec![0; 5000]), 1009),
    ] {
        let mut events = server.events("demo", &ann, "");
        events.socket.send(message).expect("sent");
        assert_eq!(events.closed(), Some(code));
    }
}

#[test]
fn a_client_that_answers_no_ping_is_closed() {
    let limits =
        "http:\n  bind: 127.0.0.1:0\n  events: {ping_interval: 100ms, pong_timeout: 300ms}\n";
    let server = Server::start(limits);
    let mut stream = server.connect();
    let request = format!(
        "GET /rooms/demo/events?access_token={} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        token("demo", "ann", &[])
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut received = Vec::new();
    stream
        .read_to_end(&mut received)
        .expect("the server closes in the end");
    let ping = received.windows(2).position(|pair| pair == [0x89, 0x00]);
    let close = received
        .windows(4)
        .position(|frame| frame[0] == 0x88 && frame[2..] == 1001_u16.to_be_bytes());
    assert!(
        ping.is_some() && ping < close,
        "no ping and then a close with 1001"
    );
}

#[test]
fn a_plain_request_and_a_bad_token_get_a_problem() {
    let server = Server::start("");
    let ann = token("demo", "ann", &[]);
    let plain = server
        .request("GET", &format!("/rooms/demo/events?access_token={ann}"))
        .send();
    assert_eq!(plain.problem(), (400, "bad-request".to_owned()));
    let other = server
        .request("GET", "/rooms/demo/events")
        .bearer(&token("other", "ann", &[]))
        .send();
    assert_eq!(other.problem(), (403, "wrong-room".to_owned()));
}
