//! A publisher's video: synthetic VP8, in one stream or several of simulcast.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::description::{Format, MID_ID, REPAIRED_RID_ID, RID_ID, TRANSPORT_ID, VP8};

/// Packets that are kept to be sent again.
const HISTORY: usize = 600;
/// A keyframe is as long as this many frames.
const KEYFRAME: usize = 5;
/// Payload bytes of a packet.
const PACKET: usize = 1000;
/// Packets of a source that tell its mid and rid; the server knows then.
const INTRODUCTION: usize = 30;
/// Bytes before the filling of a payload: descriptor, frame header, [`Content`].
const HEAD: usize = 6 + 1 + CONTENT;
const CONTENT: usize = 18;

/// What a packet is of, in its payload, so that receivers can tell without numbers that are rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// The source: camera and stream.
    pub(crate) source: u32,
    pub(crate) frame: u32,
    /// The frame it needs; itself if it is a keyframe.
    pub(crate) needs: u32,
    /// When it was captured, ms.
    pub(crate) captured: u32,
    pub(crate) index: u8,
    pub(crate) count: u8,
}

impl Content {
    fn write(&self) -> Vec<u8> {
        let words = [self.source, self.frame, self.needs, self.captured];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.extend([self.index, self.count]);
        bytes
    }

    /// Reads the content of a payload, behind its descriptor; none of padding.
    pub(crate) fn read(payload: &[u8]) -> Option<Content> {
        let bytes = payload.get(7..HEAD)?;
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        Some(Content {
            source: word(0),
            frame: word(4),
            needs: word(8),
            captured: word(12),
            index: bytes[16],
            count: bytes[17],
        })
    }
}

/// One stream.
pub(crate) struct Layer {
    pub(crate) rid: Option<&'static str>,
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: u32,
    pub(crate) bps: u64,
    /// Whether it is encoded now.
    pub(crate) active: bool,
    pub(crate) wants_keyframe: bool,
    pub(crate) keyframes: usize,
    pub(crate) resent: usize,
    /// It has frame of the camera's whose number this divides.
    pub(crate) every: u64,
    /// Loses the first packet of the next keyframe on the way.
    pub(crate) lose_start: bool,
    /// Leaves out the next packet, and does not keep it either.
    pub(crate) forget: bool,
    seq: u16,
    rtx_seq: u16,
    timestamp: u32,
    frame: u32,
    base: u32,
    picture: u16,
    tl0: u8,
    introduced: usize,
    /// Packets by sequence number: marker and timestamp, payload.
    history: VecDeque<(u16, bool, u32, Vec<u8>)>,
}

/// A camera.
pub(crate) struct Camera {
    pub(crate) mid: String,
    pub(crate) format: Format,
    pub(crate) layers: Vec<Layer>,
    pub(crate) muted: bool,
    /// Between two frames.
    pub(crate) interval: Duration,
    next: Option<Instant>,
    start: Instant,
    number: u64,
}

/// A packet to send: all but its extensions, and the rid that they tell.
struct Outgoing<'a> {
    payload_type: u8,
    marker: bool,
    seq: u16,
    timestamp: u32,
    ssrc: u32,
    mid: Option<&'a str>,
    rid: Option<(u8, &'a str)>,
    payload: Vec<u8>,
}

impl Outgoing<'_> {
    fn write(&self, transport: &mut u16) -> Vec<u8> {
        let mut packet = vec![0x90, u8::from(self.marker) << 7 | self.payload_type];
        packet.extend(self.seq.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        let mut block = vec![TRANSPORT_ID << 4 | 1];
        block.extend(transport.to_be_bytes());
        *transport = transport.wrapping_add(1);
        let mid = self.mid.map(|mid| (MID_ID, mid));
        for (id, value) in mid.into_iter().chain(self.rid) {
            block.push(id << 4 | (value.len() as u8 - 1));
            block.extend(value.as_bytes());
        }
        block.resize(block.len().next_multiple_of(4), 0);
        packet.extend([0xBE, 0xDE]);
        packet.extend((block.len() as u16 / 4).to_be_bytes());
        packet.extend(block);
        packet.extend(&self.payload);
        packet
    }
}

impl Camera {
    /// A camera that sends in the section `mid`; sources are numbered from `first`. Rates are of the
    /// layers q, h and f, or of one stream without a rid.
    pub(crate) fn new(mid: &str, first: u32, rates: &[u64], start: Instant) -> Camera {
        let rids: &[Option<&'static str>] = match rates.len() {
            1 => &[None],
            _ => &[Some("q"), Some("h"), Some("f")],
        };
        let layers = rates.iter().zip(rids).zip(0u32..);
        Camera {
            mid: mid.to_owned(),
            format: VP8,
            layers: layers
                .map(|((&bps, &rid), at)| Layer::new(rid, first + 2 * at, bps))
                .collect(),
            muted: false,
            interval: Duration::from_micros(33_333),
            next: None,
            start,
            number: 0,
        }
    }

