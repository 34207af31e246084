//! SCTP packets as bytes (RFC 9260, section 3).

use bytes::{BufMut, Bytes, BytesMut};

/// Ports, verification tag and checksum.
const COMMON_HEADER: usize = 12;

/// Type, flags and length.
const CHUNK_HEADER: usize = 4;

/// Chunk types.
pub(super) mod chunk {
    pub(in crate::sctp) const DATA: u8 = 0;
    pub(in crate::sctp) const INIT: u8 = 1;
    pub(in crate::sctp) const INIT_ACK: u8 = 2;
    pub(in crate::sctp) const SACK: u8 = 3;
    pub(in crate::sctp) const HEARTBEAT: u8 = 4;
    pub(in crate::sctp) const HEARTBEAT_ACK: u8 = 5;
    pub(in crate::sctp) const ABORT: u8 = 6;
    pub(in crate::sctp) const SHUTDOWN: u8 = 7;
    pub(in crate::sctp) const SHUTDOWN_ACK: u8 = 8;
    pub(in crate::sctp) const ERROR: u8 = 9;
    pub(in crate::sctp) const COOKIE_ECHO: u8 = 10;
    pub(in crate::sctp) const COOKIE_ACK: u8 = 11;
    pub(in crate::sctp) const SHUTDOWN_COMPLETE: u8 = 14;
    pub(in crate::sctp) const RECONFIG: u8 = 130;
    pub(in crate::sctp) const FORWARD_TSN: u8 = 192;
}

/// A packet whose header and checksum are right.
#[derive(Clone, Copy)]
pub(super) struct Packet<'a> {
    bytes: &'a [u8],
}

/// One chunk of a packet.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) value: &'a [u8],
}

impl<'a> Packet<'a> {
    /// None if the bytes are no packet.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let packet = Packet { bytes };
        let sound = bytes.len() >= COMMON_HEADER + CHUNK_HEADER
            && u16_at(bytes, 0)? != 0
            && u16_at(bytes, 2)? != 0
            && bytes[8..COMMON_HEADER] == checksum(bytes).to_le_bytes();
        sound.then_some(packet)
    }

    pub(super) fn verification_tag(&self) -> u32 {
        u32_at(self.bytes, 4).unwrap_or(0)
    }

    /// The chunks, up to the first malformed one.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Chunk<'a>> + use<'a> {
        let mut rest = &self.bytes[COMMON_HEADER..];
        std::iter::from_fn(move || {
            let len = usize::from(u16_at(rest, 2)?);
            let value = rest.get(CHUNK_HEADER..len)?;
            let chunk = Chunk {
                kind: rest[0],
                flags: rest[1],
                value,
            };
            // The last chunk's padding may be missing.
            rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
            Some(chunk)
        })
    }

    /// An empty packet with this one's header.
    pub(super) fn rebuild(&self) -> Rebuilt {
        Rebuilt::new(&self.bytes[..8])
    }

    /// An empty packet to the sender of this one.
    pub(super) fn reply(&self, verification_tag: u32) -> Rebuilt {
        let mut header = [0; 8];
        header[..2].copy_from_slice(&self.bytes[2..4]);
        header[2..4].copy_from_slice(&self.bytes[..2]);
        header[4..].copy_from_slice(&verification_tag.to_be_bytes());
        Rebuilt::new(&header)
    }
}

/// A packet in the making.
pub(super) struct Rebuilt {
    bytes: BytesMut,
}

impl Rebuilt {
    fn new(header: &[u8]) -> Rebuilt {
        let mut bytes = BytesMut::with_capacity(crate::engine::MAX_DATAGRAM);
        bytes.put_slice(header);
        bytes.put_u32(0);
        Rebuilt { bytes }
    }

    /// Appends a chunk whose value is made of `parts`.
    pub(super) fn push(&mut self, kind: u8, flags: u8, parts: &[&[u8]]) {
        let len = CHUNK_HEADER + parts.iter().map(|part| part.len()).sum::<usize>();
        self.bytes.put_u8(kind);
        self.bytes.put_u8(flags);
        self.bytes.put_u16(u16::try_from(len).unwrap_or(u16::MAX));
        for part in parts {
            self.bytes.put_slice(part);
        }
        self.bytes.put_bytes(0, len.next_multiple_of(4) - len);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.len() == COMMON_HEADER
    }

    /// The packet, in memory of its own size: the library keeps slices of it.
    pub(super) fn finish(mut self) -> Bytes {
        let checksum = checksum(&self.bytes);
        self.bytes[8..COMMON_HEADER].copy_from_slice(&checksum.to_le_bytes());
        Bytes::copy_from_slice(&self.bytes)
    }
}

/// CRC-32C over the packet with a checksum of zero. Requires a whole common header.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&bytes[..8]);
    let crc = crc32c::crc32c_append(crc, &[0; 4]);
    crc32c::crc32c_append(crc, &bytes[COMMON_HEADER..])
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*bytes))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

/// Type and value of each parameter, up to the first malformed one.
pub(super) fn parameters(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let kind = u16_at(rest, 0)?;
        let len = usize::from(u16_at(rest, 2)?);
        let value = rest.get(4..len)?;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Bytes {
        let mut rebuilt = Rebuilt::new(&[0x13, 0x88, 0x13, 0x89, 0, 0, 0, 7]);
        rebuilt.push(chunk::DATA, 3, &[b"abc", b"de"]);
        rebuilt.push(chunk::SACK, 0, &[]);
        rebuilt.finish()
    }

    #[test]
    fn a_packet_that_was_written_is_read_back() {
        let bytes = packet();
        assert_eq!(bytes.len() % 4, 0);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.verification_tag(), 7);
        let chunks: Vec<_> = packet
            .chunks()
            .map(|chunk| (chunk.kind, chunk.flags, chunk.value.to_vec()))
            .collect();
        assert_eq!(
            chunks,
            [
                (chunk::DATA, 3, b"abcde".to_vec()),
                (chunk::SACK, 0, vec![])
            ]
        );
        let mut reply = packet.reply(9);
        reply.push(chunk::ABORT, 0, &[]);
        let reply = reply.finish();
        assert_eq!(reply[..8], [0x13, 0x89, 0x13, 0x88, 0, 0, 0, 9]);
        assert!(Packet::parse(&reply).is_some());
    }

    #[test]
    fn a_changed_or_shortened_packet_is_none() {
        let bytes = packet();
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            assert!(Packet::parse(&changed).is_none(), "byte {at}");
            assert!(Packet::parse(&bytes[..at]).is_none(), "length {at}");
        }
    }

    #[test]
    fn lengths_that_lie_end_the_chunks_and_parameters() {
        for len in [0u16, 3, 5000] {
            let mut value = vec![0, 1];
            value.extend(len.to_be_bytes());
            value.extend([0; 8]);
            assert_eq!(parameters(&value).count(), 0, "{len}");
            let mut bytes = packet().to_vec();
            bytes[14..16].copy_from_slice(&len.to_be_bytes());
            let checksum = checksum(&bytes);
            bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
            assert_eq!(Packet::parse(&bytes).unwrap().chunks().count(), 0, "{len}");
        }
    }
}
