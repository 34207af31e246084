use std::time::Instant;

use super::super::testing::{Published, Received, Stream, Subscriber, l2t2, seqs};
use super::*;
use crate::rtp::extension::find;

/// An AV1 stream of two spatial and two temporal layers, each frame one packet.
struct Av1 {
    stream: Stream,
    number: u16,
    ms: u64,
    phase: usize,
}

impl Av1 {
    fn new(index: u8, number: u16) -> Av1 {
        Av1 {
            stream: Stream::new(VideoCodec::Av1, index, 0x1_0000, 5000, Instant::now()),
            number,
            ms: 0,
            phase: 0,
        }
    }

    /// The frames of the next picture.
    fn picture(&mut self, key: bool) -> [Published; 2] {
        if key {
            self.phase = 0;
        }
        let [lower, upper] = match (key, self.phase % 2) {
            (true, _) => [0, 3],
            (false, 0) => [1, 4],
            (false, _) => [2, 5],
        };
        self.phase += 1;
        self.number = self.number.wrapping_add(2);
        self.ms += 33;
        let aggregation = if key { 0x18 } else { 0x10 };
        let (ms, number) = (self.ms, self.number);
        [
            self.stream.packet(
                ms,
                false,
                Some(&l2t2(lower, number)),
                &[aggregation, 0x08, lower as u8],
            ),
            self.stream.packet(
                ms,
                true,
                Some(&l2t2(upper, number.wrapping_add(1))),
                &[0x10, 0x30, upper as u8],
            ),
        ]
    }
}

fn svc(codec: VideoCodec) -> Subscriber {
    let mut subscriber = Subscriber::new(true, true);
    subscriber.attach(codec, Layering::Svc);
    subscriber
}

/// The templates of the frames that arrived.
fn templates(received: &[Received]) -> Vec<u8> {
    received.iter().map(|packet| packet.payload[2]).collect()
}

fn frame_number(packet: &Received) -> u16 {
    let block = packet.header.extension.unwrap();
    let value = find(&packet.bytes, &block, 11).unwrap();
    u16::from_be_bytes([value[1], value[2]])
}

#[test]
fn av1_layers_are_left_out_by_the_dependency_descriptor() {
    let mut subscriber = svc(VideoCodec::Av1);
    let mut track = Av1::new(0, 0xFFF0);
    subscriber.target(0, 0);
    assert_eq!(subscriber.forwarder.wants_keyframe(), Some(0));
    assert!(subscriber.forward_all(&track.picture(false)).is_empty());
    let mut received = subscriber.forward_all(&track.picture(true));
    // The structure does not fit the one-byte form, which other packets keep.
    assert_eq!(received[0].header.extension.unwrap().profile, 0x1000);
    for _ in 0..4 {
        received.extend(subscriber.forward_all(&track.picture(false)));
    }
    assert_eq!(templates(&received), [0, 1, 1]);
    assert_eq!(seqs(&received), [0, 1, 2]);
    assert_eq!(received[1].header.extension.unwrap().profile, 0xBEDE);
    // Each is the last packet of its picture now.
    assert!(received.iter().all(|packet| packet.header.marker));
    let numbers: Vec<_> = received.iter().map(frame_number).collect();
    assert_eq!(numbers, [0xFFF4, 0xFFF8, 0xFFFC]);

    // More temporal layers from the next base layer frame on, at once.
    subscriber.target(0, 1);
    assert_eq!(subscriber.forwarder.wants_keyframe(), None);
    let mut received = Vec::new();
    for _ in 0..4 {
        received.extend(subscriber.forward_all(&track.picture(false)));
    }
    assert_eq!(templates(&received), [1, 2, 1]);

    // The upper layer needs a key picture.
    subscriber.target(1, 1);
    assert_eq!(subscriber.forwarder.wants_keyframe(), Some(0));
    let mut received = Vec::new();
    for _ in 0..4 {
        received.extend(subscriber.forward_all(&track.picture(false)));
    }
    assert_eq!(templates(&received), [2, 1, 2, 1]);
    let mut received = Vec::new();
    for index in 0..4 {
        received.extend(subscriber.forward_all(&track.picture(index == 0)));
    }
    assert_eq!(templates(&received), [0, 3, 2, 5, 1, 4, 2, 5]);
    assert_eq!(subscriber.forwarder.wants_keyframe(), None);
    let markers: Vec<_> = received.iter().map(|packet| packet.header.marker).collect();
    assert_eq!(markers, [false, true].repeat(4));

    // It can be left out from any base layer frame on.
    subscriber.target(0, 1);
    let mut received = Vec::new();
    for _ in 0..3 {
        received.extend(subscriber.forward_all(&track.picture(false)));
    }
    assert_eq!(templates(&received), [1, 2, 1]);
    assert!(received.iter().all(|packet| packet.header.marker));
}

