//! How often a stream of video has frames.

use std::time::{Duration, Instant};

/// A longer time without a frame is a pause.
const PAUSE: Duration = Duration::from_secs(5);

/// The smoothed time between two frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    last: Option<(Instant, u32)>,
    interval: Option<Duration>,
}

impl Pace {
    /// Takes note of a packet; those of one frame have the same RTP timestamp.
    pub fn packet(&mut self, now: Instant, timestamp: u32) {
        let Some((at, last)) = self.last else {
            self.last = Some((now, timestamp));
            return;
        };
        if last == timestamp {
            return;
        }
        let elapsed = now.saturating_duration_since(at);
        if elapsed < PAUSE {
            let interval = self.interval.unwrap_or(elapsed);
            self.interval = Some((interval * 3 + elapsed) / 4);
        }
        self.last = Some((now, timestamp));
    }

    /// The time between two frames, once there were two.
    pub fn interval(&self) -> Option<Duration> {
        self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_count_and_neither_their_packets_nor_pauses() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        assert_eq!(pace.interval(), None);
        for frame in 0..20 {
            if frame == 10 {
                now += PAUSE;
            }
            for _ in 0..3 {
                pace.packet(now, frame * 3000);
            }
            now += Duration::from_millis(333);
        }
        assert_eq!(pace.interval(), Some(Duration::from_millis(333)));
    }
}
