//! Bits a second over the last half second of some clock.

/// How many buckets of time are kept.
const BUCKETS: i64 = 10;
/// How long each is, in µs.
const BUCKET: i64 = 50_000;
/// The shortest time that a rate is told of, in µs.
const MIN_SPAN: i64 = 150_000;

/// A sliding window over bytes at times in µs. Times may be out of order.
#[derive(Clone, Debug, Default)]
pub(super) struct RateWindow {
    bytes: [u64; BUCKETS as usize],
    /// The first time of an unbroken series.
    since: i64,
    /// The latest time.
    latest: Option<i64>,
}

impl RateWindow {
    /// Counts `bytes` at time `at`. After a silence as long as the window, or a clock that jumped
    /// back, counting begins anew.
    pub(super) fn add(&mut self, at: i64, bytes: usize) {
        let bucket = bucket(at);
        let newest = match self.latest.map(self::bucket) {
            Some(newest) if (-4 * BUCKETS..BUCKETS).contains(&(bucket - newest)) => newest,
            // What comes first marks the time from which the others are counted.
            _ => {
                *self = RateWindow {
                    since: at,
                    latest: Some(at),
                    ..RateWindow::default()
                };
                return;
            }
        };
        for emptied in newest + 1..=bucket {
            self.bytes[slot(emptied)] = 0;
        }
        if bucket > newest - BUCKETS {
            self.bytes[slot(bucket)] += bytes as u64;
        }
        self.latest = self.latest.max(Some(at));
    }

    /// The rate at `now` or at the latest time, whichever is later. `None` before there is enough to
    /// tell, and once the window is empty.
    pub(super) fn rate(&self, now: i64) -> Option<u64> {
        let latest = self.latest?;
        let now = now.max(latest);
        let (newest, oldest) = (bucket(latest), bucket(now) - BUCKETS + 1);
        if newest < oldest {
            return None;
        }
        let bytes: u64 = (oldest..=newest).map(|at| self.bytes[slot(at)]).sum();
        let span = now - self.since.max(oldest * BUCKET);
        (span >= MIN_SPAN).then(|| bytes * 8_000_000 / span as u64)
    }
}

fn bucket(at: i64) -> i64 {
    at.div_euclid(BUCKET)
}

fn slot(bucket: i64) -> usize {
    bucket.rem_euclid(BUCKETS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_has_its_rate_from_the_start() {
        let mut window = RateWindow::default();
        for packet in 0..200 {
            window.add(packet * 10_000 - 777_777, 1250);
            match window.rate(i64::MIN) {
                Some(rate) => assert!(rate.abs_diff(1_000_000) <= 30_000, "{packet}: {rate}"),
                None => assert!(packet < 15),
            }
        }
    }

    #[test]
    fn forgets_what_is_old_and_starts_anew_after_a_silence() {
        let mut window = RateWindow::default();
        for packet in 0..100 {
            window.add(packet * 10_000, 1250);
        }
        assert!(window.rate(1_240_000).unwrap() < 600_000);
        assert_eq!(window.rate(2_000_000), None);
        window.add(60_000_000, 100_000);
        assert_eq!(window.rate(60_000_000), None);
        window.add(60_200_000, 2500);
        assert_eq!(window.rate(60_200_000), Some(100_000));
        // Out of order, and far too late.
        window.add(60_100_000, 2500);
        window.add(59_000_000, 2500);
        assert_eq!(window.rate(60_200_000), Some(200_000));
        // Another clock.
        window.add(0, 2500);
        window.add(200_000, 2500);
        assert_eq!(window.rate(200_000), Some(100_000));
    }
}
