//! The bound that loss puts on the estimate (draft-ietf-rmcat-gcc-02 §6).

use super::rate_control::{AHEAD, MAX_AHEAD};

/// Fewer packets are no sample.
const MIN_PACKETS: u32 = 20;
/// Nor are those of a shorter time, in µs.
const MIN_TIME: i64 = 250_000;
/// Doubts are given up after this time, in µs.
const MAX_TIME: i64 = 2_000_000;
/// More loss than this is congestion.
const HIGH: f64 = 0.10;
/// Less loss than this is none.
const LOW: f64 = 0.02;
/// With more loss than this, what arrives is about what the link takes.
const OVERFLOW: f64 = 0.30;
/// How many standard deviations a sample has to be off [`HIGH`], for 5 % of random loss often look
/// like 10 % in 20 packets. What is nearer waits for more packets.
const DEVIATIONS: f64 = 1.5;
/// Growth of the bound a second.
const INCREASE: f64 = 1.08;

/// Watches what becomes of packets.
///
/// It differs from the draft in this: there is no bound until there was much loss, so that random
/// loss of a few percent neither lowers the estimate nor holds it back; and an overflowing queue
/// lowers the bound by all that it loses.
#[derive(Debug)]
pub(super) struct LossBound {
    packets: u32,
    lost: u32,
    since: i64,
    fraction: f64,
    bound: Option<f64>,
    decreased: i64,
}

impl LossBound {
    pub(super) fn new(now: i64) -> LossBound {
        LossBound {
            packets: 0,
            lost: 0,
            since: now,
            fraction: 0.0,
            bound: None,
            decreased: now,
        }
    }

    /// The bound in bit/s.
    pub(super) fn bound(&self) -> Option<u64> {
        self.bound.map(|bound| bound as u64)
    }

    /// The share of packets lost of late, 0 to 1.
    pub(super) fn fraction(&self) -> f32 {
        self.fraction as f32
    }

    /// Takes note of what became of a packet sent at `sent`. Those sent before the bound was lowered
    /// are no reason to lower it again.
    pub(super) fn judged(&mut self, sent: i64, lost: bool) {
        if sent >= self.decreased {
            self.packets += 1;
            self.lost += u32::from(lost);
        }
    }

    /// What a probe proved is not beyond the bound.
    pub(super) fn probed(&mut self, bps: u64) {
        self.bound = self.bound.map(|bound| bound.max(bps as f64));
    }

    /// Decides anew, given the estimate in force, the estimate by delay alone, and what arrives. Returns
    /// whether there was too much loss.
    pub(super) fn update(
        &mut self,
        now: i64,
        estimate: u64,
        by_delay: u64,
        arrives: Option<u64>,
    ) -> bool {
        let elapsed = now - self.since;
        if self.packets < MIN_PACKETS || elapsed < MIN_TIME {
            return false;
        }
        let (lost, packets) = (f64::from(self.lost), f64::from(self.packets));
        let doubt = DEVIATIONS * lost.sqrt();
        let high = lost - doubt > HIGH * packets;
        let low = lost + doubt < HIGH * packets;
        if !high && !low && elapsed < MAX_TIME {
            return false;
        }
        let high = high || (!low && lost - doubt / 3.0 > HIGH * packets);
        self.fraction = lost / packets;
        self.packets = 0;
        self.lost = 0;
        self.since = now;
        let arrives = arrives.unwrap_or(0) as f64;
        if high {
            let share = match self.fraction > OVERFLOW {
                true => self.fraction,
                false => 0.5 * self.fraction,
            };
            let estimate = estimate as f64;
            self.bound = Some((estimate * (1.0 - share)).max(arrives).min(estimate));
            self.decreased = now;
        } else if self.fraction < LOW
            && let Some(bound) = self.bound
        {
            let seconds = (elapsed as f64 / 1e6).min(1.0);
            let most = (arrives * MAX_AHEAD + AHEAD).max(bound);
            self.bound = Some((bound * INCREASE.powf(seconds)).min(most));
        }
        self.bound = self.bound.filter(|bound| *bound < by_delay as f64);
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of 200 packets, every `one_in`th of which is lost.
    fn second(bound: &mut LossBound, now: &mut i64, one_in: u32) -> u64 {
        for packet in 1..=200 {
            *now += 5_000;
            bound.judged(*now, packet % one_in == 0);
            if packet % 20 == 0 {
                let estimate = bound.bound().unwrap_or(3_000_000);
                bound.update(*now, estimate, 3_000_000, Some(1_700_000));
            }
        }
        bound.bound().unwrap_or(3_000_000)
    }

    #[test]
    fn much_loss_lowers_the_bound_and_little_lets_it_rise_until_it_is_gone() {
        let (mut bound, mut now) = (LossBound::new(0), 0);
        for _ in 0..10 {
            assert_eq!(second(&mut bound, &mut now, 20), 3_000_000);
        }
        // A bit more than 10 % takes two seconds to tell.
        assert_eq!(second(&mut bound, &mut now, 8), 3_000_000);
        let lower = second(&mut bound, &mut now, 8).max(second(&mut bound, &mut now, 8));
        assert!((2_700_000..2_900_000).contains(&lower), "{lower}");
        // 5 % of loss hold it.
        second(&mut bound, &mut now, 20);
        let held = bound.bound().unwrap();
        assert_eq!(second(&mut bound, &mut now, 20), held);
        // It rises no further than what arrives allows.
        for _ in 0..10 {
            second(&mut bound, &mut now, 1000);
        }
        assert_eq!(
            bound.bound(),
            Some((1_700_000.0 * 1.5 + 10_000.0_f64).max(held as f64) as u64)
        );
        bound.probed(2_900_000);
        assert_eq!(bound.bound(), Some(2_900_000));
        bound.probed(3_100_000);
        second(&mut bound, &mut now, 1000);
        assert_eq!(bound.bound(), None);
    }

    #[test]
    fn an_overflowing_queue_leaves_what_arrives() {
        let mut bound = LossBound::new(0);
        for packet in 0..100 {
            bound.judged(1, packet % 10 != 0);
        }
        bound.update(MIN_TIME, 2_000_000, 2_000_000, Some(300_000));
        assert_eq!((bound.bound(), bound.fraction()), (Some(300_000), 0.9));
    }

    #[test]
    fn loss_is_counted_against_what_was_sent_since() {
        let mut bound = LossBound::new(0);
        for _ in 0..100 {
            bound.judged(1, true);
        }
        bound.update(MIN_TIME, 2_000_000, 2_000_000, Some(1_000_000));
        for _ in 0..100 {
            bound.judged(MIN_TIME - 1, true);
        }
        bound.update(2 * MIN_TIME, 1_000_000, 2_000_000, None);
        assert_eq!(bound.bound(), Some(1_000_000));
    }
}
