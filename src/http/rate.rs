//! How often a client address may ask: the generic cell rate algorithm (ITU-T I.371), which is a token bucket
//! in one number per client. Time is an argument.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::config::Rate;

/// Whether a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// It may.
    Yes,
    /// Not before so long.
    In(Duration),
}

/// One bucket a client, at most so many clients.
#[derive(Debug)]
pub struct RateLimiter<K = IpAddr> {
    interval: Duration,
    tolerance: Duration,
    max_clients: usize,
    /// When each client's bucket is full again.
    full_at: HashMap<K, Instant>,
}

impl<K: Hash + Eq> RateLimiter<K> {
    /// An empty table.
    pub fn new(rate: &Rate) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        Self {
            interval,
            tolerance: interval * rate.burst.saturating_sub(1),
            max_clients: rate.max_clients,
            full_at: HashMap::new(),
        }
    }

    /// Counts one request of `client` at `now`, if it may go on.
    pub fn ask(&mut self, client: K, now: Instant) -> Allowance {
        if !self.full_at.contains_key(&client) && self.full_at.len() >= self.max_clients {
            self.full_at.retain(|_, full_at| *full_at > now);
            if self.full_at.len() >= self.max_clients {
                // So many clients at once are an attack from everywhere; newcomers wait for room in the table.
                return Allowance::In(self.interval + self.tolerance);
            }
        }
        let full_at = self.full_at.entry(client).or_insert(now);
        let behind = full_at.saturating_duration_since(now);
        if behind > self.tolerance {
            return Allowance::In(behind - self.tolerance);
        }
        *full_at = now + behind + self.interval;
        Allowance::Yes
    }

    /// Clients in the table.
    pub fn clients(&self) -> usize {
        self.full_at.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter() -> RateLimiter<u32> {
        RateLimiter::new(&Rate {
            per_second: 10,
            burst: 3,
            max_clients: 2,
        })
    }

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let (mut limiter, start) = (limiter(), Instant::now());
        for _ in 0..3 {
            assert_eq!(limiter.ask(1, start), Allowance::Yes);
        }
        assert_eq!(
            limiter.ask(1, start),
            Allowance::In(Duration::from_millis(100))
        );
        let later = start + Duration::from_millis(100);
        assert_eq!(limiter.ask(1, later), Allowance::Yes);
        assert_eq!(
            limiter.ask(1, later),
            Allowance::In(Duration::from_millis(100))
        );
        assert_eq!(
            limiter.ask(2, later),
            Allowance::Yes,
            "clients do not share"
        );
    }

    #[test]
    fn the_table_stays_within_its_bound() {
        let (mut limiter, start) = (limiter(), Instant::now());
        assert_eq!(limiter.ask(1, start), Allowance::Yes);
        assert_eq!(limiter.ask(2, start), Allowance::Yes);
        assert!(matches!(limiter.ask(3, start), Allowance::In(_)));
        assert_eq!(limiter.clients(), 2);
        assert_eq!(
            limiter.ask(3, start + Duration::from_secs(1)),
            Allowance::Yes,
            "the others' buckets are full"
        );
        assert_eq!(limiter.clients(), 1);
    }
}
