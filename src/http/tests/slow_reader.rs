//! A client of the events that does not read, over a real socket.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use super::*;
use crate::http::server::{bind, start};

#[actix_web::test]
async fn a_client_that_does_not_read_loses_its_connection() {
    let mut config = config();
    config.http.bind = "127.0.0.1:0".parse().expect("an address");
    config.http.workers = 1;
    config.http.events.slow_reader_timeout = Duration::from_millis(50);
    let table = TableOfSessions::default();
    let ended = table.feed_ended.clone();
    let listener = bind(config.http.bind).expect("a free port");
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let server =
        start(listener, &config, table, IceServers::none(), metrics).expect("the server starts");

    let mut client = TcpStream::connect(server.address()).expect("connected");
    let request = format!(
        "GET /rooms/flood/events?access_token={} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        token("flood", "ann", true, true)
    );
    client.write_all(request.as_bytes()).expect("sent");
    ended.notified().await;
    // The flood never ends by itself: that there is an end to read shows that the connection was cut.
    let read = tokio::task::spawn_blocking(move || {
        let mut received = Vec::new();
        // A reset is an end, too.
        let _ = client.read_to_end(&mut received);
        received.len()
    });
    let length = read.await.expect("read to the end");
    assert!(length > 1000, "some events had arrived");
    server.abort().await;
}
