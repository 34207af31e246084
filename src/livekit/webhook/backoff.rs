//! How long a sender waits before it tries again.

use std::time::Duration;

use rand::Rng;

/// Exponential backoff with jitter: the n-th wait in a row is `first · 2ⁿ⁻¹`, at most `longest`, of which
/// chance takes up to a half, so that the senders of many servers do not meet at a receiver that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

impl Backoff {
    /// The wait after the `attempt`-th attempt (from 1).
    pub(super) fn wait(&self, attempt: u32, rng: &mut impl Rng) -> Duration {
        let doubled = 2u32.saturating_pow(attempt.saturating_sub(1));
        let whole = self.first.saturating_mul(doubled).min(self.longest);
        whole.mul_f64(rng.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
        };
        let mut rng = StdRng::seed_from_u64(1);
        for (attempt, whole) in [(1, 1.0), (2, 2.0), (5, 16.0), (6, 30.0), (u32::MAX, 30.0)] {
            let waits: Vec<_> = (0..100)
                .map(|_| backoff.wait(attempt, &mut rng).as_secs_f64())
                .collect();
            assert!(
                waits
                    .iter()
                    .all(|wait| (whole / 2.0..=whole).contains(wait)),
                "{attempt}"
            );
            assert!(waits.iter().any(|wait| *wait < whole * 0.6));
            assert!(waits.iter().any(|wait| *wait > whole * 0.9));
        }
    }

    #[test]
    fn the_same_seed_waits_the_same() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
        };
        let waits = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            (1..6)
                .map(|attempt| backoff.wait(attempt, &mut rng))
                .collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }
}
