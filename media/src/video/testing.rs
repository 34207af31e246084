//! A publisher's streams and a subscriber that decrypts, for the tests of this module.

use std::time::{Duration, Instant};

use super::codec::{PacketInfo, VideoCodec};
use super::forward::{FirstNumbers, SentAs, VideoForwarder, VideoPacket, VideoStreamFormat};
use super::inspect::Inspector;
use super::layers::{Layer, Layering};
use crate::rtp::extension::{Extension, ExtensionIds};
use crate::rtp::forward::TrackPacket;
use crate::rtp::header::Header;
use crate::srtp::{Profile, Protect, Unprotect, server_contexts};

pub(super) const SSRC: u32 = 0xABCD;
pub(super) const RTX_SSRC: u32 = 0xABCE;
pub(super) const FIRST_SEQ: u16 = 0x7FF0;

/// Writes bits, most significant first.
#[derive(Default)]
pub(super) struct BitWriter {
    bits: Vec<bool>,
}

impl BitWriter {
    pub(super) fn put(&mut self, count: u32, value: u32) {
        self.bits
            .extend((0..count).rev().map(|bit| value >> bit & 1 != 0));
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            let value = bits.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
            value << (8 - bits.len())
        };
        self.bits.chunks(8).map(byte).collect()
    }
}

/// The templates of [`l2t2`], from the id its structure begins with.
pub(super) const FIRST_TEMPLATE: u32 = 61;

/// A dependency descriptor of two spatial and two temporal layers, each frame one packet. `template`
/// counts from 0: S0T0 of a key picture, S0T0, S0T1, S1T0 of a key picture, S1T0, S1T1.
pub(super) fn l2t2(template: u32, number: u16) -> Vec<u8> {
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
pub(super) struct Published {
    pub(super) bytes: Vec<u8>,
    pub(super) seq: u64,
    pub(super) stream: u8,
    pub(super) info: PacketInfo,
    pub(super) captured: Instant,
}

/// A published simulcast stream.
pub(super) struct Stream {
    pub(super) inspector: Inspector,
    pub(super) index: u8,
    pub(super) seq: u64,
    /// RTP timestamp at `start`.
    pub(super) base: u32,
    pub(super) start: Instant,
}

pub(super) fn publisher_ids() -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    ids.set(Extension::VideoOrientation, 2);
    ids.set(Extension::DependencyDescriptor, 9);
    ids
}

impl Stream {
    pub(super) fn new(codec: VideoCodec, index: u8, seq: u64, base: u32, start: Instant) -> Stream {
        Stream {
            inspector: Inspector::new(codec, &publisher_ids()),
            index,
            seq,
            base,
            start,
        }
    }

    /// The next packet, of a frame captured `ms` after the start.
    pub(super) fn packet(
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
    pub(super) fn vp8(&mut self, ms: u64, picture: u16, frame: &Vp8Frame) -> [Published; 2] {
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
pub(super) struct Vp8Frame {
    pub(super) key: bool,
    pub(super) temporal: u8,
    pub(super) sync: bool,
    pub(super) tl0: u8,
}

/// A packet as the subscriber decrypts it.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) header: Header,
    pub(super) bytes: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) wire: Vec<u8>,
}

impl Received {
    /// The picture id of a VP8 payload, or that of a VP9 payload, of 15 bits.
    pub(super) fn picture(&self) -> u16 {
        let codec = match self.header.payload_type {
            98 => VideoCodec::Vp9,
            _ => VideoCodec::Vp8,
        };
        codec.descriptor(&self.payload).picture_id.unwrap().value
    }
}

/// A subscriber, whose packets arrive.
pub(super) struct Subscriber {
    pub(super) forwarder: VideoForwarder,
    pub(super) protect: Protect,
    opener: Unprotect,
    pub(super) next_transport: u16,
}

impl Subscriber {
    pub(super) fn new(rtx: bool, transport: bool) -> Subscriber {
        let profile = Profile::Aes128CmSha1_80;
        // The same keys in both directions, so that the test can open what it sealed.
        let half = [7; 30];
        let mut material = Vec::new();
        material.extend(&half[..16]);
        material.extend(&half[..16]);
        material.extend(&half[16..]);
        material.extend(&half[16..]);
        let (protect, opener) = server_contexts(profile, &material).unwrap();
        let mut ids = ExtensionIds::default();
        ids.set(Extension::VideoOrientation, 6);
        ids.set(Extension::DependencyDescriptor, 11);
        if transport {
            ids.set(Extension::TransportSequence, 3);
        }
        let first = FirstNumbers {
            seq: FIRST_SEQ,
            timestamp: u32::MAX - 1000,
            rtx_seq: 0x7FFF,
        };
        Subscriber {
            forwarder: VideoForwarder::new(SSRC, rtx.then_some(RTX_SSRC), ids, first),
            protect,
            opener,
            next_transport: 500,
        }
    }

