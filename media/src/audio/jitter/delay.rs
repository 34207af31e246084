//! How long to wait for a packet: the target delay, from the delays observed lately.

use std::collections::VecDeque;

/// Observations kept, and for how long (48 kHz samples).
const WINDOW: usize = 256;
const SPAN: i64 = 5 * 48_000;

/// What one per cent of packets coming too late is worth, in delay (48 kHz samples): 10 ms.
const COST_OF_ONE_PERCENT: i64 = 480;

/// Observations needed before they are trusted alone.
const ENOUGH: usize = 10;

/// Added to the best target: delays slightly over all those of the window keep coming, the more
/// so when the sender's clock drifts. 3 ms.
const MARGIN: i64 = 144;

/// Target before anything is known: 40 ms.
const FIRST_TARGET: i64 = 1_920;

/// Measures each packet's transit (arrival minus timestamp, so up to a constant) against the
/// fastest of the last five seconds, and chooses the target that minimises `delay + 10 ms × per
/// cent of packets later than it`: the rule of NetEQ's reorder optimiser (WebRTC,
/// `modules/audio_coding/neteq/reorder_optimizer.cc`). A plain high percentile would chase
/// retransmissions, which come a round trip late, as soon as loss exceeds its complement.
///
/// The window's minimum follows a sender whose clock runs at another speed.
#[derive(Debug)]
pub(super) struct DelayEstimator {
    /// (arrival, transit), oldest first.
    window: VecDeque<(i64, i64)>,
    sorted: Vec<i64>,
    base: i64,
    target: i64,
    min: i64,
    max: i64,
}

impl DelayEstimator {
    pub(super) fn new(min: i64, max: i64) -> DelayEstimator {
        let max = max.max(min);
        DelayEstimator {
            window: VecDeque::with_capacity(WINDOW),
            sorted: Vec::with_capacity(WINDOW),
            base: 0,
            target: FIRST_TARGET.clamp(min, max),
            min,
            max,
        }
    }

    /// Forgets the delays, not the target: jitter belongs to the path more than to the source.
    pub(super) fn restart(&mut self) {
        self.window.clear();
    }

    pub(super) fn observe(&mut self, arrival: i64, timestamp: i64) {
        if self.window.len() >= WINDOW {
            self.window.pop_front();
        }
        self.window.push_back((arrival, arrival - timestamp));
        while let Some(&(oldest, _)) = self.window.front()
            && arrival - oldest > SPAN
        {
            self.window.pop_front();
        }
        self.base = self
            .window
            .iter()
            .map(|&(_, transit)| transit)
            .min()
            .unwrap_or(0);
        if self.window.len() < ENOUGH {
            return;
        }
        self.sorted.clear();
        self.sorted
            .extend(self.window.iter().map(|&(_, transit)| transit - self.base));
        self.sorted.sort_unstable();
        let count = self.sorted.len() as i64;
        let best = self
            .sorted
            .iter()
            .enumerate()
            .min_by_key(|&(index, &delay)| {
                let later = count - 1 - index as i64;
                delay.saturating_add(later * 100 * COST_OF_ONE_PERCENT / count)
            })
            .map_or(self.target, |(_, &delay)| delay);
        self.target = best.saturating_add(MARGIN).clamp(self.min, self.max);
    }

    /// Transit of the fastest recent packet.
    pub(super) fn base(&self) -> i64 {
        self.base
    }

    /// How much slower than the fastest a packet may be, 48 kHz samples.
    pub(super) fn target(&self) -> i64 {
        self.target
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    fn run(delays: impl Iterator<Item = i64>) -> DelayEstimator {
        let mut estimator = DelayEstimator::new(960, 9_600);
        for (n, delay) in delays.enumerate() {
            let sent = n as i64 * 960;
            estimator.observe(sent + delay, sent);
        }
        estimator
    }

    #[test]
    fn uniform_jitter_is_covered_and_no_more() {
        let mut rng = StdRng::seed_from_u64(3);
        let target = run((0..500).map(|_| rng.random_range(0..2_880))).target();
        assert!((2_640..=2_880 + MARGIN).contains(&target), "{target}");
    }

    #[test]
    fn a_few_retransmissions_are_not_waited_for() {
        let mut rng = StdRng::seed_from_u64(4);
        let target =
            run((0..500).map(|n| rng.random_range(0..960) + if n % 33 == 0 { 8_000 } else { 0 }))
                .target();
        assert!(target <= 960 + MARGIN, "{target}");
    }

    #[test]
    fn a_skewed_clock_moves_the_base() {
        // 1,000 ppm for 60 s: the transit has grown by 60 ms, the target has not.
        let estimator = run((0..3_000).map(|n| n * 960 / 1_000));
        assert!(estimator.base() > 2_400, "{}", estimator.base());
        assert_eq!(estimator.target(), 960);
    }

    #[test]
    fn absurd_delays_are_clamped() {
        let estimator = run((0..300).map(|n| if n % 2 == 0 { 14_400 } else { 0 }));
        assert_eq!(estimator.target(), 9_600);
        let estimator = run((0..300).map(|n| if n % 2 == 0 { i64::MAX / 2 } else { 0 }));
        assert!((960..=9_600).contains(&estimator.target()));
    }
}
