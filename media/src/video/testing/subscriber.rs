//! A subscriber, which decrypts what it is sent.

use super::publisher::{Published, publisher_ids};
use crate::rtp::extension::{Extension, ExtensionIds};
use crate::rtp::forward::TrackPacket;
use crate::rtp::header::Header;
use crate::srtp::{Profile, Protect, Unprotect, server_contexts};
use crate::video::codec::VideoCodec;
use crate::video::forward::{FirstNumbers, VideoForwarder, VideoStreamFormat};
use crate::video::layers::{Layer, Layering};
use crate::video::packet::{SentAs, VideoPacket};

pub(in crate::video) const SSRC: u32 = 0xABCD;
pub(in crate::video) const RTX_SSRC: u32 = 0xABCE;
pub(in crate::video) const FIRST_SEQ: u16 = 0x7FF0;

/// A packet as the subscriber decrypts it.
#[derive(Clone, Debug)]
pub(in crate::video) struct Received {
    pub(in crate::video) header: Header,
    pub(in crate::video) bytes: Vec<u8>,
    pub(in crate::video) payload: Vec<u8>,
    pub(in crate::video) wire: Vec<u8>,
}

impl Received {
    /// The picture id of a VP8 payload, or that of a VP9 payload, of 15 bits.
    pub(in crate::video) fn picture(&self) -> u16 {
        let codec = match self.header.payload_type {
            98 => VideoCodec::Vp9,
            _ => VideoCodec::Vp8,
        };
        codec.descriptor(&self.payload).picture_id.unwrap().value
    }
}

/// A subscriber, whose packets arrive.
pub(in crate::video) struct Subscriber {
    pub(in crate::video) forwarder: VideoForwarder,
    pub(in crate::video) protect: Protect,
    opener: Unprotect,
    pub(in crate::video) next_transport: u16,
}

impl Subscriber {
    pub(in crate::video) fn new(rtx: bool, transport: bool) -> Subscriber {
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

    pub(in crate::video) fn attach(&mut self, codec: VideoCodec, layering: Layering) {
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

    pub(in crate::video) fn target(&mut self, spatial: u8, temporal: u8) {
        self.forwarder.set_target(Some(Layer { spatial, temporal }));
    }

    pub(in crate::video) fn forward(&mut self, published: &Published) -> Option<Received> {
        let header = Header::parse(&published.bytes).unwrap();
        let packet = VideoPacket {
            rtp: TrackPacket {
                bytes: &published.bytes,
                header: &header,
                payload: header.payload(&published.bytes).unwrap(),
                primary: None,
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

    pub(in crate::video) fn forward_all<'a>(
        &mut self,
        published: impl IntoIterator<Item = &'a Published>,
    ) -> Vec<Received> {
        published
            .into_iter()
            .filter_map(|packet| self.forward(packet))
            .collect()
    }

    pub(in crate::video) fn resend(
        &mut self,
        sent: SentAs,
        published: &Published,
    ) -> Option<Vec<u8>> {
        let header = Header::parse(&published.bytes).unwrap();
        let packet = TrackPacket {
            bytes: &published.bytes,
            header: &header,
            payload: header.payload(&published.bytes).unwrap(),
            primary: None,
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

    pub(in crate::video) fn open(&mut self, wire: &mut [u8]) -> Received {
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
pub(in crate::video) fn seqs(received: &[Received]) -> Vec<u16> {
    received
        .iter()
        .map(|packet| packet.header.seq.wrapping_sub(FIRST_SEQ))
        .collect()
}

pub(in crate::video) fn vp8_subscriber(rtx: bool, transport: bool) -> Subscriber {
    let mut subscriber = Subscriber::new(rtx, transport);
    subscriber.attach(VideoCodec::Vp8, Layering::Simulcast);
    subscriber
}
