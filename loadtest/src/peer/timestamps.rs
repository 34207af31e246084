//! RTP timestamps without their wrap-around.

/// Extends 32-bit RTP timestamps of one stream to 64 bits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwrapper {
    last: Option<i64>,
}

impl Unwrapper {
    /// The extended timestamp nearest to the previous one.
    pub fn extend(&mut self, timestamp: u32) -> i64 {
        let extended = match self.last {
            None => i64::from(timestamp),
            Some(last) => nearest(last, timestamp),
        };
        self.last = Some(extended);
        extended
    }
}

/// The 64-bit value that ends in these 32 bits and is nearest to a reference.
pub fn nearest(reference: i64, timestamp: u32) -> i64 {
    let difference = timestamp.wrapping_sub(reference as u32) as i32;
    reference + i64::from(difference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_go_on_over_the_wrap_and_back() {
        let mut unwrapper = Unwrapper::default();
        assert_eq!(unwrapper.extend(u32::MAX - 959), 0xffff_fc40);
        assert_eq!(unwrapper.extend(0), 0x1_0000_0000);
        assert_eq!(unwrapper.extend(u32::MAX - 959), 0xffff_fc40);
        assert_eq!(nearest(0x1_0000_0000, 960), 0x1_0000_03c0);
    }
}
