//! The start of a WAV stream, as it arrives.

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) sample_rate: u32,
    /// Bytes before the first sample.
    pub(super) length: usize,
}

/// Reads a header of 16-bit mono PCM. `Ok(None)` asks for more bytes; the error says what is wrong.
/// Chunk sizes after the header are ignored, since a stream's length is not known when it starts.
pub(super) fn header(bytes: &[u8]) -> Result<Option<Header>, String> {
    /// Longer headers than this are not WAV.
    const LONGEST: usize = 4096;
    let prefix_matches = |at: usize, expected: &[u8]| {
        let there = bytes.get(at..).unwrap_or_default();
        there.iter().zip(expected).all(|(a, b)| a == b)
    };
    if !prefix_matches(0, b"RIFF") || !prefix_matches(8, b"WAVE") {
        return Err("it is not a WAV stream".into());
    }
    let number = |at: usize, length: usize| {
        let bytes = bytes.get(at..at + length)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0_u32, |value, &byte| value << 8 | u32::from(byte)),
        )
    };
    let mut sample_rate = None;
    let mut at = 12;
    while let (Some(name), Some(size)) = (bytes.get(at..at + 4), number(at + 4, 4)) {
        if name == b"data" {
            let sample_rate = sample_rate.ok_or("its data come before its format")?;
            return Ok(Some(Header {
                sample_rate,
                length: at + 8,
            }));
        }
        if name == b"fmt " {
            let format = (number(at + 8, 2), number(at + 10, 2), number(at + 22, 2));
            match format {
                (Some(1), Some(1), Some(16)) => sample_rate = number(at + 12, 4),
                (Some(_), Some(_), Some(_)) => return Err("it is not 16-bit mono PCM".into()),
                _ => return Ok(None),
            }
        }
        at += 8 + size as usize;
        if at > LONGEST {
            return Err("its header does not end".into());
        }
    }
    Ok(None)
}

/// Samples of −1…1 out of little-endian 16-bit ones; an odd byte at the end stays in `bytes`.
pub(super) fn drain_samples(bytes: &mut Vec<u8>) -> Vec<f32> {
    let whole = bytes.len() & !1;
    let sample = |pair: &[u8]| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0;
    let samples = bytes[..whole].chunks_exact(2).map(sample).collect();
    bytes.drain(..whole);
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(channels: u8) -> Vec<u8> {
        let mut bytes = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0".to_vec();
        bytes.extend([channels, 0, 0x22, 0x56, 0, 0, 0x44, 0xac, 0, 0, 2, 0, 16, 0]);
        bytes.extend(b"data\xff\xff\xff\xff");
        bytes
    }

    #[test]
    fn a_header_may_arrive_in_pieces() {
        let bytes = wav(1);
        for length in 0..bytes.len() {
            assert_eq!(header(&bytes[..length]), Ok(None), "{length}");
        }
        assert_eq!(
            header(&bytes),
            Ok(Some(Header {
                sample_rate: 22_050,
                length: 44
            }))
        );
    }

    #[test]
    fn other_streams_are_refused() {
        assert!(header(b"Error: no such voice").is_err());
        assert!(header(&wav(2)).is_err());
    }

    #[test]
    fn half_a_sample_waits() {
        let mut bytes = vec![0, 0x40, 0];
        assert_eq!(drain_samples(&mut bytes), [0.5]);
        assert_eq!(bytes, [0]);
    }
}