    pub(super) fn attach(&mut self, codec: VideoCodec, layering: Layering) {
        let payload_type = match codec {
            VideoCodec::Vp8 => 96,
            VideoCodec::Vp9 => 98,
            VideoCodec::H264 => 102,
            VideoCodec::Av1 => 45,
        };
        let format = VideoStreamFormat {
            codec,
            payload_type,
            rtx_payload_type: Some(97),
        };
        self.forwarder.attach(&publisher_ids(), format, layering);
    }

    pub(super) fn target(&mut self, spatial: u8, temporal: u8) {
        self.forwarder.set_target(Some(Layer { spatial, temporal }));
    }

    pub(super) fn forward(&mut self, published: &Published) -> Option<Received> {
        let header = Header::parse(&published.bytes).unwrap();
        let packet = VideoPacket {
            rtp: TrackPacket {
                bytes: &published.bytes,
                header: &header,
                payload: header.payload(&published.bytes).unwrap(),
                seq: published.seq,
            },
            stream: published.stream,
            info: published.info,
            captured: published.captured,
        };
        let mut out = [0xFF; 1500];
        let next = &mut self.next_transport;
        let transport = || {
            *next += 1;
            *next - 1
        };
        let len = self
            .forwarder
            .forward(&packet, transport, &self.protect, &mut out)?;
        Some(self.open(&mut out[..len]))
    }

    pub(super) fn forward_all<'a>(
        &mut self,
        published: impl IntoIterator<Item = &'a Published>,
    ) -> Vec<Received> {
        published
            .into_iter()
            .filter_map(|packet| self.forward(packet))
            .collect()
    }

    pub(super) fn resend(&mut self, sent: SentAs, published: &Published) -> Option<Vec<u8>> {
        let header = Header::parse(&published.bytes).unwrap();
        let packet = TrackPacket {
            bytes: &published.bytes,
            header: &header,
            payload: header.payload(&published.bytes).unwrap(),
            seq: published.seq,
        };
        let mut out = [0xFF; 1500];
        let next = &mut self.next_transport;
        let transport = || {
            *next += 1;
            *next - 1
        };
        let len = self
            .forwarder
            .resend(sent, &packet, transport, &self.protect, &mut out)?;
        Some(out[..len].to_vec())
    }

    pub(super) fn open(&mut self, wire: &mut [u8]) -> Received {
        let before = wire.to_vec();
        let header = Header::parse(wire).unwrap();
        let len = self
            .opener
            .rtp(wire, header.len, header.ssrc, header.seq)
            .unwrap();
        let bytes = wire[..len].to_vec();
        Received {
            payload: header.payload(&bytes).unwrap().to_vec(),
            header,
            bytes,
            wire: before,
        }
    }
}

/// The outgoing sequence numbers, counted from the first one.
pub(super) fn seqs(received: &[Received]) -> Vec<u16> {
    received
        .iter()
        .map(|packet| packet.header.seq.wrapping_sub(FIRST_SEQ))
        .collect()
}
