//! RTP timestamps that go on over switches of streams as time does.

use std::time::Instant;

use super::codec::VIDEO_CLOCK;

/// One stream's timestamps, made of those of the streams behind it.
///
/// Simulcast streams have unrelated timestamps, so what they have in common is when each was
/// captured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline {
    last: u32,
    /// When the frame of `last` was captured; `None` before the first.
    captured: Option<Instant>,
    /// Added to an incoming timestamp.
    shift: u32,
    /// How far the timestamps run ahead of time, because they may not go back.
    lead: i64,
}

impl Timeline {
    /// Starts at `first`.
    pub(super) fn new(first: u32) -> Timeline {
        Timeline {
            last: first,
            captured: None,
            shift: 0,
            lead: 0,
        }
    }

    /// Goes on with another stream, whose frame with `timestamp` was captured at `captured`.
    pub(super) fn start(&mut self, timestamp: u32, captured: Instant) {
        let mut next = self.last;
        if let Some(before) = self.captured {
            let due = ticks_between(before, captured) - self.lead;
            let step = due.max(1);
            self.lead = step - due;
            next = next.wrapping_add(step as u32);
        }
        self.shift = next.wrapping_sub(timestamp);
    }

    /// The outgoing timestamp of a frame of the present stream.
    pub(super) fn map(&self, timestamp: u32) -> u32 {
        timestamp.wrapping_add(self.shift)
    }

    /// Takes note that a frame was sent.
    pub(super) fn sent(&mut self, timestamp: u32, captured: Instant) {
        let ahead = timestamp.wrapping_sub(self.last) as i32;
        if ahead > 0 || self.captured.is_none() {
            self.last = timestamp;
            self.captured = Some(captured);
        }
    }

    /// The newest timestamp sent.
    pub(super) fn last(&self) -> u32 {
        self.last
    }
}

/// Ticks of the video clock from `start` to `end`, negative if it is before.
fn ticks_between(start: Instant, end: Instant) -> i64 {
    let ticks = |micros: u128| (micros * u128::from(VIDEO_CLOCK) / 1_000_000) as i64;
    match end.checked_duration_since(start) {
        Some(after) => ticks(after.as_micros()),
        None => -ticks(start.saturating_duration_since(end).as_micros()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_frame_from_before_the_last_one_does_not_shift_the_time_for_good() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timeline = Timeline::new(u32::MAX - 10);
        timeline.start(5000, at(0));
        assert_eq!(timeline.map(5000), u32::MAX - 10);
        timeline.sent(timeline.map(5000), at(0));
        timeline.sent(timeline.map(5000 + 9000), at(100));
        assert_eq!(timeline.last(), 8989);

        // Captured 40 ms before what was sent last: one tick on, 3601 ahead of time.
        timeline.start(70_000, at(60));
        assert_eq!(timeline.map(70_000), 8990);
        timeline.sent(8990, at(60));
        timeline.sent(timeline.map(79_000), at(160));

        // The next switch makes up for it.
        timeline.start(100, at(260));
        assert_eq!(timeline.map(100), 8989 + 160 * 90);
    }
}
