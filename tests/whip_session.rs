//! A WHIP session from offer to DELETE, as RFC 9725 lays it out.

mod server;

use server::{Server, offer, token};

#[test]
fn a_session_is_opened_trickled_restarted_and_closed() {
    let server = Server::start("");
    let ann = token("demo", "ann", &[]);
    let opened = server
        .request("POST", "/whip/demo?lang=en")
        .bearer(&ann)
        .body("application/sdp", offer("publish.sdp"))
        .send();
    assert_eq!(
        (opened.status, opened.header("content-type")),
        (201, "application/sdp"),
        "{opened:?}"
    );
    for line in [
        "a=ice-lite",
        "a=setup:passive",
        "a=recvonly",
        "opus/48000/2",
        "a=rtcp-mux",
        "a=candidate:",
    ] {
        assert!(
            opened.body.contains(line),
            "{line} is not in {}",
            opened.body
        );
    }
    let (session, tag) = (opened.header("location"), opened.header("etag"));
    assert!(
        session.starts_with("/whip/demo/") && tag.starts_with('"') && tag.ends_with('"'),
        "{opened:?}"
    );
    let patch = |tag: &str, body: &str| {
        let request = server
            .request("PATCH", session)
            .bearer(&ann)
            .body("application/trickle-ice-sdpfrag", body);
        if tag.is_empty() {
            request
        } else {
            request.header("if-match", tag)
        }
        .send()
    };
    let candidate = "a=ice-ufrag:Wq3y\r\na=ice-pwd:0rT5uJx2mYb8LkE7nHqV4sZc\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
                     a=mid:0\r\na=candidate:1 1 udp 2130706431 192.0.2.7 61764 typ host\r\na=end-of-candidates\r\n";
    assert_eq!(patch(tag, candidate).status, 204);
    assert_eq!(
        patch("", candidate).problem(),
        (428, "precondition-required".to_owned())
    );
    assert_eq!(
        patch("\"other\"", candidate).problem(),
        (412, "etag-mismatch".to_owned())
    );
    assert_eq!(
        patch(tag, "garbage").problem(),
        (400, "invalid-fragment".to_owned())
    );
    let restart = candidate
        .replace("Wq3y", "Zz9x")
        .replace("0rT5uJx2", "9aB8cD7e");
    let restarted = patch("*", &restart);
    assert_eq!(restarted.status, 200, "{restarted:?}");
    assert!(
        restarted.body.contains("a=ice-ufrag:") && restarted.header("etag") != tag,
        "{restarted:?}"
    );
    assert_eq!(
        patch(tag, candidate).problem(),
        (412, "etag-mismatch".to_owned())
    );

    let bob = token("demo", "bob", &[]);
    assert_eq!(
        server
            .request("DELETE", session)
            .bearer(&bob)
            .send()
            .problem()
            .1,
        "wrong-identity"
    );
    assert_eq!(
        server
            .request("GET", session)
            .bearer(&ann)
            .send()
            .problem()
            .1,
        "method-not-allowed"
    );
    assert_eq!(
        server.request("DELETE", session).bearer(&ann).send().status,
        200
    );
    assert_eq!(
        server
            .request("DELETE", session)
            .bearer(&ann)
            .send()
            .problem()
            .1,
        "unknown-session"
    );
    assert_eq!(
        patch("*", candidate).problem(),
        (404, "unknown-session".to_owned())
    );
}
