//! A publisher's streams.

use std::time::{Duration, Instant};

use super::subscriber::{Received, Subscriber};
use crate::rtp::extension::{Extension, ExtensionIds};
use crate::rtp::forward::TrackPacket;
use crate::rtp::header::Header;
use crate::video::codec::{PacketInfo, VideoCodec};
use crate::video::inspect::Inspector;

/// Writes bits, most significant first.
#[derive(Default)]
pub(in crate::video) struct BitWriter {
    bits: Vec<bool>,
}

impl BitWriter {
    pub(in crate::video) fn put(&mut self, count: u32, value: u32) {
        self.bits
            .extend((0..count).rev().map(|bit| value >> bit & 1 != 0));
    }

    pub(in crate::video) fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            let value = bits.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
            value << (8 - bits.len())
        };
        self.bits.chunks(8).map(byte).collect()
    }
}

/// The templates of [`l2t2`], from the id its structure begins with.
pub(in crate::video) const FIRST_TEMPLATE: u32 = 61;

/// A dependency descriptor of two spatial and two temporal layers, each frame one packet. `template`
/// counts from 0: S0T0 of a key picture, S0T0, S0T1, S1T0 of a key picture, S1T0, S1T1.
pub(in crate::video) fn l2t2(template: u32, number: u16) -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.put(2, 0b11);
    bits.put(6, (FIRST_TEMPLATE + template) % 64);
    bits.put(16, number.into());
    if template != 0 {
        return bits.bytes();
    }
    bits.put(5, 0b10000);
    bits.put(6, FIRST_TEMPLATE);
    bits.put(5, 4 - 1);
    for next_layer in [0, 1, 2, 0, 1, 3] {
        bits.put(2, next_layer);
    }
    // What frames are to the decode targets S0T0, S0T1, S1T0 and S1T1.
    for indications in ["SSSS", "SSRR", "-D-R", "--SS", "--SS", "---D"] {
        for indication in indications.chars() {
            let value = "-DSR".find(indication).unwrap();
            bits.put(2, value as u32);
        }
    }
    for references in [&[][..], &[4], &[2], &[1], &[4, 1], &[2, 1]] {
        for &reference in references {
            bits.put(5, 0b10000 | (reference - 1));
        }
        bits.put(1, 0);
    }
    // Two chains, the targets that they protect, and how far each goes back.
    bits.put(2, 2);
    bits.put(4, 0b0011);
    for chain in [0, 0, 4, 3, 2, 1, 1, 1, 1, 1, 3, 2] {
        bits.put(4, chain);
    }
    bits.put(1, 1);
    for size in [319, 179, 639, 359] {
        bits.put(16, size);
    }
    bits.bytes()
}

/// One packet of a publisher.
#[derive(Clone, Debug)]
pub(in crate::video) struct Published {
    pub(in crate::video) bytes: Vec<u8>,
    pub(in crate::video) seq: u64,
    pub(in crate::video) stream: u8,
    pub(in crate::video) info: PacketInfo,
    pub(in crate::video) captured: Instant,
}

/// A published simulcast stream.
pub(in crate::video) struct Stream {
    pub(in crate::video) inspector: Inspector,
    pub(in crate::video) index: u8,
    pub(in crate::video) seq: u64,
    /// RTP timestamp at `start`.
    pub(in crate::video) base: u32,
    pub(in crate::video) start: Instant,
}

pub(in crate::video) fn publisher_ids() -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    ids.set(Extension::VideoOrientation, 2);
    ids.set(Extension::DependencyDescriptor, 9);
    ids
}

impl Stream {
    pub(in crate::video) fn new(
        codec: VideoCodec,
        index: u8,
        seq: u64,
        base: u32,
        start: Instant,
    ) -> Stream {
        Stream {
            inspector: Inspector::new(codec, &publisher_ids()),
            index,
            seq,
            base,
            start,
        }
    }

