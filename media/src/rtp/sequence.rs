//! Wrapping counters extended so that they never wrap.

/// Extends a 16-bit sequence number to 64 bits.
///
/// Starts one cycle above zero, so that a packet sent before the first one received still has a
/// number.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtendSeq {
    highest: Option<u64>,
}

impl ExtendSeq {
    /// The extended number of `seq`, which is the one nearest to the highest so far.
    pub fn extend(&mut self, seq: u16) -> u64 {
        let Some(highest) = self.highest else {
            let first = 0x1_0000 + u64::from(seq);
            self.highest = Some(first);
            return first;
        };
        let delta = seq.wrapping_sub(highest as u16) as i16;
        let extended = highest.saturating_add_signed(i64::from(delta));
        if extended > highest {
            self.highest = Some(extended);
        }
        extended
    }

    /// Goes on from `extended`.
    pub fn starting_at(extended: u64) -> ExtendSeq {
        ExtendSeq {
            highest: Some(extended),
        }
    }

    /// The highest extended number so far.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

/// Extends a 32-bit RTP timestamp to 64 bits, like [`ExtendSeq`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtendTimestamp {
    last: Option<u64>,
}

impl ExtendTimestamp {
    /// The extended value of `timestamp`, which is the one nearest to the last.
    pub fn extend(&mut self, timestamp: u32) -> u64 {
        let extended = match self.last {
            None => 0x1_0000_0000 + u64::from(timestamp),
            Some(last) => {
                let delta = timestamp.wrapping_sub(last as u32) as i32;
                last.saturating_add_signed(i64::from(delta))
            }
        };
        self.last = Some(extended);
        extended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_extend_over_wraps_and_reordering() {
        let mut seq = ExtendSeq::default();
        let first = seq.extend(65_534);
        assert_eq!(seq.extend(65_535), first + 1);
        assert_eq!(seq.extend(1), first + 3);
        assert_eq!(seq.extend(0), first + 2);
        assert_eq!(seq.extend(65_533), first - 1);
        assert_eq!(seq.highest(), Some(first + 3));
    }

    #[test]
    fn timestamps_extend_over_wraps() {
        let mut timestamp = ExtendTimestamp::default();
        let first = timestamp.extend(u32::MAX - 100);
        assert_eq!(timestamp.extend(859), first + 960);
    }
}
