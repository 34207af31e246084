//! Reception statistics of one inbound stream (RFC 3550 §6.4 and appendix A).

use std::time::{Duration, Instant};

use super::sequence::{ExtendSeq, ExtendTimestamp};
use crate::clock::Now;

/// A jump of more than this many packets is a restarted source.
const MAX_DROPOUT: u64 = 3000;

/// What a packet meant to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Extended sequence number.
    pub seq: u64,
    /// Extended timestamp.
    pub timestamp: u64,
    /// Whether the source restarted with this packet, so that numbers before it mean nothing.
    pub restarted: bool,
}

/// One report block to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// Source reported on.
    pub ssrc: u32,
    /// Fraction lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the start; 24 bits, signed.
    pub total_lost: i32,
    /// Extended highest sequence number, cycles in the upper half.
    pub highest_seq: u32,
    /// Interarrival jitter, in ticks.
    pub jitter: u32,
    /// Middle of the NTP time of the last sender report, 0 if none.
    pub last_sr: u32,
    /// Time since then, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// Counters of one inbound stream.
#[derive(Debug)]
pub struct ReceiveStats {
    rate: u32,
    seq: ExtendSeq,
    timestamp: ExtendTimestamp,
    base: u64,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// Packets expected and lost between the last two reports.
    last_interval: (u64, u64),
    transit: Option<i64>,
    jitter: f64,
    epoch: Option<Instant>,
    last_sr: Option<(u32, Instant)>,
}

impl ReceiveStats {
    /// Counters for timestamps of `rate` ticks a second.
    pub fn new(rate: u32) -> ReceiveStats {
        ReceiveStats {
            rate,
            seq: ExtendSeq::default(),
            timestamp: ExtendTimestamp::default(),
            base: 0,
            received: 0,
            expected_before: 0,
            received_before: 0,
            last_interval: (0, 0),
            transit: None,
            jitter: 0.0,
            epoch: None,
            last_sr: None,
        }
    }

    /// Counts an authenticated packet, which is no duplicate.
    pub fn receive(&mut self, now: Instant, seq: u16, timestamp: u32) -> Received {
        let epoch = *self.epoch.get_or_insert(now);
        let highest = self.seq.highest();
        let mut extended = self.seq.extend(seq);
        let restarted = highest.is_some_and(|highest| extended.abs_diff(highest) > MAX_DROPOUT);
        if restarted {
            // The counters restart; numbers go on above all former ones, so that what is keyed by
            // them stays in order.
            let above = (highest.unwrap_or(0).max(extended) | 0xFFFF) + 1 + u64::from(seq);
            self.seq = ExtendSeq::starting_at(above);
            extended = above;
            self.timestamp = ExtendTimestamp::default();
            self.transit = None;
            self.received = 0;
            self.expected_before = 0;
            self.received_before = 0;
        }
        if highest.is_none() || restarted {
            self.base = extended;
        }
        self.received += 1;
        let timestamp = self.timestamp.extend(timestamp);

        // RFC 3550 appendix A.8, in ticks.
        let arrival = now.saturating_duration_since(epoch).as_micros() as i128
            * i128::from(self.rate)
            / 1_000_000;
        let transit = (arrival - i128::from(timestamp)) as i64;
        if let Some(last) = self.transit {
            let difference = (transit - last).unsigned_abs() as f64;
            // DTX and clock jumps are not jitter.
            if difference < f64::from(self.rate) {
                self.jitter += (difference - self.jitter) / 16.0;
            }
        }
        self.transit = Some(transit);
        Received {
            seq: extended,
            timestamp,
            restarted,
        }
    }

    /// A packet that came by a retransmission stream (RFC 4588). It is no arrival of this stream's own,
    /// so it counts neither for loss nor for jitter.
    pub fn repaired(&mut self, seq: u16) -> Received {
        Received {
            seq: self.seq.extend(seq),
            timestamp: 0,
            restarted: false,
        }
    }

    /// Packets expected and lost between the last two reports.
    pub fn last_interval(&self) -> (u64, u64) {
        self.last_interval
    }

