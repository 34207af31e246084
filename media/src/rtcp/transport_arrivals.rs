//! What a peer is told about the arrival of its packets, and when.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::transport_feedback::TICK_US;
use super::write::Compound;
use crate::rtp::sequence::ExtendSeq;

/// How long packets wait for the feedback that tells of them.
const INTERVAL: Duration = Duration::from_millis(100);
/// The same when many wait.
const SHORT_INTERVAL: Duration = Duration::from_millis(50);
/// This many are many: about half of what one datagram can tell of.
const MANY: usize = 240;
/// The most sequence numbers remembered. A gap of as many is a restart, not loss.
const MAX_WINDOW: usize = 2048;
/// How long a packet may come after the feedback that called it missing, and be told of yet, in
/// ticks. It is what libwebrtc's receiver allows.
const LATE_TICKS: i64 = 500_000 / TICK_US;

/// Records the transport-wide sequence numbers of an inbound peer and writes its feedback.
#[derive(Debug)]
pub struct TransportArrivals {
    epoch: Instant,
    seq: ExtendSeq,
    /// When the packets from `first` on arrived, in ticks since the epoch.
    arrivals: VecDeque<Option<i64>>,
    first: u64,
    /// The first one that no feedback told of.
    next: u64,
    /// When the oldest packet that feedback has to tell of arrived.
    waiting_since: Option<Instant>,
    number: u8,
}

impl TransportArrivals {
    /// A recorder whose clock starts at `now`.
    pub fn new(now: Instant) -> TransportArrivals {
        TransportArrivals {
            epoch: now,
            seq: ExtendSeq::default(),
            arrivals: VecDeque::new(),
            first: 0,
            next: 0,
            waiting_since: None,
            number: 0,
        }
    }

    /// Takes note of an authenticated packet with transport-wide sequence number `seq`.
    ///
    /// The first arrival of a number counts. One that comes up to half a second after it was called
    /// missing is told of again, with those after it; an older one is not.
    pub fn received(&mut self, now: Instant, seq: u16) {
        let elapsed = now.saturating_duration_since(self.epoch).as_micros() as i64;
        let ticks = elapsed / TICK_US;
        let seq = self.seq.extend(seq);
        let end = self.first + self.arrivals.len() as u64;
        if self.arrivals.is_empty() || seq >= end + MAX_WINDOW as u64 {
            self.arrivals.clear();
            self.arrivals.push_back(Some(ticks));
            (self.first, self.next) = (seq, seq);
        } else if seq >= end {
            let len = (seq - self.first) as usize;
            self.arrivals.resize(len, None);
            self.arrivals.push_back(Some(ticks));
            self.forget(self.arrivals.len().saturating_sub(MAX_WINDOW));
        } else {
            let at = seq.checked_sub(self.first);
            match at.and_then(|at| self.arrivals.get_mut(at as usize)) {
                Some(arrival @ None) => *arrival = Some(ticks),
                _ => return,
            }
            self.next = self.next.min(seq);
        }
        self.waiting_since.get_or_insert(now);
    }

    /// When feedback is due: 100 ms after the first packet to tell of, or 50 ms if there are many.
    /// `None` while no packets come.
    pub fn next_at(&self) -> Option<Instant> {
        let since = self.waiting_since?;
        let waiting = self.first + self.arrivals.len() as u64 - self.next;
        Some(match waiting as usize {
            0..MANY => since + INTERVAL,
            _ => since + SHORT_INTERVAL,
        })
    }

    /// Writes one feedback packet. What one has no room for is due at once, in another; returns
    /// whether there is such a rest.
    ///
    /// Does nothing if `compound` has no room for any feedback; give it the better part of a
    /// datagram.
    pub fn write(&mut self, compound: &mut Compound<'_>, sender: u32, media: u32) -> bool {
        let skip = (self.next - self.first) as usize;
        let waiting = self.arrivals.iter().skip(skip).copied();
        let number = self.number;
        let told = compound.transport_feedback(sender, media, number, self.next as u16, waiting);
        if told == 0 {
            return false;
        }
        self.number = number.wrapping_add(1);
        self.next += told as u64;
        let rest = self.arrivals.len() > skip + told;
        if !rest {
            self.waiting_since = None;
        }
        let newest = self.arrivals.iter().rev().flatten().next().copied();
        let oldest = newest.unwrap_or(0) - LATE_TICKS;
        let mut expired = 0;
        for (at, arrival) in self.arrivals.iter().take(skip + told).enumerate() {
            match arrival {
                Some(ticks) if *ticks < oldest => expired = at + 1,
                Some(_) => break,
                None => {}
            }
        }
        self.forget(expired);
        rest
    }

