//! What the benchmark counts: shared by all clients, cheap to update.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::score::summary::Summary;

/// Buckets of the latency histogram: 10 µs wide, up to 1 s.
const BUCKETS: usize = 100_000;

/// Width of a bucket, µs.
const WIDTH_US: u64 = 10;

/// Counters of a run. Only packets sent within the measured window count, on both sides, so that
/// nothing in flight at its edges is taken for loss.
pub(super) struct Measure {
    origin: Instant,
    window: Mutex<Option<(u64, u64)>>,
    pub(super) connected: AtomicU64,
    pub(super) stopping: AtomicBool,
    sent: AtomicU64,
    received: AtomicU64,
    latencies: Mutex<Vec<u32>>,
    joins_ms: Mutex<Vec<f64>>,
}

/// The figures of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Measure {
    pub(super) fn new() -> Self {
        Self {
            origin: Instant::now(),
            window: Mutex::new(None),
            connected: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            latencies: Mutex::new(vec![0; BUCKETS]),
            joins_ms: Mutex::default(),
        }
    }

    /// When the run began: what stamps count from.
    pub(super) fn origin(&self) -> Instant {
        self.origin
    }

    /// A listener asked to join at a moment, and hears or sees something now.
    pub(super) fn joined(&self, asked: Instant) {
        let ms = asked.elapsed().as_secs_f64() * 1000.0;
        self.joins_ms.lock().push(ms);
    }

    /// Times from request to first packet, ms.
    pub(super) fn joins_ms(&self) -> Summary {
        Summary::of(self.joins_ms.lock().iter().copied())
    }

    /// A packet came that does not say when it was sent.
    pub(super) fn counted(&self) {
        if self.counts(self.now_us()) {
            self.received.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether what was sent at a moment counts.
    pub(super) fn counts(&self, sent_us: u64) -> bool {
        matches!(*self.window.lock(), Some((from, to)) if (from..to).contains(&sent_us))
    }

    /// A packet of the window came.
    pub(super) fn arrived(&self, sent_us: u64) {
        if self.counts(sent_us) {
            self.received.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Microseconds since the run began: what packets are stamped with.
    pub(super) fn now_us(&self) -> u64 {
        self.origin.elapsed().as_micros() as u64
    }

    /// Count packets sent from now on for so many microseconds.
    pub(super) fn open_window(&self, length_us: u64) {
        let from = self.now_us();
        *self.window.lock() = Some((from, from + length_us));
    }

    pub(super) fn sent(&self, at_us: u64) {
        if self.counts(at_us) {
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn received(&self, sent_us: u64, at_us: u64) {
        if !self.counts(sent_us) {
            return;
        }
        self.received.fetch_add(1, Ordering::Relaxed);
        let bucket = (at_us.saturating_sub(sent_us) / WIDTH_US) as usize;
        self.latencies.lock()[bucket.min(BUCKETS - 1)] += 1;
    }

    pub(super) fn figures(&self) -> Figures {
        let latencies = self.latencies.lock();
        let total = latencies.iter().map(|n| u64::from(*n)).sum::<u64>();
        let percentile = |share: f64| {
            let rank = (share * total as f64).ceil() as u64;
            let mut seen = 0;
            let bucket = latencies.iter().position(|n| {
                seen += u64::from(*n);
                seen >= rank.max(1)
            });
            bucket.map_or(f64::NAN, |bucket| {
                (bucket as u64 * WIDTH_US) as f64 / 1000.0
            })
        };
        Figures {
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            p50_ms: percentile(0.50),
            p99_ms: percentile(0.99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packets_sent_within_the_window_count() {
        let measure = Measure::new();
        measure.sent(5);
        *measure.window.lock() = Some((100, 200));
        for at in [99, 100, 150, 200] {
            measure.sent(at);
            measure.received(at, at + 1000);
        }
        let figures = measure.figures();
        assert_eq!((figures.sent, figures.received), (2, 2));
        assert_eq!((figures.p50_ms, figures.p99_ms), (1.0, 1.0));
    }
}