    /// The next packet, of a frame captured `ms` after the start.
    pub(in crate::video) fn packet(
        &mut self,
        ms: u64,
        marker: bool,
        descriptor: Option<&[u8]>,
        payload: &[u8],
    ) -> Published {
        let seq = self.seq;
        self.seq += 1;
        let timestamp = self.base.wrapping_add(90 * ms as u32);
        let mut bytes = vec![0x90, u8::from(marker) << 7 | 100];
        bytes.extend((seq as u16).to_be_bytes());
        bytes.extend(timestamp.to_be_bytes());
        bytes.extend(u32::from(self.index).to_be_bytes());
        match descriptor {
            Some(value) => {
                let mut block = vec![9, value.len() as u8];
                block.extend(value);
                block.resize(block.len().next_multiple_of(4), 0);
                bytes.extend([0x10, 0x00]);
                bytes.extend((block.len() as u16 / 4).to_be_bytes());
                bytes.extend(block);
            }
            None => bytes.extend([0xBE, 0xDE, 0, 1, 0x20, 0x01, 0, 0]),
        }
        bytes.extend(payload);
        let header = Header::parse(&bytes).unwrap();
        let rtp = TrackPacket {
            bytes: &bytes,
            header: &header,
            payload: header.payload(&bytes).unwrap(),
            primary: None,
            seq,
        };
        let info = self.inspector.inspect(&rtp);
        Published {
            seq,
            stream: self.index,
            info,
            captured: self.start + Duration::from_millis(ms),
            bytes,
        }
    }

    /// A frame of two packets: VP8 with 15-bit picture id, TL0PICIDX and temporal layer.
    pub(in crate::video) fn vp8(
        &mut self,
        ms: u64,
        picture: u16,
        frame: &Vp8Frame,
    ) -> [Published; 2] {
        let [high, low] = (picture | 0x8000).to_be_bytes();
        let layer = frame.temporal << 6 | u8::from(frame.sync) << 5;
        let seq = self.seq as u8;
        let first = [
            0x90,
            0xE0,
            high,
            low,
            frame.tl0,
            layer,
            u8::from(!frame.key),
            seq,
        ];
        let second = [
            0x80,
            0xE0,
            high,
            low,
            frame.tl0,
            layer,
            0xEE,
            seq.wrapping_add(1),
        ];
        [
            self.packet(ms, false, None, &first),
            self.packet(ms, true, None, &second),
        ]
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(in crate::video) struct Vp8Frame {
    pub(in crate::video) key: bool,
    pub(in crate::video) temporal: u8,
    pub(in crate::video) sync: bool,
    pub(in crate::video) tl0: u8,
}

/// Two VP8 streams of three temporal layers (0 2 1 2), a frame each 33 ms, captured at once.
pub(in crate::video) struct Simulcast {
    pub(in crate::video) streams: [Stream; 2],
    pictures: [u16; 2],
    tl0: [u8; 2],
    ms: u64,
    phase: usize,
}

impl Simulcast {
    pub(in crate::video) fn new(start: Instant) -> Simulcast {
        Simulcast {
            streams: [
                Stream::new(VideoCodec::Vp8, 0, 0x1_FFF0, 7000, start),
                Stream::new(VideoCodec::Vp8, 1, 0x1_2345, u32::MAX - 50, start),
            ],
            pictures: [0x7FFC, 100],
            tl0: [250, 9],
            ms: 0,
            phase: 0,
        }
    }

    /// The next frame of both streams; `key` makes those of one stream keyframes.
    pub(in crate::video) fn frame(&mut self, key: Option<usize>) -> [[Published; 2]; 2] {
        let temporal = match key {
            Some(_) => 0,
            None => [0, 2, 1, 2][self.phase % 4],
        };
        self.phase = if key.is_some() { 1 } else { self.phase + 1 };
        let frames = [0, 1].map(|stream| {
            if temporal == 0 {
                self.tl0[stream] = self.tl0[stream].wrapping_add(1);
            }
            let frame = Vp8Frame {
                key: key == Some(stream),
                temporal,
                sync: temporal > 0,
                tl0: self.tl0[stream],
            };
            self.pictures[stream] = (self.pictures[stream] + 1) & 0x7FFF;
            self.streams[stream].vp8(self.ms, self.pictures[stream], &frame)
        });
        self.ms += 33;
        frames
    }

    /// As [`Simulcast::frame`], forwarded as the streams interleave.
    pub(in crate::video) fn send(
        &mut self,
        subscriber: &mut Subscriber,
        key: Option<usize>,
    ) -> Vec<Received> {
        let [low, high] = self.frame(key);
        subscriber.forward_all(low.iter().chain(&high))
    }
}
