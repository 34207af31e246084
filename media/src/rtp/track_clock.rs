//! The line between a track's RTP timestamps and our clocks.

use std::time::{Duration, Instant};

/// How long a minimum is trusted; two windows are kept.
const WINDOW: Duration = Duration::from_secs(4);
/// A change by more nanoseconds than this is a new time line, not jitter.
const JUMP: i64 = 1_000_000_000;

/// Estimates when each timestamp would have arrived on an idle network: the minimum of arrival minus
/// media time over the last 4 to 8 s. A minimum, because delay is only ever added.
#[derive(Clone, Copy, Debug)]
pub struct TrackClock {
    rate: u32,
    epoch: Option<Instant>,
    window_start: Instant,
    current: i64,
    previous: i64,
    /// By how much, in ns, the publisher's own clock puts samples later than their arrival does.
    shift: i64,
}

impl TrackClock {
    /// A clock for timestamps of `rate` ticks a second.
    pub fn new(rate: u32, now: Instant) -> TrackClock {
        TrackClock {
            rate,
            epoch: None,
            window_start: now,
            current: 0,
            previous: 0,
            shift: 0,
        }
    }

    /// Takes note that extended timestamp `timestamp` arrived at `now`.
    pub fn observe(&mut self, now: Instant, timestamp: u64) {
        let Some(epoch) = self.epoch else {
            self.epoch = Some(now);
            self.restart(now, timestamp);
            return;
        };
        let offset = nanos_between(epoch, now) - self.media_nanos(timestamp);
        let estimate = self.current.min(self.previous);
        if (offset - estimate).abs() > JUMP {
            self.restart(now, timestamp);
            return;
        }
        if now.saturating_duration_since(self.window_start) >= WINDOW {
            self.window_start = now;
            self.previous = self.current;
            self.current = offset;
        }
        self.current = self.current.min(offset);
    }

    /// The extended timestamp of the sample that is on the wire at `now`; `None` before the first
    /// packet.
    pub fn timestamp_at(&self, now: Instant) -> Option<u64> {
        let epoch = self.epoch?;
        let media = nanos_between(epoch, now) - self.current.min(self.previous) - self.shift;
        // To the nearest tick, so that what was rounded down on the way in comes out as it was.
        let ticks = (i128::from(media) * i128::from(self.rate) + 500_000_000) / 1_000_000_000;
        u64::try_from(ticks).ok()
    }

    /// When the sample with `timestamp` would have arrived on an idle network, or in time with the
    /// publisher's other streams; the inverse of [`TrackClock::timestamp_at`]. `None` before the first
    /// packet.
    pub fn instant_of(&self, timestamp: u64) -> Option<Instant> {
        self.after_epoch(self.arrives(timestamp) + self.shift)
    }

    /// The same, by arrivals alone.
    pub fn arrival_of(&self, timestamp: u64) -> Option<Instant> {
        self.after_epoch(self.arrives(timestamp))
    }

    /// Puts all samples later by so many nanoseconds than their arrival does.
    pub fn shift(&mut self, nanos: i64) {
        self.shift = nanos;
    }

    fn arrives(&self, timestamp: u64) -> i64 {
        self.media_nanos(timestamp) + self.current.min(self.previous)
    }

    fn after_epoch(&self, at: i64) -> Option<Instant> {
        let after = Duration::from_nanos(at.unsigned_abs());
        if at < 0 {
            self.epoch?.checked_sub(after)
        } else {
            self.epoch?.checked_add(after)
        }
    }

    fn restart(&mut self, now: Instant, timestamp: u64) {
        let elapsed = self.epoch.map_or(0, |epoch| nanos_between(epoch, now));
        self.window_start = now;
        self.current = elapsed - self.media_nanos(timestamp);
        self.previous = self.current;
        self.shift = 0;
    }

    fn media_nanos(&self, timestamp: u64) -> i64 {
        (i128::from(timestamp) * 1_000_000_000 / i128::from(self.rate)) as i64
    }
}

fn nanos_between(start: Instant, end: Instant) -> i64 {
    match end.checked_duration_since(start) {
        Some(after) => after.as_nanos() as i64,
        None => -(start.saturating_duration_since(end).as_nanos() as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_does_not_move_the_line() {
        let start = Instant::now();
        let mut clock = TrackClock::new(48_000, start);
        let first = 1u64 << 32;
        for packet in 0..2000u64 {
            let jitter = [0, 7, 3, 19][packet as usize % 4];
            let arrival = start + Duration::from_millis(20 * packet + jitter);
            clock.observe(arrival, first + 960 * packet);
            let there = clock.timestamp_at(arrival).unwrap();
            assert_eq!(there, first + 960 * packet + 48 * jitter);
            let sent = start + Duration::from_millis(20 * packet);
            assert_eq!(clock.instant_of(first + 960 * packet), Some(sent));
        }
    }

    #[test]
    fn samples_are_moved_by_what_the_publishers_clock_says() {
        let start = Instant::now();
        let mut clock = TrackClock::new(90_000, start);
        clock.observe(start, 1 << 32);
        clock.shift(-50_000_000);
        let before = start.checked_sub(Duration::from_millis(50)).unwrap();
        assert_eq!(clock.instant_of(1 << 32), Some(before));
        assert_eq!(clock.arrival_of(1 << 32), Some(start));
        assert_eq!(clock.timestamp_at(start), Some((1 << 32) + 4500));
    }

    #[test]
    fn a_restarted_source_gets_a_new_line() {
        let start = Instant::now();
        let mut clock = TrackClock::new(48_000, start);
        clock.observe(start, 1 << 32);
        let later = start + Duration::from_secs(1);
        clock.observe(later, 77);
        assert_eq!(clock.timestamp_at(later), Some(77));
    }
}
