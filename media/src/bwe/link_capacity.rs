//! At which rate the link was full before (libwebrtc, `link_capacity_estimator.cc`).

/// How much each overuse counts, and each probe.
const OVERUSE: f64 = 0.05;
const PROBE: f64 = 0.5;

/// A smoothed rate and how far it varies.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkCapacity {
    /// kbit/s.
    estimate: Option<f64>,
    /// Variance, in units of the estimate.
    variance: f64,
}

impl LinkCapacity {
    pub(super) fn new() -> LinkCapacity {
        LinkCapacity {
            estimate: None,
            variance: 0.4,
        }
    }

    /// The rate in bit/s, if the link was ever full.
    pub(super) fn estimate(&self) -> Option<u64> {
        self.estimate.map(|kbps| (kbps * 1000.0) as u64)
    }

    /// Takes note that `bps` arrived while the link was full.
    pub(super) fn overuse(&mut self, bps: u64) {
        self.update(bps, OVERUSE);
    }

    /// Takes note that a probe arrived with `bps`.
    pub(super) fn probed(&mut self, bps: u64) {
        self.update(bps, PROBE);
    }

    /// Forgets a capacity that `bps` contradicts: by more than three deviations.
    pub(super) fn forget_unless_near(&mut self, bps: u64) {
        if let Some(estimate) = self.estimate
            && (bps as f64 / 1000.0 - estimate).abs() > 3.0 * (self.variance * estimate).sqrt()
        {
            self.estimate = None;
        }
    }

    /// Forgets a capacity that `bps` is above of by more than three deviations.
    pub(super) fn forget_if_below(&mut self, bps: u64) {
        if self.estimate().is_some_and(|estimate| bps > estimate) {
            self.forget_unless_near(bps);
        }
    }

    fn update(&mut self, bps: u64, weight: f64) {
        let sample = bps as f64 / 1000.0;
        let estimate = match self.estimate {
            None => sample,
            Some(estimate) => estimate + weight * (sample - estimate),
        };
        let error = estimate - sample;
        let variance = (1.0 - weight) * self.variance + weight * error * error / estimate.max(1.0);
        self.variance = variance.clamp(0.4, 2.5);
        self.estimate = Some(estimate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_kept_by_what_is_near_and_forgotten_for_what_is_far() {
        let mut link = LinkCapacity::new();
        for bps in [1_000_000, 1_020_000, 990_000] {
            link.forget_unless_near(bps);
            link.overuse(bps);
        }
        assert!(link.estimate().unwrap().abs_diff(1_000_000) < 10_000);
        link.forget_if_below(500_000);
        assert!(link.estimate().is_some());
        link.forget_if_below(1_500_000);
        assert_eq!(link.estimate(), None);
    }
}