    fn forget(&mut self, count: usize) {
        self.arrivals.drain(..count);
        self.first += count as u64;
        self.next = self.next.max(self.first);
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;
    use crate::rtcp::read::{RtcpItem, read_compound};
    use crate::rtcp::transport_feedback::REFERENCE_TICKS;

    /// One feedback packet: its base, and the arrivals in ms since the reference clock's start.
    type Told = (u16, Vec<Option<f64>>);

    fn written(arrivals: &mut TransportArrivals) -> Vec<Told> {
        let mut all = Vec::new();
        loop {
            let mut buffer = [0; 1200];
            let mut compound = Compound::new(&mut buffer);
            let more = arrivals.write(&mut compound, 1, 2);
            let len = compound.len();
            let compound = &buffer[..len];
            read_compound(compound, |item| {
                let RtcpItem::TransportFeedback(span) = item else {
                    panic!("{item:?}");
                };
                let feedback = span.of(compound).unwrap();
                let mut told = vec![None; feedback.count().into()];
                for (above_base, ticks) in feedback.arrivals() {
                    let ticks = i64::from(feedback.reference()) * REFERENCE_TICKS + ticks;
                    told[usize::from(above_base)] = Some(ticks as f64 / 4.0);
                }
                all.push((feedback.base(), told));
            })
            .unwrap();
            if !more {
                return all;
            }
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn tells_of_losses_and_reordering_over_the_wrap_once_in_100_ms() {
        let start = Instant::now();
        let mut arrivals = TransportArrivals::new(start);
        assert_eq!(arrivals.next_at(), None);
        for (at, seq) in [(10, 65_534), (11, 65_535), (14, 2), (15, 1), (15, 2)] {
            arrivals.received(start + ms(at), seq);
        }
        assert_eq!(arrivals.next_at(), Some(start + ms(110)));
        assert_eq!(
            written(&mut arrivals),
            [(
                65_534,
                vec![Some(10.0), Some(11.0), None, Some(15.0), Some(14.0)]
            )]
        );
        assert_eq!(arrivals.next_at(), None);
        assert!(written(&mut arrivals).is_empty());
    }

    #[test]
    fn a_late_packet_is_told_of_with_those_after_it() {
        let start = Instant::now();
        let mut arrivals = TransportArrivals::new(start);
        arrivals.received(start, 1);
        arrivals.received(start, 3);
        written(&mut arrivals);
        arrivals.received(start + ms(1), 3);
        assert_eq!(arrivals.next_at(), None, "a duplicate is no news");
        arrivals.received(start + ms(2), 2);
        assert_eq!(written(&mut arrivals), [(2, vec![Some(2.0), Some(0.0)])]);
        // Too late: half a second of others came.
        arrivals.received(start + ms(10), 5);
        written(&mut arrivals);
        arrivals.received(start + ms(600), 6);
        written(&mut arrivals);
        arrivals.received(start + ms(601), 4);
        assert_eq!(arrivals.next_at(), None);
    }

    #[test]
    fn many_packets_are_told_of_sooner_and_in_several() {
        let start = Instant::now();
        let mut arrivals = TransportArrivals::new(start);
        for seq in 0..1000u16 {
            arrivals.received(start, seq.wrapping_add(65_000));
        }
        assert_eq!(arrivals.next_at(), Some(start + ms(50)));
        let told = written(&mut arrivals);
        assert!(told.len() > 1);
        let mut next = 65_000u16;
        for (base, told) in told {
            assert_eq!(base, next);
            next = next.wrapping_add(told.len() as u16);
            assert!(told.iter().all(|arrival| *arrival == Some(0.0)));
        }
        assert_eq!(next, 65_000u16.wrapping_add(1000));
    }

    #[test]
    fn an_outage_is_told_of_and_a_restart_is_not() {
        let start = Instant::now();
        let mut arrivals = TransportArrivals::new(start);
        arrivals.received(start, 0);
        written(&mut arrivals);
        arrivals.received(start + ms(20_000), 1500);
        let told = written(&mut arrivals);
        assert_eq!((told.len(), told[0].0, told[0].1.len()), (1, 1, 1500));
        arrivals.received(start + ms(20_001), 20_000);
        assert_eq!(written(&mut arrivals), [(20_000, vec![Some(20_001.0)])]);
    }

    #[test]
    fn silence_within_what_waits_splits_the_feedback() {
        let start = Instant::now();
        let mut arrivals = TransportArrivals::new(start);
        arrivals.received(start, 0);
        arrivals.received(start + ms(9_000), 1);
        let told = written(&mut arrivals);
        assert_eq!(told, [(0, vec![Some(0.0)]), (1, vec![Some(9_000.0)])]);
    }

    #[test]
    fn memory_is_bounded_whatever_comes_and_whatever_is_written() {
        let mut random = StdRng::seed_from_u64(3);
        let start = Instant::now();
        let mut arrivals = TransportArrivals::new(start);
        let mut now = start;
        for _ in 0..200_000 {
            now += Duration::from_micros(random.random_range(0..3_000));
            arrivals.received(now, random.random());
            assert!(arrivals.arrivals.len() <= MAX_WINDOW);
            assert!(
                arrivals.next_at().is_some_and(|at| at <= now + INTERVAL)
                    || arrivals.waiting_since.is_none()
            );
            if random.random_ratio(1, 1000) {
                let mut buffer = [0; 1200];
                let room = random.random_range(0..1200);
                arrivals.write(&mut Compound::new(&mut buffer[..room]), 1, 2);
            }
        }
    }
}
