//! What a link can carry, over time, and the queue in front of it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::Serialize;

/// Most changes of a schedule.
const MAX_STEPS: usize = 8;

/// Lowest and highest rate, bits a second.
const RATES: std::ops::RangeInclusive<u64> = 1_000..=10_000_000_000;

/// From a time on, a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Step {
    from: Duration,
    bits_per_second: u64,
}

/// Bits a second over time, written as `3M` or `3M@0s,300k@10s,3M@25s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateSchedule {
    /// In the order of time, the first at zero.
    steps: [Step; MAX_STEPS],
    len: usize,
}

/// Why a schedule cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseRateError {
    /// Not a rate.
    #[error("`{0}` is no rate between 1k and 10000M bits a second; write 300k or 3M")]
    Rate(String),
    /// Not a time.
    #[error("`{0}` is no time; write RATE@SECONDSs, e.g. 300k@10s")]
    Time(String),
    /// The times do not grow from zero.
    #[error("a schedule starts at 0s and its times grow, e.g. 3M@0s,300k@10s,3M@25s")]
    Order,
    /// Too many changes.
    #[error("a schedule has {MAX_STEPS} rates at most")]
    TooLong,
}

impl RateSchedule {
    /// One rate for ever.
    pub fn constant(bits_per_second: u64) -> Self {
        let mut steps = [Step::default(); MAX_STEPS];
        steps[0].bits_per_second = bits_per_second.max(*RATES.start());
        Self { steps, len: 1 }
    }

    /// The same schedule with a rate from a time on, which is later than those before.
    ///
    /// # Errors
    ///
    /// It is not later, or the schedule is full.
    pub fn then(
        mut self,
        from: Duration,
        bits_per_second: u64,
    ) -> Result<RateSchedule, ParseRateError> {
        if self.steps[self.len - 1].from >= from {
            return Err(ParseRateError::Order);
        }
        let step = self
            .steps
            .get_mut(self.len)
            .ok_or(ParseRateError::TooLong)?;
        *step = Step {
            from,
            bits_per_second: bits_per_second.max(*RATES.start()),
        };
        self.len += 1;
        Ok(self)
    }

    fn steps(&self) -> &[Step] {
        &self.steps[..self.len]
    }

    /// When so many bits have passed of which the first does at `from`.
    fn pass(&self, from: Duration, bits: f64) -> Duration {
        let (mut at, mut left) = (from, bits);
        let steps = self.steps();
        let first = steps.iter().rposition(|step| step.from <= at).unwrap_or(0);
        for (n, step) in steps.iter().enumerate().skip(first) {
            let rate = step.bits_per_second as f64;
            let needed = Duration::from_secs_f64(left / rate);
            match steps.get(n + 1) {
                Some(next) if at + needed > next.from => {
                    left -= (next.from - at).as_secs_f64() * rate;
                    at = next.from;
                }
                _ => return at + needed,
            }
        }
        at
    }
}

/// A rate, such as `300k` or `3M`.
pub(crate) fn parse_rate(text: &str) -> Result<u64, ParseRateError> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'M')) => (&text[..at], 1e6),
        _ => (text, 1.0),
    };
    let rate = digits.parse::<f64>().ok().map(|number| number * unit);
    rate.filter(|rate| rate.is_finite())
        .map(|rate| rate.round() as u64)
        .filter(|rate| RATES.contains(rate))
        .ok_or_else(|| ParseRateError::Rate(text.to_owned()))
}

fn parse_time(text: &str) -> Result<Duration, ParseRateError> {
    let seconds = text.strip_suffix('s').and_then(|text| text.parse().ok());
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| ParseRateError::Time(text.to_owned()))
}

impl FromStr for RateSchedule {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, ParseRateError> {
        let mut schedule = None;
        for step in text.split(',').map(str::trim) {
            let (rate, time) = match step.split_once('@') {
                Some((rate, time)) => (parse_rate(rate)?, parse_time(time)?),
                None => (parse_rate(step)?, Duration::ZERO),
            };
            schedule = Some(match schedule {
                None if time.is_zero() => Self::constant(rate),
                None => return Err(ParseRateError::Order),
                Some(before) => RateSchedule::then(before, time, rate)?,
            });
        }
        // Splitting gives at least one part.
        schedule.ok_or(ParseRateError::Order)
    }
}

