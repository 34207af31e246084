//! What a receiver could show: whole pictures all of whose references it could show as well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde::Serialize;

use super::vp8::Payload;

/// Packets and pictures behind the newest that are still waited for.
const WINDOW: u64 = 4096;

/// A picture that could be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// When it could.
    pub at: Instant,
    /// Its layer, low to high.
    pub layer: u8,
    /// Whether it is a keyframe.
    pub keyframe: bool,
    /// When it was made, µs of the run.
    pub made_us: u64,
}

/// What must not be on the wire, however bad the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// A picture that follows another without its number being one more.
    pub picture_jumps: u64,
    /// Timestamps that do not grow from picture to picture.
    pub timestamps_back: u64,
    /// Another layer without a keyframe.
    pub switches_without_keyframe: u64,
    /// Payloads that are no VP8.
    pub unreadable: u64,
    /// Whether the stream began with anything but a keyframe.
    pub late_start: bool,
}

impl Faults {
    /// Whether there are any.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    payload: Payload,
    timestamp: u32,
    marker: bool,
}

/// A whole picture.
#[derive(Debug, Clone, Copy)]
struct Whole {
    last_seq: u64,
    payload: Payload,
    timestamp: u32,
}

/// Puts packets together.
#[derive(Debug, Default)]
pub struct Pictures {
    pieces: BTreeMap<u64, Piece>,
    /// Whole ones that could not be shown yet, by their first sequence number.
    whole: BTreeMap<u64, Whole>,
    /// Numbers that belong to no picture.
    fillers: BTreeSet<u64>,
    shown: Option<Whole>,
    first_seq: Option<u64>,
    highest_seq: u64,
    received: u64,
    /// Packets that came twice.
    doubled: u64,
    faults: Faults,
}

