//! Additive increase, multiplicative decrease by what the delay says
//! (draft-ietf-rmcat-gcc-02 §5.5; libwebrtc, `aimd_rate_control.cc`).

use std::time::Duration;

use super::link_capacity::LinkCapacity;
use super::trendline::Usage;

/// Overuse leaves this share of what arrives.
const DECREASE: f64 = 0.85;
/// Overuse while little is sent leaves at least this share of the estimate: how much arrives says
/// little of the link then.
const IDLE_DECREASE: f64 = 0.7;
/// Growth a second, far from the rate at which the link was full.
const INCREASE: f64 = 1.08;
/// Growth a second near it, at least, in bit/s.
const MIN_ADDITIVE: f64 = 4_000.0;
/// The estimate grows no further than this many times what arrives …
pub(super) const MAX_AHEAD: f64 = 1.5;
/// … and this much, in bit/s.
pub(super) const AHEAD: f64 = 10_000.0;
/// Time between two decreases is a round trip within these, in µs.
const MIN_PAUSE: i64 = 10_000;
const MAX_PAUSE: i64 = 200_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Hold,
    Increase,
}

/// What is known when the rate is decided on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    pub(super) usage: Usage,
    /// What arrives, in bit/s.
    pub(super) acknowledged: Option<u64>,
    /// Whether much less is sent than the estimate.
    pub(super) idle: bool,
    pub(super) rtt: Duration,
}

/// The delay-based estimate.
#[derive(Debug)]
pub(super) struct RateControl {
    rate: f64,
    state: State,
    link: LinkCapacity,
    changed: i64,
    decreased: Option<i64>,
}

impl RateControl {
    pub(super) fn new(now: i64, start_bps: u64) -> RateControl {
        RateControl {
            rate: start_bps as f64,
            state: State::Hold,
            link: LinkCapacity::new(),
            changed: now,
            decreased: None,
        }
    }

    /// The estimate in bit/s.
    pub(super) fn rate(&self) -> u64 {
        self.rate as u64
    }

    /// Sets the estimate to what a probe measured.
    pub(super) fn probed(&mut self, now: i64, bps: u64) {
        self.link.forget_if_below(bps);
        self.link.probed(bps);
        self.set(now, bps as f64);
    }

    /// Sets the estimate.
    pub(super) fn set(&mut self, now: i64, bps: f64) {
        self.rate = bps;
        self.changed = now;
    }

    /// Decides anew. Returns whether the estimate was decreased.
    pub(super) fn update(&mut self, now: i64, observed: Observation) -> bool {
        match observed.usage {
            Usage::Over => return self.decrease(now, observed),
            Usage::Under => self.state = State::Hold,
            Usage::Normal => {
                if self.state == State::Hold {
                    self.state = State::Increase;
                    self.changed = now;
                }
                self.increase(now, observed);
            }
        }
        false
    }

    fn decrease(&mut self, now: i64, observed: Observation) -> bool {
        self.state = State::Hold;
        let acknowledged = observed.acknowledged.map_or(self.rate, |bps| bps as f64);
        let pause = (observed.rtt.as_micros() as i64).clamp(MIN_PAUSE, MAX_PAUSE);
        let soon = self.decreased.is_some_and(|at| now - at < pause);
        if soon && (observed.idle || acknowledged > self.rate / 2.0) {
            return false;
        }
        let mut target = acknowledged * DECREASE;
        if target > self.rate
            && let Some(link) = self.link.estimate()
        {
            target = link as f64 * DECREASE;
        }
        if observed.idle {
            target = target.max(self.rate * IDLE_DECREASE);
        } else {
            self.link.forget_unless_near(acknowledged as u64);
            self.link.overuse(acknowledged as u64);
        }
        let rate = target.min(self.rate);
        self.set(now, rate);
        self.decreased = Some(now);
        true
    }

    fn increase(&mut self, now: i64, observed: Observation) {
        let Some(acknowledged) = observed.acknowledged else {
            self.changed = now;
            return;
        };
        self.link.forget_if_below(acknowledged);
        let elapsed = ((now - self.changed) as f64 / 1e6).clamp(0.0, 1.0);
        let step = match self.link.estimate() {
            Some(_) => self.additive(observed.rtt) * elapsed,
            None => (self.rate * (INCREASE.powf(elapsed) - 1.0)).max(1000.0 * elapsed),
        };
        let most = acknowledged as f64 * MAX_AHEAD + AHEAD;
        let mut rate = (self.rate + step).min(most.max(self.rate));
        // The rate to begin with was a guess. What arrives before the link was ever found full is not.
        if self.decreased.is_none() {
            rate = rate.max(acknowledged as f64);
        }
        self.set(now, rate);
    }

    /// Bit/s a second: about one packet in a round trip and the time that overuse takes to be seen.
    fn additive(&self, rtt: Duration) -> f64 {
        let frame = self.rate / 30.0;
        let packet = frame / (frame / (1200.0 * 8.0)).ceil().max(1.0);
        let response = (rtt + Duration::from_millis(100)).as_secs_f64() * 2.0;
        (packet / response).max(MIN_ADDITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Observation = Observation {
        usage: Usage::Normal,
        acknowledged: Some(1_000_000),
        idle: false,
        rtt: Duration::from_millis(50),
    };

    #[test]
    fn grows_by_8_percent_a_second_and_no_further_than_what_arrives_allows() {
        let mut control = RateControl::new(0, 1_000_000);
        for at in 0..=10 {
            control.update(at * 100_000, QUIET);
        }
        assert!(control.rate().abs_diff(1_080_000) < 2_000);
        for at in 10..1000 {
            control.update(at * 100_000, QUIET);
        }
        assert_eq!(control.rate(), 1_510_000);
        let none = Observation {
            acknowledged: None,
            ..QUIET
        };
        control.update(200_000_000, none);
        assert_eq!(control.rate(), 1_510_000);
    }

    #[test]
    fn what_arrives_in_time_corrects_the_guess_that_was_begun_with() {
        let mut control = RateControl::new(0, 100_000);
        control.update(100_000, QUIET);
        assert_eq!(control.rate(), 1_000_000);
        let over = Observation {
            usage: Usage::Over,
            ..QUIET
        };
        control.update(200_000, over);
        assert_eq!(control.rate(), 850_000);
        // A queue that drains is no faster link.
        control.update(300_000, QUIET);
        assert!(control.rate() < 900_000);
    }

    #[test]
    fn overuse_leaves_85_percent_of_what_arrives_once_in_a_round_trip() {
        let mut control = RateControl::new(0, 1_500_000);
        let over = Observation {
            usage: Usage::Over,
            ..QUIET
        };
        assert!(control.update(100_000, over));
        assert_eq!(control.rate(), 850_000);
        let less = Observation {
            acknowledged: Some(800_000),
            ..over
        };
        assert!(!control.update(120_000, less));
        assert!(control.update(160_000, less));
        assert_eq!(control.rate(), 680_000);
        // Far less arrives than was thought: no time to wait.
        let far_less = Observation {
            acknowledged: Some(200_000),
            ..over
        };
        assert!(control.update(170_000, far_less));
        assert_eq!(control.rate(), 170_000);
    }

    #[test]
    fn a_false_alarm_while_little_is_sent_costs_no_more_than_30_percent() {
        let mut control = RateControl::new(0, 3_000_000);
        let idle = Observation {
            usage: Usage::Over,
            acknowledged: Some(150_000),
            idle: true,
            ..QUIET
        };
        assert!(control.update(100_000, idle));
        assert_eq!(control.rate(), 2_100_000);
        assert!(!control.update(110_000, idle));
    }
}