impl fmt::Display for RateSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.steps().iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            let rate = match step.bits_per_second {
                rate if rate % 1_000_000 == 0 => format!("{}M", rate / 1_000_000),
                rate if rate % 1_000 == 0 => format!("{}k", rate / 1_000),
                rate => rate.to_string(),
            };
            write!(f, "{comma}{rate}@{}s", step.from.as_secs_f64())?;
        }
        Ok(())
    }
}

impl Serialize for RateSchedule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A wire of limited rate with a drop-tail queue in front of it.
#[derive(Debug, Clone)]
pub struct Bottleneck {
    rate: RateSchedule,
    queue: Duration,
    origin: Option<Instant>,
    /// When all that was taken has passed.
    free_at: Option<Instant>,
}

impl Bottleneck {
    /// An empty queue that holds what passes within `queue`.
    pub fn new(rate: RateSchedule, queue: Duration) -> Self {
        Self {
            rate,
            queue,
            origin: None,
            free_at: None,
        }
    }

    /// The schedule begins at `origin`; without this, at the first packet.
    pub fn start(&mut self, origin: Instant) {
        self.origin = Some(origin);
    }

    /// When the last bit of a packet has passed; none if the queue is full.
    pub fn pass(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let origin = *self.origin.get_or_insert(now);
        let start = self.free_at.map_or(now, |free| free.max(now));
        if start - now > self.queue {
            return None;
        }
        // Before the schedule begins its first rate holds.
        let (base, from) = match start.checked_duration_since(origin) {
            Some(from) => (origin, from),
            None => (start, Duration::ZERO),
        };
        let passed = base + self.rate.pass(from, bytes as f64 * 8.0);
        self.free_at = Some(passed);
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn schedules_are_read_as_they_are_written() {
        for text in ["3M@0s", "3M@0s,300k@10s,3M@25s", "1500k@0s,1234@0.5s"] {
            assert_eq!(text.parse::<RateSchedule>().unwrap().to_string(), text);
        }
        assert_eq!(
            "0.3M".parse::<RateSchedule>().unwrap(),
            RateSchedule::constant(300_000)
        );
    }

    #[test]
    fn what_is_no_schedule_is_explained() {
        for (text, part) in [
            ("", "is no rate"),
            ("fast", "is no rate"),
            ("-3M", "is no rate"),
            ("NaN", "is no rate"),
            ("3M@10", "is no time"),
            ("3M@-1s", "is no time"),
            ("3M@1s", "starts at 0s"),
            ("3M,300k@5s,3M@5s", "times grow"),
            (
                "1M,1M@1s,1M@2s,1M@3s,1M@4s,1M@5s,1M@6s,1M@7s,1M@8s",
                "at most",
            ),
        ] {
            let error = text.parse::<RateSchedule>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_packet_that_spans_a_change_takes_both_rates() {
        let schedule: RateSchedule = "1M@0s,100k@1s".parse().unwrap();
        // Half of it in the last 50 ms of the fast second, half in 500 ms of the slow.
        assert_eq!(schedule.pass(seconds(0.95), 100_000.0), seconds(1.5));
        assert_eq!(schedule.pass(seconds(0.5), 100_000.0), seconds(0.6));
        assert_eq!(schedule.pass(seconds(2.0), 100_000.0), seconds(3.0));
    }

    #[test]
    fn a_full_queue_drops_its_tail_and_drains_at_the_rate() {
        let start = Instant::now();
        let mut narrow = Bottleneck::new(RateSchedule::constant(80_000), seconds(0.3));
        // 100 ms each: one on the wire and three that wait.
        let passed = (0..6).map(|_| narrow.pass(start, 1000)).collect::<Vec<_>>();
        let at = |s: f64| Some(start + seconds(s));
        assert_eq!(passed, [at(0.1), at(0.2), at(0.3), at(0.4), None, None]);
        assert_eq!(narrow.pass(start + seconds(0.25), 1000), at(0.5));
        assert_eq!(narrow.pass(start + seconds(2.0), 1000), at(2.1));
    }

    #[test]
    fn a_schedule_begins_when_it_is_started() {
        let start = Instant::now();
        let mut link = Bottleneck::new("8M@0s,8k@1s".parse().unwrap(), seconds(1.0));
        assert_eq!(
            link.pass(start + seconds(5.0), 1000),
            Some(start + seconds(5.001))
        );
        link.start(start + seconds(10.0));
        assert_eq!(
            link.pass(start + seconds(9.0), 1000),
            Some(start + seconds(9.001))
        );
        assert_eq!(
            link.pass(start + seconds(12.0), 1000),
            Some(start + seconds(13.0))
        );
    }
}
