//! What was sent, until feedback tells what became of it.

use std::collections::VecDeque;

/// How long a packet is remembered, in µs.
const MAX_AGE: i64 = 5_000_000;
/// The most packets remembered: 1.6 s at 5000 packets a second.
const MAX_PACKETS: usize = 8192;

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// When it was sent, in µs.
    pub(super) at: i64,
    /// How long it is.
    pub(super) bytes: u32,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Unknown,
    /// Feedback calls it missing; it may come yet.
    Missing,
    Arrived,
}

/// The packets sent last, by transport-wide sequence number.
#[derive(Debug, Default)]
pub(super) struct History {
    packets: VecDeque<Sent>,
    /// The number of the next packet, extended.
    next: u64,
    /// The first packet that is not judged yet.
    unjudged: u64,
}

impl History {
    /// The extended number of the next packet.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Takes note of a packet and numbers it.
    pub(super) fn sent(&mut self, at: i64, bytes: usize) -> u64 {
        while self.packets.len() >= MAX_PACKETS
            || self.packets.front().is_some_and(|it| at - it.at > MAX_AGE)
        {
            self.packets.pop_front();
        }
        self.packets.push_back(Sent {
            at,
            bytes: bytes as u32,
            fate: Fate::Unknown,
        });
        self.next += 1;
        self.next - 1
    }

    /// Takes note that packet `seq` arrived. `None` if it is unknown or this is known.
    pub(super) fn arrived(&mut self, seq: u16) -> Option<(u64, Sent)> {
        let back = self.back(seq);
        let at = self.packets.len().checked_sub(back)?;
        let packet = &mut self.packets[at];
        if packet.fate == Fate::Arrived {
            return None;
        }
        packet.fate = Fate::Arrived;
        Some((self.next - back as u64, *packet))
    }

    /// Takes note that feedback told of `count` packets from `base` on. Those of them that did not
    /// arrive are missing.
    pub(super) fn covered(&mut self, base: u16, count: u16) {
        let len = self.packets.len();
        let first = self.back(base);
        let last = (first + 1).saturating_sub(count.into()).max(1);
        if count == 0 || last > len {
            return;
        }
        for packet in self.packets.range_mut(len - first.min(len)..=len - last) {
            if packet.fate == Fate::Unknown {
                packet.fate = Fate::Missing;
            }
        }
    }

    /// Hands the packets sent up to `until` that were not judged before to `judge`: when each was
    /// sent, and whether it is lost. Those that no feedback told of are passed over.
    pub(super) fn judge(&mut self, until: i64, mut judge: impl FnMut(i64, bool)) {
        let first = self.next - self.packets.len() as u64;
        self.unjudged = self.unjudged.max(first);
        for packet in self.packets.range((self.unjudged - first) as usize..) {
            if packet.at > until {
                break;
            }
            self.unjudged += 1;
            match packet.fate {
                Fate::Unknown => {}
                Fate::Missing => judge(packet.at, true),
                Fate::Arrived => judge(packet.at, false),
            }
        }
    }

    /// How far `seq` is behind the next packet: 1 to 2^16.
    fn back(&self, seq: u16) -> usize {
        match (self.next as u16).wrapping_sub(seq) {
            0 => 0x1_0000,
            back => back.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(history: &mut History) -> Vec<(i64, bool)> {
        let mut fates = Vec::new();
        history.judge(i64::MAX, |at, lost| fates.push((at, lost)));
        fates
    }

    #[test]
    fn each_packet_arrives_once_and_is_judged_once() {
        let mut history = History::default();
        for at in 0..70_000 {
            assert_eq!(history.sent(at, 100), at as u64);
        }
        // 69 990 is 4454 on the wire.
        let (seq, packet) = history.arrived(4454).unwrap();
        assert_eq!((seq, packet.at, packet.bytes), (69_990, 69_990, 100));
        assert_eq!(history.arrived(4454), None);
        history.covered(4453, 4);
        assert_eq!(
            fates(&mut history),
            [
                (69_989, true),
                (69_990, false),
                (69_991, true),
                (69_992, true)
            ]
        );
        assert!(fates(&mut history).is_empty());
    }

    #[test]
    fn nonsense_is_harmless() {
        let mut history = History::default();
        assert_eq!(history.arrived(0), None);
        history.covered(0, u16::MAX);
        for at in 0..10 {
            history.sent(at, 100);
        }
        for seq in 10..=u16::MAX {
            assert_eq!(history.arrived(seq), None);
        }
        history.covered(10, 100);
        history.covered(11, 1);
        history.covered(3, 0);
        assert!(fates(&mut history).is_empty());
        history.sent(10, 100);
        // From before the first packet to beyond the last.
        history.covered(65_000, 1000);
        assert_eq!(fates(&mut history), [(10, true)]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = History::default();
        for at in 0..100_000 {
            history.sent(at * 10, 100);
        }
        assert_eq!(history.packets.len(), MAX_PACKETS);
        history.sent(100_000_000, 100);
        assert_eq!(history.packets.len(), 1);
        assert!(fates(&mut history).is_empty());
    }
}
