//! An entry point for the fuzz target in `fuzz/` and for the mutation test here. It returns if its input is handled as
//! it should be and panics if an invariant breaks.

use super::framing::{Frame, FramingError, Kind, MAX_FRAME, first_frame, padding};

/// A client's bytes on TCP: the frames are the same however the network cuts them, none is longer than it may be, and
/// written again with its padding each is read as itself.
pub fn turn_stream(data: &[u8]) {
    let mut rest = data;
    loop {
        let whole = first_frame(rest);
        let frame = match whole {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(FramingError) => return,
        };
        let Frame { len, padded } = frame;
        assert!((4..=MAX_FRAME).contains(&len) && len <= padded && padded < len + 4);
        for end in 0..padded {
            assert_eq!(first_frame(&rest[..end]), Ok(None), "cut at {end}");
        }
        let bytes = &rest[..len];
        let mut written = bytes.to_vec();
        written.extend(padding(bytes));
        assert_eq!(first_frame(&written), Ok(Some(frame)));
        assert_ne!(Kind::of(bytes), Kind::Neither);
        rest = &rest[padded..];
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn mutated_input_breaks_no_invariant() {
        let mut seed = vec![0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42];
        seed.extend([7; 12]);
        seed.extend([0, 0x19, 0, 4, 17, 0, 0, 0]);
        seed.extend([0x40, 1, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0]);
        seed.extend([0x40, 1, 0, 0]);
        turn_stream(&seed);
        let mut random = StdRng::seed_from_u64(11);
        for _ in 0..20_000 {
            let mut data = seed.clone();
            for _ in 0..random.random_range(0..6) {
                let at = random.random_range(0..data.len());
                match random.random_range(0..3) {
                    0 => data[at] = random.random(),
                    1 => data[at] ^= 1 << random.random_range(0..8),
                    _ => data.truncate(at.max(1)),
                }
            }
            turn_stream(&data);
        }
    }
}
