//! SIGTERM ends everything in order and in time.

mod server;

use server::{Server, token};

#[test]
fn sessions_and_websockets_are_told_and_the_process_ends_well() {
    let server = Server::start("");
    let ann = token("demo", "ann", &[]);
    let mut events = server.events("demo", &ann, "");
    events.find(|event| event["type"] == "participants");
    server.publish("demo", &ann);
    server.signal("TERM");
    assert_eq!(events.closed(), Some(1001));
    server.logged("everything has ended");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn an_interrupt_is_the_same() {
    let server = Server::start("");
    server.signal("INT");
    server.logged("everything has ended");
    assert_eq!(server.wait().code(), Some(0));
}
