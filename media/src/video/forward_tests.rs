use std::time::{Duration, Instant};

use super::super::codec::PacketInfo;
use super::super::testing::{
    FIRST_SEQ, Received, SSRC, Simulcast, Stream, Subscriber, Vp8Frame, seqs, vp8_subscriber,
};
use super::*;
use crate::rtp::header::Header;

/// Asserts that the frames of two packets each are numbered without gap, 33 ms apart.
fn assert_continuous(received: &[Received]) {
    assert_eq!(received.len() % 2, 0);
    for (index, pair) in received.windows(2).enumerate() {
        let (a, b) = (&pair[0], &pair[1]);
        assert_eq!(b.header.seq, a.header.seq.wrapping_add(1), "{index}");
        let frame = u16::from(index % 2 == 1);
        assert_eq!(b.picture(), (a.picture() + frame) & 0x7FFF, "{index}");
        assert_eq!(b.header.marker, index % 2 == 0);
        assert_eq!(b.header.ssrc, SSRC);
    }
    for pair in received.windows(2) {
        let step = pair[1]
            .header
            .timestamp
            .wrapping_sub(pair[0].header.timestamp);
        assert!([0, 2970].contains(&step), "{step}");
    }
}

#[test]
fn switches_up_and_down_at_keyframes_without_gaps() {
    let mut subscriber = vp8_subscriber(true, false);
    let mut track = Simulcast::new(Instant::now());
    subscriber.target(0, 2);
    assert_eq!(subscriber.forwarder.wants_keyframe(), Some(0));
    assert!(track.send(&mut subscriber, None).is_empty());
    assert!(track.send(&mut subscriber, Some(1)).is_empty());
    let mut received = track.send(&mut subscriber, Some(0));
    assert_eq!(subscriber.forwarder.wants_keyframe(), None);
    for _ in 0..7 {
        received.extend(track.send(&mut subscriber, None));
    }
    subscriber.target(1, 2);
    assert_eq!(subscriber.forwarder.wants_keyframe(), Some(1));
    received.extend(track.send(&mut subscriber, None));
    assert_eq!(subscriber.forwarder.current().unwrap().spatial, 0);
    received.extend(track.send(&mut subscriber, Some(0)));
    assert_eq!(subscriber.forwarder.current().unwrap().spatial, 0);

    // Both streams' frame of one moment are sent, since the lower one's comes first: one tick apart.
    let switch = track.send(&mut subscriber, Some(1));
    assert_eq!(subscriber.forwarder.current().unwrap().spatial, 1);
    assert_eq!(subscriber.forwarder.wants_keyframe(), None);
    assert_eq!(switch.len(), 4);
    let step = |a: &Received, b: &Received| b.header.timestamp.wrapping_sub(a.header.timestamp);
    assert_eq!(step(&switch[1], &switch[2]), 1);
    assert_eq!(switch[2].picture(), switch[1].picture() + 1);
    received.extend_from_slice(&switch[..2]);
    assert_continuous(&received);

    let mut received = switch[2..].to_vec();
    for _ in 0..5 {
        received.extend(track.send(&mut subscriber, None));
    }
    assert_continuous(&received);
    subscriber.target(0, 2);
    let down = track.send(&mut subscriber, Some(0));
    assert_eq!(subscriber.forwarder.current().unwrap().spatial, 0);
    // That tick is made up for.
    assert_eq!(step(&received[received.len() - 1], &down[0]), 2969);
    let tl0 = |packet: &Received| packet.payload[4];
    assert_eq!(tl0(&down[0]), tl0(&received[received.len() - 1]) + 1);
    assert_eq!(
        down[0].header.seq,
        received[received.len() - 1].header.seq + 1
    );
    // The video orientation has its id here, the simulcast streams' SSRCs are hidden.
    assert_eq!(down[0].bytes[12..20], [0xBE, 0xDE, 0, 1, 0x60, 1, 0, 0]);
}

