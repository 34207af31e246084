//! Writing one outbound packet.

use super::descriptor::{Descriptor, Picture};
use crate::rtp::extension::{Extension, ExtensionIds, ExtensionMap, locate};
use crate::rtp::forward::TrackPacket;
use crate::rtp::header::ExtensionBlock;
use crate::srtp::{MAX_TAG, Protect};

/// Bytes that a packet may grow by on the way: extensions of the subscriber's own, their two-byte
/// form, the original sequence number of a retransmission.
pub(super) const MAX_GROWTH: usize = 64 + MAX_TAG;

/// The fixed header of a packet to send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope {
    pub(super) ssrc: u32,
    pub(super) payload_type: u8,
    /// Packet index (RFC 3711 §3.3.1).
    pub(super) seq: u64,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    /// Transport-wide number.
    pub(super) transport: Option<u16>,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'a> {
    /// The packet of a track, with numbers of its own.
    Media {
        packet: &'a TrackPacket<'a>,
        descriptor: &'a Descriptor,
        picture: Picture,
        /// The sequence number that it repeats (RFC 4588 §4).
        original: Option<u16>,
    },
    /// This many bytes of padding (RFC 3550 §5.1), and nothing else.
    Padding(u8),
}

/// Extensions from a publisher's ids to a subscriber's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extensions {
    map: ExtensionMap,
    transport: Option<u8>,
    dependency: Option<u8>,
}

impl Extensions {
    pub(super) fn new(publisher: &ExtensionIds, subscriber: &ExtensionIds) -> Extensions {
        Extensions {
            map: publisher.map_to(subscriber),
            transport: subscriber.get(Extension::TransportSequence),
            dependency: subscriber.get(Extension::DependencyDescriptor),
        }
    }

    /// Whether packets carry transport-wide numbers.
    pub(super) fn numbers_transport(&self) -> bool {
        self.transport.is_some()
    }

    /// Writes a packet, protected, into `out`; returns its length, or `None` if `out` is too small.
    pub(super) fn write(
        &self,
        envelope: &Envelope,
        content: &Content<'_>,
        protect: &Protect,
        out: &mut [u8],
    ) -> Option<usize> {
        let fixed = out.first_chunk_mut::<12>()?;
        fixed[0] = 0x80;
        fixed[1] = u8::from(envelope.marker) << 7 | envelope.payload_type;
        fixed[2..4].copy_from_slice(&(envelope.seq as u16).to_be_bytes());
        fixed[4..8].copy_from_slice(&envelope.timestamp.to_be_bytes());
        fixed[8..12].copy_from_slice(&envelope.ssrc.to_be_bytes());
        let header = 12 + self.write_block(envelope.transport, content, &mut out[12..]);
        if header > 12 {
            out[0] |= 0x10;
        }
        let len = match *content {
            Content::Media {
                packet,
                descriptor,
                picture,
                original,
            } => {
                let start = header + if original.is_some() { 2 } else { 0 };
                let len = start + packet.payload.len();
                let payload = out.get_mut(start..len)?;
                payload.copy_from_slice(packet.payload);
                descriptor.patch(payload, &picture);
                if let Some(seq) = original {
                    out[header..start].copy_from_slice(&seq.to_be_bytes());
                }
                len
            }
            Content::Padding(count) => {
                out[0] |= 0x20;
                let len = header + usize::from(count);
                let padding = out.get_mut(header..len)?;
                padding.fill(0);
                *padding.last_mut()? = count;
                len
            }
        };
        if len + MAX_TAG > out.len() {
            return None;
        }
        Some(protect.rtp(out, header, len, envelope.ssrc, envelope.seq))
    }

    fn write_block(&self, transport: Option<u16>, content: &Content<'_>, out: &mut [u8]) -> usize {
        let number = transport.unwrap_or_default().to_be_bytes();
        let own: [(u8, &[u8]); 1] = [(self.transport.unwrap_or_default(), &number)];
        let added = match (transport, self.transport) {
            (Some(_), Some(_)) => &own[..],
            _ => &[],
        };
        let Content::Media {
            packet, picture, ..
        } = *content
        else {
            return self.map.rewrite_with(&[], None, added, out);
        };
        let block = packet.header.extension.as_ref();
        let len = self.map.rewrite_with(packet.bytes, block, added, out);
        if len > 0
            && let Some(id) = self.dependency
        {
            let block = ExtensionBlock {
                profile: u16::from_be_bytes([out[0], out[1]]),
                start: 4,
                end: len,
            };
            // The frame number is behind the first byte.
            if let Some(value) = locate(out, &block, id).and_then(|at| out.get_mut(at))
                && let Some(number) = value.get_mut(1..3)
            {
                number.copy_from_slice(&picture.frame.to_be_bytes());
            }
        }
        len
    }
}