#[test]
fn frame_numbers_go_on_over_simulcast_streams() {
    let mut subscriber = Subscriber::new(true, false);
    subscriber.attach(VideoCodec::Av1, Layering::Simulcast);
    let mut streams = [Av1::new(0, 100), Av1::new(1, 0x8000)];
    subscriber.target(0, 7);
    let mut received = subscriber.forward_all(&streams[0].picture(true));
    subscriber.target(1, 7);
    streams[1].ms = 33;
    received.extend(subscriber.forward_all(&streams[1].picture(true)));
    received.extend(subscriber.forward_all(&streams[1].picture(false)));
    let numbers: Vec<_> = received.iter().map(frame_number).collect();
    assert_eq!(numbers, [102, 103, 104, 105, 106, 107]);
    assert_eq!(seqs(&received), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_late_frame_of_a_layer_that_is_not_sent_is_filled() {
    let mut subscriber = svc(VideoCodec::Av1);
    let mut track = Av1::new(0, 0);
    subscriber.target(0, 1);
    subscriber.forward_all(&track.picture(true));
    let lost = track.picture(false);
    let next = subscriber.forward_all(&track.picture(false));
    assert_eq!(seqs(&next), [3]);
    let late = subscriber.forward_all(&lost);
    assert_eq!(seqs(&late), [1, 2]);
    assert_eq!(late[0].payload[2], 2);
    assert!(late[1].payload.is_empty());
}

/// A VP9 stream of two spatial and two temporal layers in non-flexible mode, each frame two packets.
struct Vp9 {
    stream: Stream,
    picture: u16,
    tl0: u8,
    ms: u64,
}

impl Vp9 {
    fn new(index: u8, picture: u16, tl0: u8) -> Vp9 {
        Vp9 {
            stream: Stream::new(VideoCodec::Vp9, index, 0x1_0000, 5000, Instant::now()),
            picture,
            tl0,
            ms: 0,
        }
    }

    fn picture(&mut self, key: bool, temporal: u8) -> Vec<Published> {
        self.picture = (self.picture + 1) & 0x7FFF;
        self.tl0 = self.tl0.wrapping_add(u8::from(temporal == 0));
        self.ms += 33;
        let [high, low] = (self.picture | 0x8000).to_be_bytes();
        let mut packets = Vec::new();
        for (spatial, end) in [(0, false), (0, true), (1, false), (1, true)] {
            let begin = u8::from(!end) << 3;
            let first = 0xA0 | u8::from(!key) << 6 | begin | u8::from(end) << 2;
            // The upper layer is predicted from the lower one; up-switches at base layer pictures.
            let layer = temporal << 5 | u8::from(temporal == 0) << 4 | spatial << 1 | spatial;
            let payload = [first, high, low, layer, self.tl0, spatial, temporal];
            let marker = (spatial, end) == (1, true);
            packets.push(self.stream.packet(self.ms, marker, None, &payload));
        }
        packets
    }
}

/// The spatial layers, temporal layers and markers of the packets that arrived.
fn layers(received: &[Received]) -> Vec<(u8, u8, bool)> {
    received
        .iter()
        .map(|packet| (packet.payload[5], packet.payload[6], packet.header.marker))
        .collect()
}

#[test]
fn vp9_layers_are_left_out_with_the_marker_where_the_picture_ends() {
    let mut subscriber = svc(VideoCodec::Vp9);
    let mut track = Vp9::new(0, 0x7FFE, 255);
    subscriber.target(0, 0);
    let mut received = subscriber.forward_all(&track.picture(true, 0));
    received.extend(subscriber.forward_all(&track.picture(false, 1)));
    received.extend(subscriber.forward_all(&track.picture(false, 0)));
    assert_eq!(
        layers(&received),
        [(0, 0, false), (0, 0, true), (0, 0, false), (0, 0, true)]
    );
    assert_eq!(seqs(&received), [0, 1, 2, 3]);
    // References count pictures back, so the gap must stay.
    assert_eq!((received[1].picture(), received[2].picture()), (0x7FFF, 1));

    // More temporal layers after the up-switch point that was last, more spatial ones at a key
    // picture.
    subscriber.target(1, 1);
    assert_eq!(subscriber.forwarder.wants_keyframe(), Some(0));
    let counts =
        [(false, 1), (false, 0), (false, 1), (true, 0), (false, 1)].map(|(key, temporal)| {
            let received = subscriber.forward_all(&track.picture(key, temporal));
            (
                received.len(),
                received.last().is_none_or(|last| last.header.marker),
            )
        });
    assert_eq!(
        counts,
        [(2, true), (2, true), (2, true), (4, true), (4, true)]
    );
    assert_eq!(subscriber.forwarder.wants_keyframe(), None);

    // Down again from the next picture on, not within one.
    let picture = track.picture(false, 0);
    let mut received = subscriber.forward_all(&picture[..2]);
    subscriber.target(0, 1);
    received.extend(subscriber.forward_all(&picture[2..]));
    received.extend(subscriber.forward_all(&track.picture(false, 1)));
    assert_eq!(
        layers(&received),
        [
            (0, 0, false),
            (0, 0, false),
            (1, 0, false),
            (1, 0, true),
            (0, 1, false),
            (0, 1, true)
        ]
    );
}

#[test]
fn vp9_pictures_go_on_over_simulcast_streams() {
    let mut subscriber = Subscriber::new(true, false);
    subscriber.attach(VideoCodec::Vp9, Layering::Simulcast);
    let mut streams = [Vp9::new(0, 0x7FFD, 254), Vp9::new(1, 500, 7)];
    subscriber.target(0, 1);
    let mut received = subscriber.forward_all(&streams[0].picture(true, 0));
    subscriber.target(1, 1);
    streams[1].ms = 33;
    received.extend(subscriber.forward_all(&streams[1].picture(true, 0)));
    received.extend(subscriber.forward_all(&streams[1].picture(false, 0)));
    let numbers: Vec<_> = received
        .iter()
        .step_by(4)
        .map(|packet| (packet.picture(), packet.payload[4]))
        .collect();
    assert_eq!(numbers, [(0x7FFE, 255), (0x7FFF, 0), (0, 1)]);
    assert_eq!(seqs(&received), (0..12).collect::<Vec<_>>());
}
