//! What an Opus packet says about itself without being decoded (RFC 6716 §3).

use opus::packet;

/// Longest duration one Opus packet may have: 120 ms, in samples at 48 kHz.
pub const MAX_SAMPLES: u32 = 5_760;

/// The shape of one Opus packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Duration of the whole packet, samples at 48 kHz (120 to 5,760).
    pub samples: u32,
    /// Duration of one of its Opus frames, samples at 48 kHz; in-band FEC covers this much.
    pub frame_samples: u32,
    /// Whether its first frame carries a copy of the frame before it (low bit-rate redundancy).
    pub fec: bool,
    /// Whether it is a comfort-noise marker: the sender is about to fall silent (DTX).
    pub dtx: bool,
}

/// Reads the shape of an Opus packet; `None` if a decoder would refuse it.
///
/// The redundancy flag is found as `opus_packet_has_lbrr` of libopus finds it: the bit after the
/// voice-activity bits of the first SILK frame header (RFC 6716 §4.2.3).
pub fn shape(payload: &[u8]) -> Option<Shape> {
    let parsed = packet::parse(payload).ok()?;
    let frame_samples = packet::get_samples_per_frame(payload, 48_000).ok()? as u32;
    let samples = frame_samples.checked_mul(parsed.frames.len() as u32)?;
    if samples == 0 || samples > MAX_SAMPLES {
        return None;
    }
    let celt_only = parsed.toc & 0x80 != 0;
    let stereo = parsed.toc & 0x04 != 0;
    let silk_frames = (frame_samples / 960).max(1);
    let fec = match parsed.frames.first().and_then(|frame| frame.first()) {
        Some(&header) if !celt_only => {
            let mid = header >> (7 - silk_frames) & 1;
            let side = if stereo {
                // The side channel's flags follow the middle channel's.
                header.checked_shr(6 - 2 * silk_frames.min(3)).unwrap_or(0) & 1
            } else {
                0
            };
            mid | side == 1
        }
        _ => false,
    };
    Some(Shape {
        samples,
        frame_samples,
        fec,
        dtx: payload.len() <= 2,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_follow_the_table_of_rfc_6716() {
        // (config, samples): SILK 10/20/40/60 ms, hybrid 10/20 ms, CELT 2.5/5/10/20 ms.
        for (config, samples) in [
            (0u8, 480),
            (1, 960),
            (2, 1920),
            (3, 2880),
            (12, 480),
            (13, 960),
            (16, 120),
            (17, 240),
            (18, 480),
            (31, 960),
        ] {
            let shape = shape(&[config << 3, 0, 1, 2]).expect("valid packet");
            assert_eq!(shape.samples, samples, "config {config}");
        }
        let two = shape(&[1 << 3 | 1, 0, 0, 0, 0]).expect("two frames");
        assert_eq!((two.samples, two.frame_samples), (1920, 960));
    }

    #[test]
    fn malformed_packets_have_no_shape() {
        assert_eq!(shape(&[]), None);
        // Code 1 needs two frames of equal size.
        assert_eq!(shape(&[1 << 3 | 1, 0]), None);
        // Code 3 with 48 frames of 60 ms would be far over 120 ms.
        assert_eq!(shape(&[3 << 3 | 3, 48, 0, 0]), None);
        assert_eq!(shape(&[3 << 3 | 3, 0]), None);
    }

    #[test]
    fn any_bytes_are_survived() {
        use rand::{Rng, SeedableRng};
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        for _ in 0..20_000 {
            let len = rng.random_range(0..64);
            let bytes: Vec<u8> = (0..len).map(|_| rng.random()).collect();
            if let Some(shape) = shape(&bytes) {
                assert!(shape.samples <= MAX_SAMPLES && shape.samples % 120 == 0);
            }
        }
    }
}