    /// Takes note of a sender report whose NTP time has the middle bits `ntp_middle`.
    pub fn sender_report(&mut self, now: Instant, ntp_middle: u32) {
        self.last_sr = Some((ntp_middle, now));
    }

    /// Packets lost so far; negative if more came than were expected.
    pub fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }

    /// Interarrival jitter.
    pub fn jitter(&self) -> Duration {
        Duration::from_secs_f64(self.jitter / f64::from(self.rate))
    }

    /// The report block for `ssrc`; starts a new reporting interval.
    pub fn report(&mut self, now: &Now, ssrc: u32) -> ReportBlock {
        let expected = self.expected();
        let expected_now = expected - self.expected_before;
        let received_now = self.received - self.received_before;
        self.expected_before = expected;
        self.received_before = self.received;
        let lost_now = expected_now.saturating_sub(received_now);
        self.last_interval = (expected_now, lost_now);
        let fraction_lost = (lost_now * 256)
            .checked_div(expected_now)
            .unwrap_or(0)
            .min(255) as u8;
        let (last_sr, delay) = match self.last_sr {
            Some((middle, at)) => {
                let delay = now.mono.saturating_duration_since(at);
                (middle, (delay.as_micros() * 65_536 / 1_000_000) as u32)
            }
            None => (0, 0),
        };
        ReportBlock {
            ssrc,
            fraction_lost,
            total_lost: self.lost().clamp(-0x80_0000, 0x7F_FFFF) as i32,
            highest_seq: (self.seq.highest().unwrap_or(0).wrapping_sub(0x1_0000)) as u32,
            jitter: self.jitter as u32,
            last_sr,
            delay_since_last_sr: delay,
        }
    }

    fn expected(&self) -> u64 {
        match self.seq.highest() {
            Some(highest) => highest.saturating_sub(self.base) + 1,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(start: Instant, ms: u64) -> Now {
        Now {
            mono: start + Duration::from_millis(ms),
            unix: Duration::from_secs(1_000) + Duration::from_millis(ms),
        }
    }

    #[test]
    fn reports_loss_per_interval_and_in_total() {
        let start = Instant::now();
        let mut stats = ReceiveStats::new(48_000);
        for packet in 0..100u16 {
            if packet % 4 != 3 {
                stats.receive(
                    now(start, 20 * u64::from(packet)).mono,
                    65_500u16.wrapping_add(packet),
                    u32::from(packet) * 960,
                );
            }
        }
        let block = stats.report(&now(start, 2000), 7);
        // 99 expected (the last was lost and is not known of), 75 received.
        assert_eq!(block.total_lost, 24);
        assert_eq!(block.fraction_lost, (24 * 256 / 99) as u8);
        assert_eq!(block.highest_seq, 65_500 + 98);
        assert_eq!(block.jitter, 0);
        let block = stats.report(&now(start, 3000), 7);
        assert_eq!((block.fraction_lost, block.total_lost), (0, 24));
    }

    #[test]
    fn jitter_converges_to_the_spread() {
        let start = Instant::now();
        let mut stats = ReceiveStats::new(48_000);
        for packet in 0..500u64 {
            let late = if packet % 2 == 0 { 0 } else { 10 };
            stats.receive(
                now(start, 20 * packet + late).mono,
                packet as u16,
                packet as u32 * 960,
            );
        }
        assert!((stats.jitter().as_secs_f64() - 0.01).abs() < 0.0001);
    }

    #[test]
    fn a_restarted_source_is_not_loss() {
        let start = Instant::now();
        let mut stats = ReceiveStats::new(48_000);
        let first = stats.receive(start, 100, 0);
        let again = stats.receive(start, 40_000, 77);
        assert!(again.restarted && again.seq > first.seq);
        assert_eq!(again.seq as u16, 40_000);
        assert_eq!(stats.lost(), 0);
    }

    #[test]
    fn tells_the_delay_since_the_last_sender_report() {
        let start = Instant::now();
        let mut stats = ReceiveStats::new(48_000);
        stats.receive(start, 1, 1);
        stats.sender_report(start, 0xABCD);
        let block = stats.report(&now(start, 500), 7);
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0xABCD, 32_768));
    }
}
