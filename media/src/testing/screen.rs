//! A receiver of one stream of synthetic video, which decodes what can be decoded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::camera::Content;
use crate::rtp::header::Header;
use crate::rtp::nack::NackGenerator;
use crate::rtp::receive::ReceiveStats;

/// Packets that are remembered.
const KEPT: usize = 2000;
/// Without a frame for so long a keyframe is asked for.
const PATIENCE: Duration = Duration::from_millis(500);

/// A decoded frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) at: Instant,
    pub(crate) content: Content,
    pub(crate) key: bool,
    pub(crate) timestamp: u32,
    pub(crate) picture: u16,
    /// The extended number of its first packet.
    pub(crate) seq: u64,
}

impl Frame {
    fn count(&self) -> u64 {
        self.content.count.into()
    }
}

#[derive(Clone, Copy)]
enum Piece {
    Padding,
    Of(Frame),
}

/// See the [module](self).
pub(crate) struct Screen {
    pub(crate) ssrc: u32,
    pub(crate) frames: Vec<Frame>,
    pub(crate) nack: NackGenerator,
    pub(crate) stats: ReceiveStats,
    /// Packets that came, repaired ones too.
    pub(crate) packets: usize,
    /// Of those, how many came by retransmission.
    pub(crate) repaired: usize,
    /// Rules of RTP or VP8 that were broken.
    pub(crate) faults: Vec<String>,
    pieces: BTreeMap<u64, Piece>,
    decoded: BTreeSet<(u32, u32)>,
    asked: Option<Instant>,
    since: Instant,
}

impl Screen {
    pub(crate) fn new(ssrc: u32, now: Instant) -> Screen {
        Screen {
            ssrc,
            frames: Vec::new(),
            nack: NackGenerator::video(),
            stats: ReceiveStats::new(90_000),
            packets: 0,
            repaired: 0,
            faults: Vec::new(),
            pieces: BTreeMap::new(),
            decoded: BTreeSet::new(),
            asked: None,
            since: now,
        }
    }

    /// Takes a packet, or what a retransmission (`repaired`) repeats.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        header: &Header,
        seq: u16,
        payload: &[u8],
        repaired: bool,
    ) {
        self.packets += 1;
        self.repaired += usize::from(repaired);
        let received = match repaired {
            true => self.stats.repaired(seq),
            false => self.stats.receive(now, seq, header.timestamp),
        };
        if received.restarted {
            self.faults.push(format!("numbers jump to {seq}"));
        }
        self.nack.received(now, received.seq);
        let piece = match Content::read(payload) {
            Some(content) => Piece::Of(Frame {
                at: now,
                content,
                key: payload[6] & 1 == 0,
                timestamp: header.timestamp,
                picture: u16::from_be_bytes([payload[2], payload[3]]) & 0x7FFF,
                seq: received.seq - u64::from(content.index),
            }),
            None => Piece::Padding,
        };
        if let (Piece::Of(frame), Some(Piece::Of(other))) = (piece, self.pieces.get(&received.seq))
            && frame.content != other.content
        {
            self.faults.push(format!("{seq} is two packets"));
        }
        self.pieces.insert(received.seq, piece);
        while self.pieces.len() > KEPT {
            self.pieces.pop_first();
        }
        self.decode(now);
    }

    /// Whether a keyframe is to be asked for now.
    pub(crate) fn lacks_picture(&mut self, now: Instant) -> bool {
        let last = self.frames.last().map_or(self.since, |frame| frame.at);
        let lacks = self.packets > 0 && now - last >= PATIENCE;
        let again = self.asked.is_none_or(|at| now - at >= PATIENCE);
        if lacks && again {
            self.asked = Some(now);
        }
        lacks && again
    }

    fn decode(&mut self, now: Instant) {
        loop {
            let from = self.frames.last().map_or(0, |frame| frame.seq + 1);
            let next = self.pieces.range(from..).find_map(|(seq, piece)| {
                let Piece::Of(frame) = piece else { return None };
                let content = &frame.content;
                let known = self.decoded.contains(&(content.source, content.needs));
                let whole = || {
                    (frame.seq..frame.seq + frame.count()).all(|seq| {
                        matches!(self.pieces.get(&seq), Some(Piece::Of(other))
                            if other.content.frame == content.frame)
                    })
                };
                (*seq == frame.seq && (frame.key || known) && whole()).then_some(*frame)
            });
            let Some(mut frame) = next else { return };
            frame.at = now;
            self.check(&frame);
            let content = &frame.content;
            self.decoded.insert((content.source, content.frame));
            self.frames.push(frame);
        }
    }

    /// What receivers rely on of a frame after another.
    fn check(&mut self, frame: &Frame) {
        let Some(last) = self.frames.last() else {
            return;
        };
        let adjoins = (last.seq + last.count()..frame.seq)
            .all(|seq| matches!(self.pieces.get(&seq), Some(Piece::Padding)));
        let step = frame.picture.wrapping_sub(last.picture) & 0x7FFF;
        if adjoins && step != 1 {
            self.faults.push(format!(
                "picture {} follows {}",
                frame.picture, last.picture
            ));
        }
        let ticks = frame.timestamp.wrapping_sub(last.timestamp) as i32;
        let ms = i64::from(frame.content.captured) - i64::from(last.content.captured);
        if ticks <= 0 || (i64::from(ticks) / 90 - ms).abs() > 40 {
            self.faults.push(format!("{ticks} ticks for {ms} ms"));
        }
    }

    /// The longest time without a picture since `from`, up to `until`.
    pub(crate) fn longest_gap(&self, from: Instant, until: Instant) -> Duration {
        let times = self.frames.iter().map(|frame| frame.at);
        let mut last = from;
        let mut longest = Duration::ZERO;
        for at in times.filter(|at| *at >= from).chain([until]) {
            longest = longest.max(at.saturating_duration_since(last));
            last = at;
        }
        longest
    }
}
