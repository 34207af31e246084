//! AV1 payloads (AV1 RTP §4), as far as they tell without the dependency descriptor.

use super::codec::PacketInfo;

const SEQUENCE_HEADER: u8 = 1;

/// What an AV1 payload tells; `None` if it is malformed. Where frames begin and end is in the RTP
/// headers.
pub(super) fn inspect(payload: &[u8]) -> Option<PacketInfo> {
    let (&aggregation, mut rest) = payload.split_first()?;
    let continued = aggregation & 0x80 != 0;
    let count = aggregation >> 4 & 3;
    let new_sequence = aggregation & 0x08 != 0;
    let mut info = PacketInfo {
        inter_picture: true,
        ..PacketInfo::default()
    };
    let mut index = 0;
    while !rest.is_empty() {
        index += 1;
        // With a count, the last element fills the packet and has no length.
        let unit = if index == count {
            std::mem::take(&mut rest)
        } else {
            let (len, tail) = read_leb128(rest)?;
            rest = tail.get(len..)?;
            &tail[..len]
        };
        if (index == 1 && continued) || unit.is_empty() {
            continue;
        }
        let header = unit[0];
        if header >> 3 & 15 == SEQUENCE_HEADER {
            info.keyframe = new_sequence;
        } else if header & 0x04 != 0
            && let Some(extension) = unit.get(1)
        {
            info.temporal = extension >> 5;
            info.spatial = extension >> 3 & 3;
        }
    }
    (index >= count.max(1)).then_some(info)
}

/// A length in 7-bit groups, low ones first, and what follows it.
fn read_leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    // Three groups exceed any datagram.
    for (index, byte) in bytes.iter().take(3).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_sequence_with_its_header_is_a_keyframe() {
        // Two elements: a sequence header of 3 bytes, then a frame with temporal id 1, spatial id 2.
        let payload = [0x28, 3, 0x08, 0, 0, 0x34, 0x30, 0xFF];
        let info = inspect(&payload).unwrap();
        assert!(info.keyframe);
        assert_eq!((info.temporal, info.spatial), (1, 2));
        // The same without the N bit, and a delta frame.
        assert!(
            !inspect(&[0x20, 3, 0x08, 0, 0, 0x34, 0x30])
                .unwrap()
                .keyframe
        );
        assert!(!inspect(&[0x10, 0x30, 0xFF]).unwrap().keyframe);
        // The rest of a unit that began in the packet before looks like a sequence header.
        assert!(!inspect(&[0x98, 0x08, 0]).unwrap().keyframe);
        // Every element with its length.
        assert!(inspect(&[0x08, 1, 0x08, 2, 0x30, 1]).unwrap().keyframe);
    }

    #[test]
    fn truncations_are_refused() {
        let payload = [0x28, 3, 0x08, 0, 0, 0x34, 0x30, 0xFF];
        for len in 0..6 {
            assert_eq!(inspect(&payload[..len]), None, "{len}");
        }
        assert_eq!(inspect(&[0x08, 0xFF, 0xFF, 0xFF, 0xFF]), None);
    }
}