impl Pictures {
    /// A packet came; gives the pictures that can be shown now.
    pub fn packet(
        &mut self,
        at: Instant,
        seq: u64,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> Vec<Shown> {
        let read = Payload::read(payload);
        if self.first_seq.is_none() {
            self.faults.late_start = read.is_none_or(|payload| payload.keyframe.is_none());
        }
        self.received += 1;
        self.first_seq = Some(self.first_seq.map_or(seq, |first| first.min(seq)));
        self.highest_seq = self.highest_seq.max(seq);
        if let Some(payload) = read {
            let piece = Piece {
                payload,
                timestamp,
                marker,
            };
            if self.pieces.insert(seq, piece).is_some() {
                self.doubled += 1;
            }
            if let Some((first, whole)) = self.assemble(seq) {
                self.whole.insert(first, whole);
            }
        } else {
            // Without a payload it fills a number that the sender has no picture for.
            self.faults.unreadable += u64::from(!payload.is_empty());
            self.fillers.insert(seq);
        }
        let oldest = self.highest_seq.saturating_sub(WINDOW);
        self.pieces = self.pieces.split_off(&oldest);
        self.fillers = self.fillers.split_off(&oldest);
        let mut shown = Vec::new();
        while let Some(next) = self.next() {
            shown.push(self.show(at, next));
        }
        shown
    }

    /// Sequence numbers that never came, between the first and the highest.
    pub fn missing(&self) -> u64 {
        let span = self
            .first_seq
            .map_or(0, |first| self.highest_seq - first + 1);
        span.saturating_sub(self.received - self.doubled)
    }

    /// Packets received, those that came twice included.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// What was wrong on the wire.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// The picture that a packet completes, if it does.
    fn assemble(&self, seq: u64) -> Option<(u64, Whole)> {
        let timestamp = self.pieces.get(&seq)?.timestamp;
        let piece = |at: u64| {
            let piece = self.pieces.get(&at)?;
            (piece.timestamp == timestamp).then_some(piece)
        };
        let mut first = seq;
        while !piece(first)?.payload.start {
            first = first.checked_sub(1)?;
        }
        let mut last = seq;
        while !piece(last)?.marker {
            last += 1;
        }
        let whole = Whole {
            last_seq: last,
            payload: piece(first)?.payload,
            timestamp,
        };
        Some((first, whole))
    }

    /// The first sequence number of what can be shown next: what follows what was shown, or else any
    /// later keyframe.
    fn next(&mut self) -> Option<u64> {
        let mut after = self.shown.map_or(0, |shown| shown.last_seq + 1);
        while self.fillers.contains(&after) {
            after += 1;
        }
        self.whole = self.whole.split_off(&after);
        if self.shown.is_some() && self.whole.contains_key(&after) {
            return Some(after);
        }
        let mut whole = self.whole.iter();
        whole
            .find(|(_, whole)| whole.payload.keyframe.is_some())
            .map(|(first, _)| *first)
    }

    fn show(&mut self, at: Instant, first: u64) -> Shown {
        // The caller found it.
        let whole = self.whole.remove(&first).expect("it was just found");
        let payload = whole.payload;
        if let Some(before) = self.shown.replace(whole) {
            let next = (before.payload.picture + 1) & 0x7fff;
            let follows = (before.last_seq + 1..first).all(|seq| self.fillers.contains(&seq));
            if follows && payload.picture != next {
                self.faults.picture_jumps += 1;
            }
            let ahead = whole.timestamp.wrapping_sub(before.timestamp);
            if ahead == 0 || ahead >= 1 << 31 {
                self.faults.timestamps_back += 1;
            }
            let switched = payload.stamp.layer != before.payload.stamp.layer;
            if switched && payload.keyframe.is_none() {
                self.faults.switches_without_keyframe += 1;
            }
        }
        self.pieces = self.pieces.split_off(&(whole.last_seq + 1));
        Shown {
            at,
            layer: payload.stamp.layer,
            keyframe: payload.keyframe.is_some(),
            made_us: payload.stamp.made_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::{LAYERS, Source};
    use super::*;

    type Sent = Vec<(u64, u32, bool, Vec<u8>)>;

    /// A stream of so many pictures, the first a keyframe, as (seq, timestamp, marker, payload).
    fn stream(pictures: u32) -> Sent {
        let mut source = Source::new(LAYERS[1], 1, 1);
        let mut sent = Vec::new();
        for n in 0..pictures {
            let payloads = source.picture(n == 0, 0);
            let last = payloads.len() - 1;
            for (at, payload) in payloads.into_iter().enumerate() {
                sent.push((100 + sent.len() as u64, n * 3000, at == last, payload));
            }
        }
        sent
    }

    fn receive(sent: &Sent) -> (Pictures, Vec<Shown>) {
        let mut pictures = Pictures::default();
        let now = Instant::now();
        let mut shown = Vec::new();
        for (seq, timestamp, marker, payload) in sent {
            shown.extend(pictures.packet(now, *seq, *timestamp, *marker, payload));
        }
        (pictures, shown)
    }

    #[test]
    fn a_whole_stream_is_shown_without_faults() {
        let (pictures, shown) = receive(&stream(30));
        assert_eq!(shown.len(), 30);
        assert!(shown[0].keyframe && !shown[1].keyframe);
        assert_eq!(
            (pictures.faults(), pictures.missing()),
            (Faults::default(), 0)
        );
    }

    #[test]
    fn what_refers_to_a_lost_picture_waits_for_it() {
        let mut sent = stream(30);
        let at = sent.iter().position(|p| p.1 == 10 * 3000).unwrap();
        let late = sent.remove(at);
        let (pictures, shown) = receive(&sent);
        assert_eq!((shown.len(), pictures.missing()), (10, 1));
        sent.push(late);
        let (pictures, shown) = receive(&sent);
        assert_eq!((shown.len(), pictures.missing()), (30, 0));
        assert!(!pictures.faults().any());
    }

    #[test]
    fn a_keyframe_needs_nothing_before_it() {
        let mut sent = stream(10);
        sent.remove(12);
        let next = sent.last().unwrap().0 + 1;
        let mut keyframe = Source::new(LAYERS[0], 0, 1).picture(true, 0);
        let last = keyframe.len() - 1;
        for (at, payload) in keyframe.drain(..).enumerate() {
            sent.push((next + at as u64, 90_000, at == last, payload));
        }
        let (_, shown) = receive(&sent);
        assert!(shown.last().unwrap().keyframe);
        assert_eq!(shown.last().unwrap().layer, 0);
    }

    #[test]
    fn what_must_not_be_on_the_wire_is_noticed() {
        let mut jump = stream(10);
        let at = jump.iter().position(|p| p.1 == 5 * 3000).unwrap();
        let gone = jump.iter().filter(|p| p.1 == 5 * 3000).count();
        jump.drain(at..at + gone);
        for (n, packet) in jump.iter_mut().enumerate() {
            packet.0 = n as u64;
        }
        assert_eq!(receive(&jump).0.faults().picture_jumps, 1);

        let mut back = stream(3);
        for packet in &mut back {
            packet.1 = 9000 - packet.1;
        }
        assert_eq!(receive(&back).0.faults().timestamps_back, 2);

        let tail = stream(3).into_iter().filter(|p| p.1 > 0).collect();
        let (pictures, shown) = receive(&tail);
        assert!(pictures.faults().late_start && shown.is_empty());
    }
}
