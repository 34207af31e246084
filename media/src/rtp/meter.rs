//! How many bits a second something takes.

use std::time::{Duration, Instant};

/// The time over which bits are counted.
const WINDOW: Duration = Duration::from_millis(500);
/// Nothing for so long is nothing at all.
const SILENCE: Duration = Duration::from_millis(1500);

/// Counts bytes over half a second at a time, and smooths over about two of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    since: Option<Instant>,
    last: Option<Instant>,
    bytes: u64,
    rate: Option<u64>,
}

impl Meter {
    /// Takes note of `bytes` at `now`.
    pub fn add(&mut self, now: Instant, bytes: usize) {
        if !self.is_alive(now) {
            // Nor does what came before the silence tell of what comes now.
            *self = Meter::default();
        }
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed >= WINDOW {
            let measured = (self.bytes as f64 * 8.0 / elapsed.as_secs_f64()) as u64;
            self.rate = Some(match self.rate {
                Some(rate) => (rate + measured) / 2,
                None => measured,
            });
            self.since = Some(now);
            self.bytes = 0;
        }
        self.bytes += bytes as u64;
        self.last = Some(now);
    }

    /// Bits a second; `None` before the first window has passed, or when nothing came lately.
    pub fn rate(&self, now: Instant) -> Option<u64> {
        self.is_alive(now).then_some(self.rate).flatten()
    }

    /// When anything came last.
    pub fn last(&self) -> Option<Instant> {
        self.last
    }

    /// Whether anything came lately.
    pub fn is_alive(&self, now: Instant) -> bool {
        self.last
            .is_some_and(|last| now.saturating_duration_since(last) < SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_is_measured_and_its_end_is_seen() {
        let start = Instant::now();
        let mut meter = Meter::default();
        for packet in 0..200u64 {
            meter.add(start + Duration::from_millis(10 * packet), 1250);
        }
        let end = start + Duration::from_secs(2);
        let rate = meter.rate(end).unwrap();
        assert!(rate.abs_diff(1_000_000) < 30_000, "{rate}");
        let later = end + SILENCE;
        assert_eq!(meter.rate(later), None);
        meter.add(later, 1250);
        assert!(meter.is_alive(later));
        assert_eq!(meter.rate(later), None);
    }
}
