//! Which packets a publisher should send again, and when to stop asking.

use std::time::{Duration, Instant};

/// How long a gap may be reordering before it is called loss.
const REORDER: Duration = Duration::from_millis(10);
/// Asking for a packet this many times is enough.
const MAX_TRIES: u8 = 4;
/// A gap longer than this is an outage or a restart; asking would only add to it.
const MAX_GAP: u64 = 64;
/// Most packets waited for at a time.
const MAX_MISSING: usize = 128;
/// The shortest time between two requests for one packet.
const MIN_RETRY: Duration = Duration::from_millis(20);
/// Never wait longer than this: nobody plays it any more.
const MAX_AGE: Duration = Duration::from_millis(400);

/// One packet that did not come.
#[derive(Clone, Copy, Debug)]
struct Missing {
    seq: u64,
    noticed: Instant,
    next: Instant,
    /// When it was asked for first.
    asked: Option<Instant>,
    tries: u8,
}

/// What is asked for, and for how long.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// A gap longer than this is an outage or a restart; asking would only add to it.
    gap: u64,
    /// Most packets waited for at a time.
    missing: usize,
    /// Asking for a packet this many times is enough.
    tries: u8,
    /// Never wait longer than this: nobody plays it any more.
    age: Duration,
}

/// Watches one stream's sequence numbers for gaps.
#[derive(Debug)]
pub struct NackGenerator {
    limits: Limits,
    highest: Option<u64>,
    missing: Vec<Missing>,
    /// How long the last answer took.
    answer: Option<Duration>,
    /// Whether something will never come.
    gave_up: bool,
}

impl Default for NackGenerator {
    /// For audio, of which a late packet is worth nothing.
    fn default() -> Self {
        NackGenerator {
            limits: Limits {
                gap: MAX_GAP,
                missing: MAX_MISSING,
                tries: MAX_TRIES,
                age: MAX_AGE,
            },
            highest: None,
            missing: Vec::new(),
            answer: None,
            gave_up: false,
        }
    }
}

impl NackGenerator {
    /// For video, where all that follows a lost packet waits for it, and a keyframe is a burst of
    /// packets.
    pub fn video() -> NackGenerator {
        NackGenerator {
            limits: Limits {
                gap: 512,
                missing: 512,
                tries: 8,
                age: Duration::from_secs(1),
            },
            ..NackGenerator::default()
        }
    }

    /// Takes note of a received packet. Returns whether it had been asked for.
    pub fn received(&mut self, now: Instant, seq: u64) -> bool {
        let Some(highest) = self.highest else {
            self.highest = Some(seq);
            return false;
        };
        if seq <= highest {
            let at = self.missing.iter().position(|missing| missing.seq == seq);
            let asked = at.and_then(|at| self.missing.swap_remove(at).asked);
            self.answer = asked.map(|asked| now.saturating_duration_since(asked));
            return asked.is_some();
        }
        if seq - highest <= self.limits.gap {
            for seq in highest + 1..seq {
                if self.missing.len() >= self.limits.missing {
                    self.gave_up = true;
                    break;
                }
                self.missing.push(Missing {
                    seq,
                    noticed: now,
                    next: now + REORDER,
                    asked: None,
                    tries: 0,
                });
            }
        } else {
            self.missing.clear();
            self.gave_up = true;
        }
        self.highest = Some(seq);
        false
    }

    /// Hands the sequence numbers that are due to `ask`, given the round trip to the publisher as
    /// far as it is known.
    pub fn poll(&mut self, now: Instant, rtt: Option<Duration>, mut ask: impl FnMut(u16)) {
        let rtt = rtt.unwrap_or(Duration::from_millis(100));
        let retry = (rtt + rtt / 4).max(MIN_RETRY);
        let limits = self.limits;
        let give_up = match limits.age {
            MAX_AGE => (rtt * 3).clamp(Duration::from_millis(150), MAX_AGE),
            age => age,
        };
        let gave_up = &mut self.gave_up;
        self.missing.retain_mut(|missing| {
            if missing.next > now {
                return true;
            }
            if missing.tries == limits.tries
                || now.saturating_duration_since(missing.noticed) > give_up
            {
                *gave_up = true;
                return false;
            }
            missing.tries += 1;
            missing.asked.get_or_insert(now);
            missing.next = now + retry;
            ask(missing.seq as u16);
            true
        });
    }

    /// How long the answer took that [`NackGenerator::received`] was told of last: about a round trip,
    /// and more if the first request or the first answer was lost.
    pub fn answer(&self) -> Option<Duration> {
        self.answer
    }

    /// Whether, since this was asked last, a packet was given up that is not asked for (any more).
    pub fn gave_up(&mut self) -> bool {
        std::mem::take(&mut self.gave_up)
    }

    /// When [`NackGenerator::poll`] has something to do.
    pub fn next_at(&self) -> Option<Instant> {
        self.missing.iter().map(|missing| missing.next).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(nack: &mut NackGenerator, now: Instant) -> Vec<u16> {
        let mut asked = Vec::new();
        nack.poll(now, Some(Duration::from_millis(40)), |seq| asked.push(seq));
        asked
    }

    #[test]
    fn reordering_is_not_loss() {
        let start = Instant::now();
        let mut nack = NackGenerator::default();
        nack.received(start, 10);
        nack.received(start, 12);
        assert!(due(&mut nack, start).is_empty());
        assert!(!nack.received(start + Duration::from_millis(5), 11));
        assert_eq!(nack.next_at(), None);
    }

    #[test]
    fn asks_again_after_the_round_trip_and_then_gives_up() {
        let start = Instant::now();
        let mut nack = NackGenerator::default();
        nack.received(start, 65_535);
        nack.received(start, 65_538);
        let mut times = Vec::new();
        for ms in 0..1000 {
            let asked = due(&mut nack, start + Duration::from_millis(ms));
            if !asked.is_empty() {
                assert_eq!(asked, [0, 1]);
                times.push(ms);
            }
        }
        assert_eq!(times, [10, 60, 110]);
        assert_eq!(nack.next_at(), None);
        assert!(nack.gave_up() && !nack.gave_up());
    }

    #[test]
    fn a_recovered_packet_is_told_from_a_late_one() {
        let start = Instant::now();
        let mut nack = NackGenerator::default();
        nack.received(start, 10);
        nack.received(start, 12);
        due(&mut nack, start + REORDER);
        assert!(nack.received(start + 3 * REORDER, 11));
        assert_eq!(nack.answer(), Some(2 * REORDER));
        assert!(!nack.gave_up());
    }

    #[test]
    fn an_outage_is_not_asked_for_and_memory_is_bounded() {
        let start = Instant::now();
        let mut nack = NackGenerator::default();
        nack.received(start, 10);
        nack.received(start, 10 + MAX_GAP + 1);
        assert_eq!(nack.next_at(), None);
        assert!(nack.gave_up());
        for step in 0..100 {
            nack.received(start, 200 + step * 50);
        }
        assert!(nack.missing.len() <= MAX_MISSING);
    }
}
