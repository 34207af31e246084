//! Spreads packets over time as libwebrtc's paced sender does, so that a keyframe is no burst.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often packets are let out.
const INTERVAL: Duration = Duration::from_millis(5);

/// So many times the rate is sent at most.
const FACTOR: f64 = 2.5;

/// A queue that is let out at a multiple of a rate.
#[derive(Debug)]
pub struct Pacer<T> {
    bytes_per_interval: f64,
    queue: VecDeque<(usize, T)>,
    next: Instant,
    budget: f64,
}

impl<T> Pacer<T> {
    /// For what has this rate by itself, in bits a second.
    pub fn new(now: Instant, bits_per_second: u32) -> Self {
        let per_second = f64::from(bits_per_second) / 8.0 * FACTOR;
        Self {
            bytes_per_interval: per_second * INTERVAL.as_secs_f64(),
            queue: VecDeque::new(),
            next: now,
            budget: 0.0,
        }
    }

    /// Something of so many bytes is to be sent.
    pub fn push(&mut self, bytes: usize, packet: T) {
        self.queue.push_back((bytes, packet));
    }

    /// When there will be something to send.
    pub fn next_at(&self) -> Option<Instant> {
        (!self.queue.is_empty()).then_some(self.next)
    }

    /// The next packet whose time has come.
    pub fn poll(&mut self, now: Instant) -> Option<T> {
        while self.next <= now {
            // What was not used is not saved up.
            self.budget = (self.budget + self.bytes_per_interval).min(self.bytes_per_interval);
            self.next += INTERVAL;
            if self.next + INTERVAL * 20 < now {
                self.next = now;
            }
        }
        if self.budget <= 0.0 {
            return None;
        }
        let (bytes, packet) = self.queue.pop_front()?;
        self.budget -= bytes as f64;
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyframe_is_spread_at_two_and_a_half_times_the_rate() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, 2_000_000);
        // 50 kB take 80 ms at 5 Mbit/s.
        for n in 0..50 {
            pacer.push(1000, n);
        }
        let mut sent = Vec::new();
        let mut now = start;
        while let Some(at) = pacer.next_at() {
            now = now.max(at);
            while let Some(n) = pacer.poll(now) {
                sent.push((n, now - start));
            }
        }
        assert_eq!(sent.len(), 50);
        assert!(sent.is_sorted());
        let took = sent.last().map(|(_, at)| at.as_millis()).unwrap();
        assert!((70..=85).contains(&took), "{took} ms");
    }

    #[test]
    fn what_was_idle_sends_no_burst() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, 2_000_000);
        let later = start + Duration::from_secs(3);
        for n in 0..50 {
            pacer.push(1000, n);
        }
        let burst = std::iter::from_fn(|| pacer.poll(later)).count();
        assert!(burst <= 4, "{burst}");
    }
}