#[test]
fn temporal_layers_are_left_out_without_gaps_and_come_back_at_sync_frames() {
    let mut subscriber = vp8_subscriber(true, false);
    let mut track = Simulcast::new(Instant::now());
    subscriber.target(0, 0);
    let mut received = track.send(&mut subscriber, Some(0));
    for _ in 0..11 {
        received.extend(track.send(&mut subscriber, None));
    }
    assert_eq!(received.len(), 6);
    assert_eq!(seqs(&received), [0, 1, 2, 3, 4, 5]);
    let pictures: Vec<_> = received.iter().map(Received::picture).collect();
    assert_eq!(pictures, [0x7FFD, 0x7FFD, 0x7FFE, 0x7FFE, 0x7FFF, 0x7FFF]);

    subscriber.target(0, 2);
    let mut received = track.send(&mut subscriber, None);
    for _ in 0..4 {
        received.extend(track.send(&mut subscriber, None));
    }
    assert_continuous(&received);
    assert_eq!(received.len(), 10);
    assert_eq!(subscriber.forwarder.current().unwrap().temporal, 2);

    // Phase 1: the frame of layer 2 is the first to be left out.
    subscriber.target(0, 1);
    let kept: Vec<_> = (0..4)
        .map(|_| track.send(&mut subscriber, None).len())
        .collect();
    assert_eq!(kept, [0, 2, 0, 2]);
}

#[test]
fn losses_stay_gaps_that_late_packets_fill() {
    let mut subscriber = vp8_subscriber(true, false);
    let mut track = Simulcast::new(Instant::now());
    subscriber.target(0, 1);
    // Layers 0 2 1 2 0 2 1.
    let frames: Vec<_> = (0..7)
        .map(|index| track.frame((index == 0).then_some(0))[0].clone())
        .collect();
    let packets: Vec<_> = frames.iter().flatten().collect();
    // Lost: the second packet of layer 1 (5), all of the layer 2 after it (6, 7), and one of the
    // next layer 0 (8).
    let lost = [5, 6, 7, 8];
    let arrived = (0..14).filter(|index| !lost.contains(index));
    let received = subscriber.forward_all(arrived.map(|index| packets[index]));
    // Packets 2, 3, 10 and 11 are left out.
    assert_eq!(seqs(&received), [0, 1, 2, 7, 8, 9]);
    assert_eq!(
        received[3].picture(),
        received[2].picture().wrapping_add(2) & 0x7FFF
    );

    let late = subscriber.forward_all(lost.map(|index| packets[index]));
    assert_eq!(seqs(&late), [3, 4, 5, 6]);
    assert_eq!(late[0].picture(), received[2].picture());
    assert_eq!(late[3].picture(), received[3].picture());
    assert_eq!(late[0].payload[6..], [0xEE, 0xF5]);
    // The numbers of a layer that is not sent are filled with padding.
    assert!(late[1].payload.is_empty() && late[2].payload.is_empty());
    assert!(late[1].header.padding && late[2].header.padding);
    // No number is used twice, and packets that were left out stay out.
    assert!(subscriber.forward_all(packets.clone()).is_empty());
}

#[test]
fn a_publishers_padding_takes_no_number() {
    let mut subscriber = vp8_subscriber(true, false);
    let mut stream = Stream::new(VideoCodec::Vp8, 0, 0x1_0000, 0, Instant::now());
    subscriber.target(0, 2);
    let key = Vp8Frame {
        key: true,
        ..Vp8Frame::default()
    };
    let mut received = subscriber.forward_all(&stream.vp8(0, 1, &key));
    for _ in 0..3 {
        let mut padding = stream.packet(0, false, None, &[0, 0, 3]);
        padding.bytes[0] |= 0x20;
        padding.info = PacketInfo::default();
        assert!(subscriber.forward(&padding).is_none());
    }
    received.extend(subscriber.forward_all(&stream.vp8(33, 2, &Vp8Frame::default())));
    assert_eq!(seqs(&received), [0, 1, 2, 3]);
    assert_continuous(&received);
}

