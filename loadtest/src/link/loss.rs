//! Packet loss: independent, or in bursts by the Gilbert–Elliott model.

use rand::Rng;

/// A two-state Markov chain: packets sent in the bad state are lost.
///
/// Gilbert, "Capacity of a burst-noise channel" (1960), with the bad state losing everything and
/// the good one nothing; Elliott (1963) generalised it.
#[derive(Debug, Clone)]
pub struct GilbertElliott {
    bad: bool,
    /// Probability of good → bad before each packet.
    enter: f64,
    /// Probability of bad → good before each packet.
    leave: f64,
}

impl GilbertElliott {
    /// A chain that loses a share of packets in bursts of a mean length.
    ///
    /// A mean of `1 / (1 - loss)` or less gives independent losses.
    pub fn new(loss: f64, mean_burst: f64) -> Self {
        let loss = loss.clamp(0.0, 0.99);
        let burst = mean_burst.max(1.0 / (1.0 - loss));
        let leave = 1.0 / burst;
        Self {
            bad: false,
            // Stationary: loss = enter / (enter + leave).
            enter: loss * leave / (1.0 - loss),
            leave,
        }
    }

    /// Whether the next packet is lost.
    pub fn lose(&mut self, rng: &mut impl Rng) -> bool {
        let turn = if self.bad { self.leave } else { self.enter };
        if rng.random::<f64>() < turn {
            self.bad = !self.bad;
        }
        self.bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    /// Share of packets lost and mean length of a burst over many packets.
    fn observe(loss: f64, burst: f64) -> (f64, f64) {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut chain = GilbertElliott::new(loss, burst);
        let lost = (0..400_000)
            .map(|_| chain.lose(&mut rng))
            .collect::<Vec<_>>();
        let total = lost.iter().filter(|l| **l).count() as f64;
        let bursts = lost.windows(2).filter(|w| !w[0] && w[1]).count() as f64;
        (total / lost.len() as f64, total / bursts.max(1.0))
    }

    #[test]
    fn independent_losses_have_the_share_asked_for() {
        let (share, burst) = observe(0.05, 1.0);
        assert!((share - 0.05).abs() < 0.003, "{share}");
        assert!((burst - 1.0 / 0.95).abs() < 0.03, "{burst}");
    }

    #[test]
    fn bursts_have_the_length_asked_for_at_the_same_share() {
        let (share, burst) = observe(0.05, 4.0);
        assert!((share - 0.05).abs() < 0.006, "{share}");
        assert!((burst - 4.0).abs() < 0.3, "{burst}");
    }

    #[test]
    fn no_loss_loses_nothing() {
        assert_eq!(observe(0.0, 3.0).0, 0.0);
    }
}
