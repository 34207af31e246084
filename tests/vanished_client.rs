//! A client that vanishes without DELETE is collected.

mod server;

use server::{Server, offer, token};

#[test]
fn a_publisher_that_never_sends_a_packet_leaves_after_the_idle_timeout() {
    let server = Server::start("media:\n  bind: 127.0.0.1:0\n  idle_timeout: 1s\n");
    let ann = token("demo", "ann", &[]);
    let mut events = server.events("demo", &token("demo", "bob", &[]), "");
    let opened = server
        .request("POST", "/whip/demo")
        .bearer(&ann)
        .body("application/sdp", offer("publish.sdp"))
        .send();
    assert_eq!(opened.status, 201, "{opened:?}");
    let left = events.find(|event| event["type"] == "participants" && event["kind"] == "left");
    assert_eq!(left["participants"][0]["identity"], "ann", "{left}");
    let gone = server
        .request("DELETE", opened.header("location"))
        .bearer(&ann)
        .send();
    assert_eq!(gone.problem(), (404, "unknown-session".to_owned()));
}
