//! Whether delay grows: the trendline and the overuse detector of libwebrtc
//! (`modules/congestion_controller/goog_cc/trendline_estimator.cc`).

use std::collections::VecDeque;

use super::groups::Sample;

/// Groups a trend is taken over.
const WINDOW: usize = 20;
/// Share of the old value in the smoothed delay.
const SMOOTHING: f64 = 0.9;
/// The trend is compared to the threshold multiplied by this and by the number of groups …
const GAIN: f64 = 4.0;
/// … up to this many.
const MAX_GROUPS: u32 = 60;
/// How many groups at each end of the window have their delays compared to cap the trend.
const CAP_GROUPS: usize = 7;

/// How many groups are the last ones when it is asked whether a queue drains.
const DRAIN_GROUPS: usize = 3;
/// A trend has to rise this many times above what delays differ by from one group to the next.
const NOISE: f64 = 2.0;

/// The threshold that adapts (draft-ietf-rmcat-gcc-02 §5.4), in ms, and its bounds.
const THRESHOLD: f64 = 12.5;
const MIN_THRESHOLD: f64 = 6.0;
const MAX_THRESHOLD: f64 = 600.0;
/// How fast it follows a larger and a smaller trend, per ms.
const THRESHOLD_UP: f64 = 0.0087;
const THRESHOLD_DOWN: f64 = 0.039;
/// A trend further beyond than this is no reason to adapt.
const MAX_ADAPT: f64 = 15.0;
/// Overuse has to last for this long, in ms.
const OVERUSE_TIME: f64 = 10.0;

/// What the delay says of the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Usage {
    /// Delay shrinks: a queue drains.
    Under,
    #[default]
    Normal,
    /// Delay grows.
    Over,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    /// Arrival, in ms.
    arrival: f64,
    delay: f64,
    smoothed: f64,
}

/// The overuse detector.
#[derive(Debug)]
pub(super) struct Trendline {
    usage: Usage,
    points: VecDeque<Point>,
    /// Arrival and delay of the first group, in µs: the origin.
    first: Option<(i64, i64)>,
    smoothed: f64,
    /// By how much delays differ from one group to the next, in ms.
    noise: f64,
    groups: u32,
    threshold: f64,
    /// When the threshold was adapted, in ms.
    adapted: Option<f64>,
    before: f64,
    /// For how long the trend has been above the threshold, in ms, and for how many groups.
    over: Option<(f64, u32)>,
}

