//! A way with delay, loss and a rate.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// One direction between a client and the server.
pub(crate) struct Link {
    pub(crate) delay: Duration,
    /// Probability that a datagram is lost.
    pub(crate) loss: f64,
    /// Bits a second that pass; what comes faster waits, for at most [`Link::queue`].
    pub(crate) bps: Option<u64>,
    pub(crate) queue: Duration,
    random: StdRng,
    /// When nothing waits any more.
    free: Option<Instant>,
}

impl Link {
    pub(crate) fn new(delay: Duration, loss: f64, seed: u64) -> Link {
        Link {
            delay,
            loss,
            bps: None,
            queue: Duration::from_millis(300),
            random: StdRng::seed_from_u64(seed),
            free: None,
        }
    }

    /// Both directions of a way with the round trip `rtt`.
    pub(crate) fn pair(rtt: Duration, loss: f64, seed: u64) -> [Link; 2] {
        [2 * seed, 2 * seed + 1].map(|seed| Link::new(rtt / 2, loss, seed))
    }

    /// When a datagram of `bytes` sent at `now` arrives, if it does.
    pub(crate) fn pass(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        if self.random.random_bool(self.loss) {
            return None;
        }
        let Some(bps) = self.bps else {
            return Some(now + self.delay);
        };
        let begin = self.free.map_or(now, |free| free.max(now));
        if begin - now > self.queue {
            return None;
        }
        let sent = begin + Duration::from_nanos(bytes as u64 * 8_000_000_000 / bps);
        self.free = Some(sent);
        Some(sent + self.delay)
    }
}
