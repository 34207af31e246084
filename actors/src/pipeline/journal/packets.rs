//! The packets of one speaker, as they came: the first log, which `ingest` reads.

use std::collections::VecDeque;
use std::time::Instant;

use hive_media::audio::EncodedFrame;

/// Packets kept: six seconds of 20 ms each. The oldest go first, read or not.
pub(crate) const CAPACITY: usize = 300;

/// A timestamp this much off the clock, in samples at 48 kHz, shows that the source started anew.
const IMPLAUSIBLE: i64 = 10 * 48_000;

/// A packet with its timestamp unwrapped.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// Samples at 48 kHz since the speaker's first packet; may be negative for one overtaken by it.
    pub(crate) media48: i64,
    /// The packet.
    pub(crate) frame: EncodedFrame,
}

/// A bounded log of packets with absolute indices.
#[derive(Debug, Default)]
pub(crate) struct PacketRing {
    packets: VecDeque<Packet>,
    /// Index of the front.
    first: u64,
    /// The packet that came last: its timestamp, raw and unwrapped, and its arrival.
    last: Option<(u32, i64, Instant)>,
    /// Packets overwritten before they were read.
    dropped: u64,
    /// Packets before this index were read.
    read: u64,
}

impl PacketRing {
    /// Appends what the worker received. Gives its media clock, samples at 48 kHz.
    pub(crate) fn push(&mut self, frame: EncodedFrame) -> i64 {
        let media48 = self.pass(&frame);
        if self.packets.len() == CAPACITY {
            self.packets.pop_front();
            if self.first >= self.read {
                self.dropped += 1;
            }
            self.first += 1;
        }
        self.packets.push_back(Packet { media48, frame });
        media48
    }

    /// Notes the clock of a packet without keeping it: nobody wants the speaker's words.
    pub(crate) fn pass(&mut self, frame: &EncodedFrame) -> i64 {
        let media48 = match self.last {
            None => 0,
            Some((raw, media48, arrival)) => {
                let waited =
                    frame.arrival.saturating_duration_since(arrival).as_millis() as i64 * 48;
                // The distance is taken modulo 2³², as RTP timestamps wrap after a day. One that
                // cannot be is a source that started anew; its clock is taken to have run on.
                let distance = i64::from(frame.timestamp.wrapping_sub(raw) as i32);
                let plausible = (distance - waited).abs() < IMPLAUSIBLE;
                media48 + if plausible { distance } else { waited }
            }
        };
        self.last = Some((frame.timestamp, media48, frame.arrival));
        media48
    }

    /// Forgets the packets; the clock goes on.
    pub(crate) fn clear(&mut self) {
        self.first += self.packets.len() as u64;
        self.read = self.first;
        self.packets.clear();
    }

    /// One past the index of the last packet.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.packets.len() as u64
    }

    /// Index of the oldest packet kept.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The packets from `index` on, or from the oldest kept.
    pub(crate) fn from(&self, index: u64) -> impl Iterator<Item = &Packet> {
        self.packets
            .iter()
            .skip(index.saturating_sub(self.first) as usize)
    }

    /// Packets before `index` are read; they stay as long as there is room, for a restart to warm up.
    pub(crate) fn mark_read(&mut self, index: u64) {
        self.read = self.read.max(index);
    }

    /// Packets overwritten unread.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(timestamp: u32) -> EncodedFrame {
        EncodedFrame {
            seq: 0,
            timestamp,
            payload: bytes::Bytes::new(),
            arrival: Instant::now(),
        }
    }

    #[test]
    fn timestamps_count_from_the_first_packet_over_a_wrap_and_over_reordering() {
        let mut ring = PacketRing::default();
        for timestamp in [u32::MAX - 959, 0, u32::MAX - 1919, 960] {
            ring.push(frame(timestamp));
        }
        let clock: Vec<i64> = ring.from(0).map(|packet| packet.media48).collect();
        assert_eq!(clock, [0, 960, -960, 1920]);
    }

    #[test]
    fn a_source_that_starts_anew_goes_on_from_now() {
        let mut ring = PacketRing::default();
        ring.push(frame(0));
        let later = EncodedFrame {
            arrival: Instant::now(),
            ..frame(2_000_000_000)
        };
        assert!(ring.push(later) < IMPLAUSIBLE);
    }

    #[test]
    fn the_oldest_go_first_and_only_unread_ones_count_as_dropped() {
        let mut ring = PacketRing::default();
        for i in 0..CAPACITY as u32 {
            ring.push(frame(i * 960));
        }
        ring.mark_read(10);
        for i in 0..15 {
            ring.push(frame((CAPACITY as u32 + i) * 960));
        }
        assert_eq!(ring.dropped(), 5);
        assert_eq!(ring.first(), 15);
        assert_eq!(ring.end(), CAPACITY as u64 + 15);
        assert_eq!(ring.from(0).count(), CAPACITY);
    }
}
