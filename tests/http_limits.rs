//! Limits: what is too slow, too much or no HTTP is turned away, and everybody else is served.

mod server;

use std::io::{Read, Write};

use server::Server;

fn answer_to(server: &Server, bytes: &[u8]) -> String {
    let mut stream = server.connect();
    stream.write_all(bytes).expect("the server reads");
    let mut answer = String::new();
    // A reset after the answer is fine: the server need not read the rest.
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn what_is_no_http_or_never_ends_is_turned_away() {
    let server = Server::start("http:\n  bind: 127.0.0.1:0\n  header_timeout: 1s\n");
    let garbage = answer_to(
        &server,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\r\n\r\n",
    );
    assert!(garbage.starts_with("HTTP/1.1 400"), "{garbage}");
    let slow = answer_to(&server, b"GET /live HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
    let huge = answer_to(
        &server,
        &[
            b"GET /live HTTP/1.1\r\nX: ".as_slice(),
            &vec![b'x'; 1 << 20],
        ]
        .concat(),
    );
    assert!(huge.starts_with("HTTP/1.1 4") || huge.is_empty(), "{huge}");
    assert_eq!(server.request("GET", "/live").send().status, 200);
}

#[test]
fn a_client_that_asks_too_often_waits_but_probes_go_on() {
    let server = Server::start("http:\n  bind: 127.0.0.1:0\n  rate: {burst: 3, per_second: 1}\n");
    let answers: Vec<_> = (0..6)
        .map(|_| server.request("GET", "/problems").send())
        .collect();
    let refused = answers
        .iter()
        .find(|answer| answer.status == 429)
        .expect("one of six within a second is too many");
    assert_eq!(refused.problem(), (429, "rate-limited".to_owned()));
    assert!(
        refused
            .header("retry-after")
            .parse::<u32>()
            .is_ok_and(|seconds| seconds >= 1),
        "{refused:?}"
    );
    assert_eq!(server.request("GET", "/live").send().status, 200);
}

#[test]
fn every_error_is_a_problem() {
    let server = Server::start("");
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/whip/", 404),
        ("PUT", "/whip/demo", 405),
        ("TRACE", "/health", 405),
        ("POST", "/auth/token/room", 401),
        ("GET", "/supervision", 401),
        ("POST", "/supervision/kill", 401),
        ("GET", "/rooms/demo/events", 401),
        ("GET", "/rooms/a%2Fb/events", 400),
    ] {
        let answer = server.request(method, path).send();
        assert_eq!(answer.problem().0, status, "{method} {path}");
    }
}
