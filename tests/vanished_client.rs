//! A client that vanishes without DELETE is collected.

mod server;

use hive_loadtest::http::HttpClient;
use hive_loadtest::link::LinkSettings;
use hive_loadtest::peer::{Publisher, Signalling};
use server::{SERVICE_KEY, Server, token};

#[test]
fn a_publisher_that_never_sends_a_packet_leaves_after_the_idle_timeout() {
    let server = Server::start("media:\n  bind: 127.0.0.1:0\n  idle_timeout: 1s\n");
    let ann = token("demo", "ann", &[]);
    let mut events = server.events("demo", &token("demo", "bob", &[]), "");
    let opened = server.publish("demo", &ann);
    let left = events.find(|event| event["type"] == "participants" && event["kind"] == "left");
    assert_eq!(left["participants"][0]["identity"], "ann", "{left}");
    let gone = server
        .request("DELETE", opened.header("location"))
        .bearer(&ann)
        .send();
    assert_eq!(gone.problem(), (404, "unknown-session".to_owned()));
}

#[test]
fn a_connected_publisher_that_dies_leaves_after_the_idle_timeout() {
    let server = Server::start("media:\n  bind: 127.0.0.1:0\n  idle_timeout: 1s\n");
    let mut events = server.events("demo", &token("demo", "bob", &[]), "");
    // A runtime of its own, which ends without a word to the server like a process that is killed.
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let signalling = Signalling::new(HttpClient::new(server.http.to_string()), SERVICE_KEY);
    let ann = runtime
        .block_on(Publisher::join(
            &signalling,
            "demo",
            "ann",
            "en",
            LinkSettings::ideal(),
        ))
        .expect("ann joins");
    events.find(|event| event["type"] == "participants" && event["kind"] == "joined");
    std::mem::forget(ann);
    runtime.shutdown_background();
    let left = events.find(|event| event["type"] == "participants" && event["kind"] == "left");
    assert_eq!(left["participants"][0]["identity"], "ann", "{left}");
}
