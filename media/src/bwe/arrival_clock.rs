//! The receiver's clock, which comes as 24 bits that wrap.

/// Reference times count this many µs.
const UNIT: i64 = 64_000;
/// How far the receiver's clock may stray from ours, in µs, before it is a new clock. Clocks that
/// are off by 100 ppm stray by this much in a day, and then lose a moment's history.
const MAX_STRAY: i64 = 10_000_000;

/// Unwraps reference times, and keeps them near our own clock whatever a peer claims.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ArrivalClock {
    last: Option<(u32, i64)>,
}

impl ArrivalClock {
    /// The time `reference` (24 bits) stands for in a feedback that came at `now`: µs, up to a
    /// constant. And whether it is another constant than before.
    pub(super) fn unwrap(&mut self, now: i64, reference: u32) -> (i64, bool) {
        let continued = self.last.map(|(last, at)| {
            let step = (reference.wrapping_sub(last) << 8) as i32 >> 8;
            at + i64::from(step) * UNIT
        });
        let (at, anew) = match continued {
            Some(at) if (at - now).abs() <= MAX_STRAY => (at, false),
            _ => (now, true),
        };
        self.last = Some((reference, at));
        (at, anew)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_times_go_on_over_the_wrap() {
        let mut clock = ArrivalClock::default();
        assert_eq!(clock.unwrap(500, 0xFF_FFFE), (500, true));
        assert_eq!(clock.unwrap(200_000, 1), (500 + 3 * UNIT, false));
        assert_eq!(clock.unwrap(200_000, 0xFF_FFFF), (500 + UNIT, false));
    }

    #[test]
    fn absurd_jumps_never_lead_away_from_our_clock() {
        let mut clock = ArrivalClock::default();
        let mut reference = 0u32;
        for step in 0..1000 {
            reference = (reference + 0x7F_FFFF) & 0xFF_FFFF;
            let (at, anew) = clock.unwrap(step, reference);
            assert!(anew && at == step);
        }
    }
}
