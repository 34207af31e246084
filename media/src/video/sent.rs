//! What was sent under which number, to send it again.

use std::time::{Duration, Instant};

use super::descriptor::Picture;
use super::packet::SentAs;

/// Packets remembered: a second of 5 Mbit/s.
pub(super) const REMEMBERED: u64 = 512;
/// Retransmissions a stream may make before it has sent anything.
const FIRST_BUDGET: f32 = 64.0;
/// Retransmissions earned by each packet sent.
const BUDGET_PER_PACKET: f32 = 0.25;
/// The most that can be saved up: a large keyframe, twice.
const MAX_BUDGET: f32 = 256.0;

/// One packet as it was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Record {
    /// Its number in the track's simulcast stream.
    pub(super) track_seq: u64,
    /// The low half of its number here; 0 never was sent.
    pub(super) seq: u32,
    pub(super) timestamp: u32,
    /// When it was last asked for, in milliseconds of the ring; 0 if never.
    pub(super) asked: u32,
    pub(super) picture: Picture,
    /// Transport-wide number.
    pub(super) transport: Option<u16>,
    pub(super) stream: u8,
    pub(super) marker: bool,
    /// It was padding that filled a gap.
    pub(super) filler: bool,
}

impl Record {
    /// The packet to send again, which was sent as `seq`.
    pub(super) fn named(&self, seq: u64) -> SentAs {
        SentAs {
            stream: self.stream,
            track_seq: self.track_seq,
            seq,
        }
    }
}

/// The last packets of a stream, and how many of them may still be sent again.
#[derive(Debug)]
pub(super) struct Sent {
    records: Box<[Record]>,
    /// Nothing before it can be sent again.
    oldest: u64,
    epoch: Option<Instant>,
    budget: f32,
}

impl Sent {
    pub(super) fn new() -> Sent {
        Sent {
            records: vec![Record::default(); REMEMBERED as usize].into_boxed_slice(),
            oldest: 0,
            epoch: None,
            budget: FIRST_BUDGET,
        }
    }

    /// Takes note that `seq` was sent.
    pub(super) fn insert(&mut self, seq: u64, record: Record) {
        self.records[place(seq)] = Record {
            seq: stamp(seq),
            ..record
        };
        self.budget = (self.budget + BUDGET_PER_PACKET).min(MAX_BUDGET);
    }

    /// Nothing before `seq` can be sent again: it is not of the present track.
    pub(super) fn forget_before(&mut self, seq: u64) {
        self.oldest = seq;
    }

    /// Whether nothing was ever sent as `seq`, as far as is remembered, given the next number.
    pub(super) fn is_vacant(&self, seq: u64, next: u64) -> bool {
        seq + REMEMBERED > next && self.records[place(seq)].seq != stamp(seq)
    }

    /// The packet sent as `seq`, if it can be sent again.
    pub(super) fn get(&self, seq: u64) -> Option<&Record> {
        let record = &self.records[place(seq)];
        (seq >= self.oldest && record.seq == stamp(seq) && !record.filler).then_some(record)
    }

    /// As [`Sent::get`], if it was not asked for within `rtt` and the budget lasts. Uses up one
    /// retransmission.
    pub(super) fn request(&mut self, now: Instant, seq: u64, rtt: Duration) -> Option<Record> {
        let epoch = *self.epoch.get_or_insert(now);
        let at = now.saturating_duration_since(epoch).as_millis() as u32 + 1;
        let record = *self.get(seq)?;
        let repeated = record.asked != 0 && u128::from(at - record.asked) < rtt.as_millis();
        if repeated || self.budget < 1.0 {
            return None;
        }
        self.budget -= 1.0;
        self.records[place(seq)].asked = at;
        Some(record)
    }
}

fn place(seq: u64) -> usize {
    (seq % REMEMBERED) as usize
}

fn stamp(seq: u64) -> u32 {
    (seq as u32).wrapping_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_small() {
        assert!(size_of::<Record>() <= 40);
    }

    #[test]
    fn repeats_within_a_round_trip_and_beyond_the_budget_are_ignored() {
        let start = Instant::now();
        let rtt = Duration::from_millis(100);
        let mut sent = Sent::new();
        sent.insert(0x7FFF, Record::default());
        assert!(sent.request(start, 0x7FFF, rtt).is_some());
        let again = |ms| start + Duration::from_millis(ms);
        assert!(sent.request(again(50), 0x7FFF, rtt).is_none());
        assert!(sent.request(again(100), 0x7FFF, rtt).is_some());
        assert!(sent.request(again(100), 0x7FFE, rtt).is_none());
        let granted = (0..1000)
            .filter(|_| sent.request(again(200), 0x7FFF, Duration::ZERO).is_some())
            .count();
        assert_eq!(granted, 62);
        sent.forget_before(0x8000);
        assert!(sent.get(0x7FFF).is_none());
    }

    #[test]
    fn a_number_is_used_once() {
        let mut sent = Sent::new();
        assert!(sent.is_vacant(1000, 1001));
        sent.insert(1000, Record::default());
        assert!(!sent.is_vacant(1000, 1001));
        assert!(!sent.is_vacant(1000, 1600));
        assert!(!sent.is_vacant(488, 1001));
    }
}