#[test]
fn a_pause_ends_at_a_keyframe_as_if_nothing_had_been() {
    let mut subscriber = vp8_subscriber(true, false);
    let mut track = Simulcast::new(Instant::now());
    subscriber.target(1, 2);
    let mut received = track.send(&mut subscriber, Some(1));
    subscriber.forwarder.set_target(None);
    assert_eq!(subscriber.forwarder.wants_keyframe(), None);
    for _ in 0..10 {
        assert!(track.send(&mut subscriber, None).is_empty());
    }
    subscriber.target(1, 2);
    assert!(track.send(&mut subscriber, None).is_empty());
    assert_eq!(subscriber.forwarder.wants_keyframe(), Some(1));
    received.extend(track.send(&mut subscriber, Some(1)));
    assert_eq!(seqs(&received), [0, 1, 2, 3]);
    assert_eq!(received[2].picture(), received[1].picture() + 1);
    let pause = received[2]
        .header
        .timestamp
        .wrapping_sub(received[1].header.timestamp);
    assert_eq!(pause, 12 * 2970);
}

#[test]
fn another_track_goes_on_with_the_numbers() {
    let mut subscriber = vp8_subscriber(true, false);
    let start = Instant::now();
    let mut track = Simulcast::new(start);
    subscriber.target(1, 2);
    let first = track.send(&mut subscriber, Some(1));

    subscriber.attach(VideoCodec::H264, Layering::Simulcast);
    assert_eq!(subscriber.forwarder.current(), None);
    subscriber.target(0, 0);
    assert!(track.send(&mut subscriber, None).is_empty());
    let mut other = Stream::new(VideoCodec::H264, 0, 0x1_0007, 99, start);
    let parameters = other.packet(100, false, None, &[0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 2]);
    let picture = other.packet(100, true, None, &[0x65, 3]);
    let received = subscriber.forward_all([&parameters, &picture]);
    assert_eq!(seqs(&received), [2, 3]);
    assert_eq!(received[0].header.payload_type, 102);
    assert_eq!(received[1].payload, [0x65, 3]);
    let step = received[0]
        .header
        .timestamp
        .wrapping_sub(first[1].header.timestamp);
    assert_eq!(step, 9000);
    // What was sent of the first track is no longer there to be sent again.
    let now = Instant::now();
    assert_eq!(
        subscriber
            .forwarder
            .requested(now, FIRST_SEQ, Duration::ZERO),
        None
    );
    assert!(
        subscriber
            .forwarder
            .requested(now, FIRST_SEQ + 2, Duration::ZERO)
            .is_some()
    );
}

#[test]
fn numbers_go_on_over_a_rollover() {
    let mut subscriber = vp8_subscriber(true, false);
    let mut track = Simulcast::new(Instant::now());
    subscriber.target(0, 2);
    // From 0x7FF0 over 65535, with a switch every 100 frames.
    let mut expected = FIRST_SEQ;
    for index in 0..18_000usize {
        let stream = index / 100 % 2;
        subscriber.target(stream as u8, 2);
        let key = (index % 100 == 0).then_some(stream);
        for packet in track.send(&mut subscriber, key) {
            assert_eq!(packet.header.seq, expected);
            expected = expected.wrapping_add(1);
        }
    }
    assert!(expected < FIRST_SEQ, "{expected}");
}

#[test]
fn hostile_packets_are_forwarded_or_not_but_never_twice() {
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for codec in [
        VideoCodec::Vp8,
        VideoCodec::Vp9,
        VideoCodec::H264,
        VideoCodec::Av1,
    ] {
        for layering in [Layering::Simulcast, Layering::Svc] {
            let mut subscriber = Subscriber::new(true, true);
            subscriber.attach(codec, layering);
            subscriber.target(0, 1);
            let mut stream = Stream::new(codec, 0, 0x1_0000, 0, Instant::now());
            for _ in 0..5000 {
                stream.seq = (stream.seq + random() % 5).saturating_sub(random() % 4);
                let payload: Vec<u8> = (0..random() % 12).map(|_| random() as u8).collect();
                let value: Vec<u8> = (0..random() % 40).map(|_| random() as u8).collect();
                let descriptor = (random() % 2 == 0).then_some(&value[..]);
                let packet = stream.packet(random() % 1000, false, descriptor, &payload);
                // The subscriber's replay check refuses a number that was used before.
                if let Some(received) = subscriber.forward(&packet) {
                    assert!(Header::parse(&received.bytes).is_ok());
                }
                if random() % 100 == 0 {
                    subscriber.target(random() as u8 % 4, random() as u8 % 8);
                }
            }
        }
    }
}
