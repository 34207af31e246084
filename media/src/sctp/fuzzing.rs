//! What [`crate::fuzzing`] has of this module: all that is read before the library has its turn. The library is known
//! to panic, which is contained; a fuzzer would find nothing else.

use std::collections::VecDeque;

use bytes::Bytes;

use super::dcep::Dcep;
use super::inspect::{Inspector, Verdict, plain_init};
use super::packet::{Packet, checksum, chunk};

/// What the packets say of their addressee.
const TAG: u32 = 7;

/// A packet with this tag and the right checksum.
fn packet(tag: u32, chunks: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x13, 0x88, 0x13, 0x88];
    packet.extend(tag.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(chunks);
    let checksum = checksum(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&checksum);
    packet
}

/// An INIT with the extensions that browsers have; the first TSN is short of the wrap.
fn init() -> Vec<u8> {
    let mut init = vec![chunk::INIT, 0, 0, 30];
    init.extend(9_u32.to_be_bytes());
    init.extend(100_000_u32.to_be_bytes());
    init.extend([4, 0, 4, 0]);
    init.extend((u32::MAX - 1).to_be_bytes());
    init.extend([0xC0, 0, 0, 4]);
    init.extend([0x80, 8, 0, 6, 130, 192, 0, 0]);
    packet(0, &init)
}

/// Packets of somebody whose INIT and cookie were taken: each is 2 bytes of length, and its chunks. What passes to the
/// library, and what is answered, are packets.
pub(crate) fn packets(mut data: &[u8]) {
    let init = init();
    let init = Packet::parse(&init).expect("our own packet is well-formed");
    let mut inspector =
        Inspector::accept(&init, TAG, 1000).expect("our own INIT says what it has to");
    let mut cookie = vec![chunk::COOKIE_ECHO, 0, 0, 8];
    cookie.extend(*b"cook");
    let mut next = Some(packet(TAG, &cookie));
    while let Some(bytes) = next {
        let packet = Packet::parse(&bytes);
        next = None;
        if let Some((&[high, low], rest)) = data.split_first_chunk() {
            let len = usize::from(u16::from_be_bytes([high, low]));
            let (chunks, rest) = rest.split_at(rest.len().min(len));
            data = rest;
            next = Some(self::packet(TAG, chunks));
        }
        let Some(packet) = packet else { continue };
        assert!(packet.chunks().count() <= bytes.len() / 4);
        for chunk in packet.chunks() {
            if let Some(read) = Dcep::parse(chunk.value) {
                assert_eq!(Dcep::parse(&read.write()), Some(read));
            }
        }
        if let Some(plain) = plain_init(&packet) {
            assert_is_packet(&plain);
        }
        let mut replies = VecDeque::new();
        let verdict = inspector.inspect(&packet, &mut replies);
        replies.iter().for_each(assert_is_packet);
        match verdict {
            Ok(Verdict::Pass(passed)) => assert_is_packet(&passed),
            Ok(Verdict::Nothing) => {}
            Ok(Verdict::Ended) | Err(_) => return,
        }
        if inspector.check().is_err() {
            return;
        }
    }
}

fn assert_is_packet(bytes: &Bytes) {
    let packet = Packet::parse(bytes).expect("its header and checksum are right");
    assert!(packet.chunks().next().is_some());
}

#[cfg(test)]
pub(crate) fn seed() -> Vec<u8> {
    let mut data = vec![chunk::DATA, 3, 0, 19];
    data.extend((u32::MAX - 1).to_be_bytes());
    data.extend([0, 1, 0, 0, 0, 0, 0, 51, b'o', b'n', b'e', 0]);
    let open = Dcep::Open(super::ChannelParameters {
        label: "chat".to_owned(),
        ordered: true,
        reliability: super::Reliability::Reliable,
    });
    let open = open.write();
    let mut opening = vec![chunk::DATA, 3, 0, 16 + open.len() as u8];
    opening.extend(u32::MAX.to_be_bytes());
    opening.extend([0, 2, 0, 0, 0, 0, 0, 50]);
    opening.extend(&open);
    let mut forward = vec![chunk::FORWARD_TSN, 0, 0, 12];
    forward.extend(3_u32.to_be_bytes());
    forward.extend([0, 1, 0, 4]);
    let mut reset = vec![chunk::RECONFIG, 0, 0, 22, 0, 13, 0, 18];
    reset.extend((u32::MAX - 1).to_be_bytes());
    reset.extend([0; 4]);
    reset.extend(3_u32.to_be_bytes());
    reset.extend([0, 1, 0, 0]);
    let heartbeat = vec![chunk::HEARTBEAT, 0, 0, 8, 1, 2, 3, 4];
    let sack = vec![chunk::SACK, 0, 0, 16, 0, 0, 0, 1, 0, 0, 9, 9, 0, 0, 0, 0];
    let mut seed = Vec::new();
    for chunks in [data, opening, heartbeat, sack, forward, reset] {
        seed.extend((chunks.len() as u16).to_be_bytes());
        seed.extend(chunks);
    }
    seed
}
