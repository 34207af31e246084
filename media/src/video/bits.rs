//! Reading bit by bit.

/// Reads a byte string from its most significant bit on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Bits<'a> {
        Bits { bytes, at: 0 }
    }

    /// The next `count` bits, at most 32; `None` if there are fewer.
    pub(super) fn read(&mut self, count: u32) -> Option<u32> {
        let mut value = 0u32;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// The next bit.
    pub(super) fn flag(&mut self) -> Option<bool> {
        self.read(1).map(|bit| bit != 0)
    }

    /// A value below `bound`, which must not be 0, in the fewest bits (AV1 §4.10.7, `ns(n)`).
    pub(super) fn below(&mut self, bound: u32) -> Option<u32> {
        let width = 32 - bound.leading_zeros();
        let short = (1u32 << width) - bound;
        let value = self.read(width - 1)?;
        if value < short {
            return Some(value);
        }
        Some((value << 1) + self.read(1)? - short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_below_a_bound_take_the_fewest_bits() {
        // Below 5: 0, 1 and 2 in two bits, 3 and 4 in three.
        let mut bits = Bits::new(&[0b0001_1011, 0b0111_0000]);
        let values: Vec<_> = (0..5).map_while(|_| bits.below(5)).collect();
        assert_eq!(values, [0, 1, 2, 3, 4]);
        assert_eq!(bits.below(1), Some(0));
        assert_eq!(bits.read(4), Some(0));
        assert_eq!(bits.read(1), None);
    }
}