impl Trendline {
    pub(super) fn new() -> Trendline {
        Trendline {
            usage: Usage::Normal,
            points: VecDeque::with_capacity(WINDOW),
            first: None,
            smoothed: 0.0,
            noise: 0.0,
            groups: 0,
            threshold: THRESHOLD,
            adapted: None,
            before: 0.0,
            over: None,
        }
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    /// By how much delays differ from one group to the next, in µs.
    pub(super) fn noise(&self) -> i64 {
        (self.noise * 1000.0) as i64
    }

    /// Takes note of the delay of the next group.
    pub(super) fn update(&mut self, sample: Sample) {
        let (first_arrival, first_delay) =
            *self.first.get_or_insert((sample.arrival, sample.delay));
        self.groups = (self.groups + 1).min(MAX_GROUPS);
        let arrival = (sample.arrival - first_arrival) as f64 / 1000.0;
        let delay = (sample.delay - first_delay) as f64 / 1000.0;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * delay;
        if self.points.len() == WINDOW {
            self.points.pop_front();
        }
        self.points.push_back(Point {
            arrival,
            delay,
            smoothed: self.smoothed,
        });
        let trend = if self.points.len() == WINDOW {
            self.trend().unwrap_or(self.before)
        } else {
            self.before
        };
        self.detect(trend, sample.sent_after as f64 / 1000.0, arrival);
    }

    /// The slope of the smoothed delays, in ms a ms: linear least squares. It is not steeper than
    /// from the shortest of the first delays to the shortest of the last (which libwebrtc calls the
    /// slope cap), less [`NOISE`] (which is ours): jitter and a few late packets make no trend.
    fn trend(&mut self) -> Option<f64> {
        let count = self.points.len() as f64;
        let next = self.points.iter().skip(1);
        let steps = self
            .points
            .iter()
            .zip(next)
            .map(|(a, b)| (b.delay - a.delay).abs());
        self.noise = steps.sum::<f64>() / (count - 1.0);
        let (sum_x, sum_y) = self.points.iter().fold((0.0, 0.0), |(x, y), point| {
            (x + point.arrival, y + point.smoothed)
        });
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let (numerator, denominator) = self.points.iter().fold((0.0, 0.0), |(n, d), point| {
            let x = point.arrival - mean_x;
            (n + x * (point.smoothed - mean_y), d + x * x)
        });
        let slope = (denominator > 0.0).then(|| numerator / denominator)?;
        let shortest = |a: Point, b: Point| if b.delay < a.delay { b } else { a };
        let early = self
            .points
            .iter()
            .copied()
            .take(CAP_GROUPS)
            .reduce(shortest)?;
        let late = self
            .points
            .iter()
            .rev()
            .copied()
            .take(CAP_GROUPS)
            .reduce(shortest)?;
        let between = late.arrival - early.arrival;
        if slope > 0.0 && between >= 1.0 {
            let rise = late.delay - early.delay - NOISE * self.noise;
            return Some(slope.min((rise / between).max(0.0)));
        }
        Some(slope)
    }

    fn detect(&mut self, trend: f64, sent_after: f64, now: f64) {
        if self.groups < 2 {
            return;
        }
        let modified = f64::from(self.groups) * trend * GAIN;
        if modified > self.threshold && self.drains() {
            self.over = None;
            self.usage = Usage::Under;
        } else if modified > self.threshold {
            let (time, count) = match self.over {
                None => (sent_after / 2.0, 1),
                Some((time, count)) => (time + sent_after, count + 1),
            };
            self.over = Some((time, count));
            if time > OVERUSE_TIME && count > 1 && trend >= self.before {
                self.over = Some((0.0, 0));
                self.usage = Usage::Over;
            }
        } else {
            self.over = None;
            self.usage = if modified < -self.threshold {
                Usage::Under
            } else {
                Usage::Normal
            };
        }
        self.before = trend;
        self.adapt(modified, now);
    }

    /// Whether the last delays are shorter than those before, by more than they differ anyway: what a
    /// stalled link held back passes at last. The smoothed delays still rise then.
    fn drains(&self) -> bool {
        let longest = |count| {
            let last = self.points.iter().rev().take(count);
            last.map(|point| point.delay).fold(f64::MIN, f64::max)
        };
        longest(DRAIN_GROUPS) + self.noise < longest(WINDOW)
    }

    fn adapt(&mut self, modified: f64, now: f64) {
        let elapsed = now - self.adapted.replace(now).unwrap_or(now);
        if modified.abs() > self.threshold + MAX_ADAPT {
            return;
        }
        let rate = if modified.abs() < self.threshold {
            THRESHOLD_DOWN
        } else {
            THRESHOLD_UP
        };
        let step = rate * (modified.abs() - self.threshold) * elapsed.clamp(0.0, 100.0);
        self.threshold = (self.threshold + step).clamp(MIN_THRESHOLD, MAX_THRESHOLD);
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    /// Feeds groups 20 ms apart with these delays, in ms; returns the usages seen.
    fn feed(trendline: &mut Trendline, delays: impl IntoIterator<Item = f64>) -> Vec<Usage> {
        let mut sent = 0;
        let mut seen = Vec::new();
        for delay in delays {
            let delay = (delay * 1000.0) as i64;
            trendline.update(Sample {
                sent_after: 20_000,
                arrival: sent + delay,
                delay,
            });
            sent += 20_000;
            if seen.last() != Some(&trendline.usage()) {
                seen.push(trendline.usage());
            }
        }
        seen
    }

    #[test]
    fn a_growing_queue_is_overuse_and_a_draining_one_underuse() {
        let mut trendline = Trendline::new();
        let level = (0..60).map(|_| 30.0);
        let grows = (0..20).map(|n| 30.0 + 8.0 * f64::from(n));
        let drains = (0..20).map(|n| 190.0 - 8.0 * f64::from(n));
        let still = (0..60).map(|_| 30.0);
        let delays = level.chain(grows).chain(drains).chain(still);
        assert_eq!(
            feed(&mut trendline, delays),
            [
                Usage::Normal,
                Usage::Over,
                Usage::Normal,
                Usage::Under,
                Usage::Normal
            ]
        );
    }

    #[test]
    fn jitter_drift_stalls_and_keyframes_are_not_overuse() {
        let mut random = StdRng::seed_from_u64(2);
        let jitter: Vec<f64> = (0..20_000)
            .map(|_| random.random_range(0.0..60.0))
            .collect();
        let drift = (0..5_000).map(|n| f64::from(n) * 20.0 * 1e-4);
        // Held back for 100 ms, which a link with some room to spare takes as long to make up for.
        let stalls = (0..1_000).map(|n| (110.0 - 8.0 * f64::from(n % 60)).max(30.0));
        // Twice a second, 80 ms of queue that drain over four groups.
        let keyframes = (0..1_000).map(|n| (30.0 - f64::from(n % 25)).max(26.0) * 20.0 - 520.0);
        for delays in [
            jitter,
            drift.collect(),
            stalls.collect(),
            keyframes.collect(),
        ] {
            let mut trendline = Trendline::new();
            assert!(!feed(&mut trendline, delays).contains(&Usage::Over));
        }
    }

    #[test]
    fn absurd_delays_leave_sound_numbers() {
        let mut random = StdRng::seed_from_u64(2);
        let mut trendline = Trendline::new();
        for _ in 0..10_000 {
            trendline.update(Sample {
                sent_after: random.random_range(0..1 << 40),
                arrival: random.random_range(-(1 << 50)..1 << 50),
                delay: random.random_range(-(1 << 50)..1 << 50),
            });
            assert!(trendline.threshold.is_finite() && trendline.smoothed.is_finite());
        }
    }
}
