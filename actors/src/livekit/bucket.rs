//! A token bucket that never refuses: it says how long to wait.

use std::time::{Duration, Instant};

/// How fast a [`Bucket`] fills, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) per_second: u64,
    pub(crate) burst: u64,
}

/// The generic cell rate algorithm (ITU-T I.371): one instant says it all. Time is an argument.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// When the bucket is full again; it is if there is none.
    full_at: Option<Instant>,
}

impl Bucket {
    /// How long it takes until nothing is owed; nothing if something is left to take.
    pub(crate) fn owed(&self, now: Instant, rate: Rate) -> Duration {
        let full_at = self.full_at.unwrap_or(now);
        let missing = full_at.saturating_duration_since(now);
        missing.saturating_sub(time_of(rate.burst, rate))
    }

    /// Takes an amount, which may leave the bucket owing some.
    pub(crate) fn take(&mut self, now: Instant, amount: u64, rate: Rate) {
        let full_at = self.full_at.map_or(now, |at| at.max(now));
        self.full_at = Some(full_at + time_of(amount, rate));
    }
}

/// The time in which an amount flows in.
fn time_of(amount: u64, rate: Rate) -> Duration {
    Duration::from_secs_f64(amount as f64 / rate.per_second.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 5,
        burst: 20,
    };

    #[test]
    fn after_the_burst_each_waits_for_its_turn() {
        let mut bucket = Bucket::default();
        let mut now = Instant::now();
        let begun = now;
        for taken in 0..120 {
            let owed = bucket.owed(now, RATE);
            assert_eq!(owed.is_zero(), taken <= 20, "{taken}");
            now += owed;
            bucket.take(now, 1, RATE);
        }
        let took = (now - begun).as_secs_f64();
        assert!((19.7..19.9).contains(&took), "{took}");
        assert!(bucket.owed(now + Duration::from_secs(1), RATE).is_zero());
    }
}
