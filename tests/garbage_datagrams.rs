//! Garbage and truncated datagrams harm nobody.

mod server;

use std::net::UdpSocket;

use server::{Server, token};

#[test]
fn the_server_goes_on_after_a_rain_of_garbage() {
    let server = Server::start("");
    server.logged("hive is ready");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    // First bytes of everything that is told apart on the socket: STUN, DTLS, RTP, RTCP, and neither.
    let heads: [&[u8]; 7] = [
        &[0x00, 0x01, 0x00, 0x08, 0x21, 0x12, 0xa4, 0x42],
        &[0x01, 0x01, 0xff, 0xff, 0x21, 0x12, 0xa4, 0x42],
        &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        &[0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1],
        &[0x9f, 111, 0, 1],
        &[0x80, 200, 0xff, 0xff, 0, 0, 0, 1],
        &[0xff; 16],
    ];
    let mut pseudo_random: u32 = 1;
    for round in 0..3000_usize {
        let mut datagram = heads[round % heads.len()].to_vec();
        for _ in 0..round % 97 {
            pseudo_random = pseudo_random
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            datagram.push((pseudo_random >> 24) as u8);
        }
        datagram.truncate(round % 113);
        // The kernel drops what the server has not read yet; that is part of the rain.
        let _ = socket.send_to(&datagram, server.media);
    }
    assert_eq!(server.request("GET", "/ready").send().status, 200);
    let ann = token("demo", "ann", &[]);
    server.publish("demo", &ann);
}
