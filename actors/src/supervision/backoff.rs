//! How long to wait before a restart.

use std::time::Duration;

use rand::Rng;

/// Exponential backoff with jitter: the n-th failure in a row waits
/// `initial × factorⁿ⁻¹`, at most `max`, spread by ± `jitter` of itself.
///
/// A child that stayed up for at least `max` (and at least a second) has recovered: its next failure
/// waits `initial` again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The first wait.
    pub initial: Duration,
    /// Growth from one failure in a row to the next, at least 1.
    pub factor: f64,
    /// The longest wait, before jitter.
    pub max: Duration,
    /// Spread, from 0 (none) to 1 (from nothing to twice the wait).
    pub jitter: f64,
}

impl Default for Backoff {
    /// 10 ms, doubling, at most 5 s, ± 10 %.
    fn default() -> Self {
        Backoff {
            initial: Duration::from_millis(10),
            factor: 2.0,
            max: Duration::from_secs(5),
            jitter: 0.1,
        }
    }
}

impl Backoff {
    /// No wait at all; for tests and for children whose intensity is limit enough.
    pub const NONE: Backoff = Backoff {
        initial: Duration::ZERO,
        factor: 1.0,
        max: Duration::ZERO,
        jitter: 0.0,
    };

    /// The wait before the restart that follows the `failures`-th failure in a row (from 1).
    pub(crate) fn delay(&self, failures: u32, rng: &mut impl Rng) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let capped = grown.min(self.max.as_secs_f64());
        let spread = self.jitter.clamp(0.0, 1.0) * (rng.random::<f64>() * 2.0 - 1.0);
        Duration::try_from_secs_f64(capped * (1.0 + spread)).unwrap_or(self.max)
    }

    /// How long a child must stay up for its failures in a row to be forgotten.
    pub(crate) fn recovery(&self) -> Duration {
        self.max.max(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn doubles_up_to_max_and_jitter_stays_in_its_spread() {
        let backoff = Backoff {
            initial: Duration::from_millis(100),
            factor: 2.0,
            max: Duration::from_secs(1),
            jitter: 0.25,
        };
        let mut rng = StdRng::seed_from_u64(7);
        for (failures, expected_ms) in [(1, 100.0), (2, 200.0), (3, 400.0), (4, 800.0), (9, 1000.0)]
        {
            for _ in 0..100 {
                let ms = backoff.delay(failures, &mut rng).as_secs_f64() * 1000.0;
                assert!((ms - expected_ms).abs() <= expected_ms * 0.25 + 1e-6);
            }
        }
        assert!(backoff.delay(u32::MAX, &mut rng) <= Duration::from_millis(1250));
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let waits = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            (1..9)
                .map(|n| Backoff::default().delay(n, &mut rng))
                .collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
