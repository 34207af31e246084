//! Redundant audio (RFC 2198): finding the primary block.

/// The primary (newest) block of a redundant payload; `None` if it is malformed or its primary is not
/// of `payload_type`.
pub fn primary(payload: &[u8], payload_type: u8) -> Option<&[u8]> {
    let mut at = 0;
    let mut redundant = 0;
    loop {
        let first = *payload.get(at)?;
        if first & 0x80 == 0 {
            if first != payload_type {
                return None;
            }
            return payload.get(at + 1 + redundant..);
        }
        let header = payload.get(at..at + 4)?;
        redundant += usize::from(u16::from_be_bytes([header[2], header[3]]) & 0x3FF);
        at += 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_block_comes_last() {
        // One redundant block of 2 bytes, 960 ticks ago, and a primary of 3.
        let payload = [0x80 | 111, 0x0F, 0x00, 2, 111, 1, 2, 7, 8, 9];
        assert_eq!(primary(&payload, 111), Some(&[7, 8, 9][..]));
        assert_eq!(primary(&payload, 96), None);
        assert_eq!(primary(&[111, 7], 111), Some(&[7][..]));
    }

    #[test]
    fn truncated_payloads_have_none() {
        let payload = [0x80 | 111, 0x0F, 0x00, 2, 111, 1, 2, 7];
        for len in 0..7 {
            assert_eq!(primary(&payload[..len], 111), None, "{len}");
        }
    }
}