    /// The packets that are due.
    pub(crate) fn poll(&mut self, now: Instant, transport: &mut u16) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        if self.muted {
            self.next = None;
            return sent;
        }
        let next = *self.next.get_or_insert(now);
        if next > now {
            return sent;
        }
        self.next = Some(next + self.interval);
        self.number += 1;
        let captured = (now - self.start).as_millis() as u32;
        let number = self.number;
        let due = |layer: &&mut Layer| layer.active && number.is_multiple_of(layer.every);
        for layer in self.layers.iter_mut().filter(due) {
            layer.encode(&self.mid, &self.format, number, captured, |packet| {
                sent.push(packet.write(transport));
            });
        }
        sent
    }

    /// The packets of `ssrc` that a NACK asks for, as retransmissions.
    pub(crate) fn resend(&mut self, ssrc: u32, seqs: &[u16], transport: &mut u16) -> Vec<Vec<u8>> {
        let Some(layer) = self.layers.iter_mut().find(|layer| layer.ssrc == ssrc) else {
            return Vec::new();
        };
        let mut sent = Vec::new();
        for seq in seqs {
            let Some((_, marker, timestamp, payload)) =
                layer.history.iter().find(|(at, ..)| at == seq)
            else {
                continue;
            };
            layer.rtx_seq = layer.rtx_seq.wrapping_add(1);
            layer.resent += 1;
            let mut original = seq.to_be_bytes().to_vec();
            original.extend(payload);
            let packet = Outgoing {
                payload_type: self.format.rtx,
                marker: *marker,
                seq: layer.rtx_seq,
                timestamp: *timestamp,
                ssrc: layer.rtx_ssrc,
                mid: Some(&self.mid),
                rid: layer.rid.map(|rid| (REPAIRED_RID_ID, rid)),
                payload: original,
            };
            sent.push(packet.write(transport));
        }
        sent
    }

    /// A keyframe of `ssrc` is asked for.
    pub(crate) fn picture_lost(&mut self, ssrc: u32) -> bool {
        let layer = self.layers.iter_mut().find(|layer| layer.ssrc == ssrc);
        layer.map(|layer| layer.wants_keyframe = true).is_some()
    }
}

impl Layer {
    fn new(rid: Option<&'static str>, ssrc: u32, bps: u64) -> Layer {
        Layer {
            rid,
            ssrc,
            rtx_ssrc: ssrc + 1,
            bps,
            active: true,
            wants_keyframe: true,
            keyframes: 0,
            resent: 0,
            every: 1,
            lose_start: false,
            forget: false,
            seq: (ssrc as u16).wrapping_mul(7919),
            rtx_seq: (ssrc as u16).wrapping_mul(4241),
            timestamp: ssrc.wrapping_mul(0x9E37_79B9),
            frame: 0,
            base: 0,
            picture: (ssrc as u16).wrapping_mul(331) & 0x7FFF,
            tl0: ssrc as u8,
            introduced: 0,
            history: VecDeque::new(),
        }
    }

    /// Goes on under another source, as a browser does whose encoder was replaced.
    pub(crate) fn replace_source(&mut self, ssrc: u32) {
        *self = Layer::new(self.rid, ssrc, self.bps);
    }

    /// The timestamp of a frame captured so many ms after the start.
    pub(crate) fn timestamp_at(&self, captured: u32) -> u32 {
        self.timestamp.wrapping_add(90 * captured)
    }

    /// Tells its mid and rid again.
    pub(crate) fn introduce(&mut self) {
        self.introduced = 0;
    }

    fn encode(
        &mut self,
        mid: &str,
        format: &Format,
        number: u64,
        captured: u32,
        mut send: impl FnMut(Outgoing<'_>),
    ) {
        let key = std::mem::take(&mut self.wants_keyframe);
        let base = key || number.is_multiple_of(2);
        self.frame += 1;
        self.picture = (self.picture + 1) & 0x7FFF;
        if key {
            self.base = self.frame;
            self.keyframes += 1;
        }
        let needs = self.base;
        if base {
            self.base = self.frame;
            self.tl0 = self.tl0.wrapping_add(1);
        }
        let bytes = self.bps as usize / 8 / 30 * if key { KEYFRAME } else { 1 };
        let count = bytes.div_ceil(PACKET).clamp(1, 255);
        let timestamp = self.timestamp.wrapping_add(90 * captured);
        for index in 0..count {
            let content = Content {
                source: self.ssrc,
                frame: self.frame,
                needs,
                captured,
                index: index as u8,
                count: count as u8,
            };
            let [high, low] = (self.picture | 0x8000).to_be_bytes();
            let start = if index == 0 { 0x90 } else { 0x80 };
            // The layer above the base may be joined at any of its frames.
            let temporal = if base { 0 } else { 0x60 };
            let mut payload = vec![start, 0xE0, high, low, self.tl0, temporal, u8::from(!key)];
            payload.extend(content.write());
            payload.resize((bytes / count).max(HEAD), 0xAA);
            let marker = index + 1 == count;
            let introduce = self.introduced < INTRODUCTION;
            self.introduced += 1;
            let outgoing = Outgoing {
                payload_type: format.payload_type,
                marker,
                seq: self.seq,
                timestamp,
                ssrc: self.ssrc,
                mid: introduce.then_some(mid),
                rid: self.rid.filter(|_| introduce).map(|rid| (RID_ID, rid)),
                payload: payload.clone(),
            };
            let lost = key && index == 0 && std::mem::take(&mut self.lose_start);
            let forgotten = std::mem::take(&mut self.forget);
            if !lost && !forgotten {
                send(outgoing);
            }
            if !forgotten {
                self.history
                    .push_back((self.seq, marker, timestamp, payload));
            }
            if self.history.len() > HISTORY {
                self.history.pop_front();
            }
            self.seq = self.seq.wrapping_add(1);
        }
    }
}
