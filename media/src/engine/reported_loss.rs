//! What receiver reports tell of the way to a subscriber that gives no transport-wide feedback
//! (draft-ietf-rmcat-gcc-02 §6).

use std::time::Instant;

use crate::rtp::meter::Meter;

/// More loss than this is congestion.
const HIGH: f64 = 0.10;
/// Less loss than this is none.
const LOW: f64 = 0.02;
/// Growth of the bound with each report of no loss; they come about once a second.
const INCREASE: f64 = 1.05;
/// Above this there is no bound, in bit/s.
const UNBOUNDED: f64 = 20_000_000.0;

/// Bounds what a subscriber is sent by the loss that it reports.
#[derive(Debug, Default)]
pub(super) struct ReportedLoss {
    sent: Meter,
    /// The sum of the fractions reported since they were looked at, and of how many streams.
    reported: (f64, u32),
    /// So that one bad second is not taken for a narrow way.
    smoothed: f64,
    /// Whether the next report tells of what was sent before the bound was lowered.
    settling: bool,
    bound: Option<f64>,
}

impl ReportedLoss {
    /// Takes note of video that was sent.
    pub(super) fn sent(&mut self, now: Instant, bytes: usize) {
        self.sent.add(now, bytes);
    }

    /// Takes note of a report on a stream of video: the fraction lost, in 1/256.
    pub(super) fn report(&mut self, fraction_lost: u8) {
        self.reported.0 += f64::from(fraction_lost) / 256.0;
        self.reported.1 += 1;
    }

    /// Goes by what was reported since the last time. Gives whether that was too much loss.
    pub(super) fn update(&mut self, now: Instant) -> bool {
        let (sum, streams) = std::mem::take(&mut self.reported);
        if streams == 0 {
            return false;
        }
        if std::mem::take(&mut self.settling) {
            return false;
        }
        let fraction = sum / f64::from(streams);
        self.smoothed = (self.smoothed + fraction) / 2.0;
        if self.smoothed.min(fraction) > HIGH {
            let sent = self
                .sent
                .rate(now)
                .map_or(f64::INFINITY, |rate| rate as f64);
            let before = self.bound.unwrap_or(UNBOUNDED);
            self.bound = Some(before.min(sent) * (1.0 - self.smoothed / 2.0));
            (self.smoothed, self.settling) = (0.0, true);
            return true;
        }
        if self.smoothed < LOW {
            let bound = self.bound.map(|bound| bound * INCREASE);
            self.bound = bound.filter(|bound| *bound < UNBOUNDED);
        }
        false
    }

    /// What may be sent, in bit/s, as far as it is known.
    pub(super) fn bound(&self) -> Option<u64> {
        self.bound.map(|bound| bound as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn much_loss_for_long_bounds_what_is_sent_until_there_is_none() {
        let start = Instant::now();
        let mut loss = ReportedLoss::default();
        let mut second = 0;
        let mut step = |loss: &mut ReportedLoss, fraction| {
            for packet in 0..100 {
                let at = start + Duration::from_millis(1000 * second + 10 * packet);
                loss.sent(at, 1250);
            }
            second += 1;
            loss.report(fraction);
            loss.update(start + Duration::from_secs(second))
        };
        assert!(!step(&mut loss, 0));
        // A bad second.
        assert!(!step(&mut loss, 40));
        for _ in 0..3 {
            assert!(!step(&mut loss, 0));
        }
        assert_eq!(loss.bound(), None);
        assert!(!step(&mut loss, 45) && step(&mut loss, 45));
        let bound = loss.bound().unwrap();
        assert!((850_000..1_000_000).contains(&bound), "{bound}");
        // This tells of what was sent before.
        assert!(!step(&mut loss, 200));
        for _ in 0..80 {
            assert!(!step(&mut loss, 0));
        }
        assert_eq!(loss.bound(), None);
    }
}
