//! Transport-wide congestion control feedback: which packets of a transport arrived, and when
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1; RTCP type 205, format 15).

/// Bytes of the body before the packet chunks: two SSRCs, base, count, reference time, number.
pub(super) const HEAD: usize = 16;
/// The most packets one run-length chunk tells of.
pub(super) const MAX_RUN: usize = 0x1FFF;
/// Packets one chunk of one-bit symbols tells of.
pub(super) const ONE_BIT: usize = 14;
/// Packets one chunk of two-bit symbols tells of.
pub(super) const TWO_BIT: usize = 7;

pub(super) const MISSING: u16 = 0;
pub(super) const SMALL: u16 = 1;
pub(super) const LARGE: u16 = 2;
const RESERVED: u16 = 3;

/// Arrival times count ticks of this many microseconds.
pub const TICK_US: i64 = 250;
/// Reference times count this many ticks (64 ms).
pub const REFERENCE_TICKS: i64 = 256;

/// Where in its compound a feedback packet is, so that an item of a compound borrows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedbackSpan {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl FeedbackSpan {
    /// The feedback, given the compound it was read from.
    pub fn of(self, compound: &[u8]) -> Option<TransportFeedback<'_>> {
        TransportFeedback::parse(compound.get(self.start..self.end)?)
    }
}

/// A well-formed feedback packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    base: u16,
    count: u16,
    reference: u32,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> TransportFeedback<'a> {
    /// Parses the body of the RTCP packet. `None` if its chunks tell of fewer packets than it
    /// counts, use the reserved symbol, or promise more deltas than follow.
    ///
    /// Takes time in proportion to the length of `body`, whatever it claims.
    pub fn parse(body: &'a [u8]) -> Option<TransportFeedback<'a>> {
        let head: &[u8; HEAD] = body.first_chunk()?;
        let count = u16::from_be_bytes([head[10], head[11]]);
        if count == 0 {
            return None;
        }
        let (mut left, mut at, mut promised) = (usize::from(count), HEAD, 0);
        while left > 0 {
            let chunk = Chunk::read(body.get(at..)?)?;
            let told = chunk.len().min(left);
            promised += chunk.delta_bytes(told)?;
            left -= told;
            at += 2;
        }
        Some(TransportFeedback {
            base: u16::from_be_bytes([head[8], head[9]]),
            count,
            reference: u32::from_be_bytes([0, head[12], head[13], head[14]]),
            chunks: &body[HEAD..at],
            deltas: body.get(at..at + promised)?,
        })
    }

    /// The first sequence number it tells of.
    pub fn base(&self) -> u16 {
        self.base
    }

    /// How many packets from the base on it tells of; those that did not arrive included.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The receiver's clock: 24 bits, in units of 64 ms from an arbitrary start.
    pub fn reference(&self) -> u32 {
        self.reference
    }

    /// The packets that arrived, in ascending order: how far each is above the base, and its
    /// arrival in ticks of 250 µs after the reference time.
    ///
    /// It yields at most one packet for each byte of the feedback: runs of missing packets, which
    /// can be claimed for free, are skipped.
    pub fn arrivals(&self) -> Arrivals<'a> {
        Arrivals {
            chunks: self.chunks,
            deltas: self.deltas,
            chunk: Chunk(0),
            at: 0,
            told: 0,
            count: self.count.into(),
            ticks: 0,
        }
    }
}

/// Iterates over the packets that arrived; see [`TransportFeedback::arrivals`].
#[derive(Clone, Debug)]
pub struct Arrivals<'a> {
    chunks: &'a [u8],
    deltas: &'a [u8],
    chunk: Chunk,
    /// Packets of the chunk told of.
    at: usize,
    /// Packets of the feedback told of.
    told: usize,
    count: usize,
    ticks: i64,
}

impl Iterator for Arrivals<'_> {
    type Item = (u16, i64);

    fn next(&mut self) -> Option<(u16, i64)> {
        while self.told < self.count {
            if self.at == self.chunk.len() {
                self.chunk = Chunk::read(self.chunks)?;
                self.chunks = &self.chunks[2..];
                self.at = 0;
                if self.chunk.is_run_of(MISSING) {
                    self.at = self.chunk.len();
                    self.told += self.at;
                }
                continue;
            }
            let symbol = self.chunk.symbol(self.at);
            let above_base = self.told as u16;
            self.at += 1;
            self.told += 1;
            let delta = match symbol {
                MISSING => continue,
                SMALL => {
                    let (&delta, rest) = self.deltas.split_first()?;
                    self.deltas = rest;
                    i64::from(delta)
                }
                _ => {
                    let (&delta, rest) = self.deltas.split_first_chunk()?;
                    self.deltas = rest;
                    i64::from(i16::from_be_bytes(delta))
                }
            };
            self.ticks += delta;
            return Some((above_base, self.ticks));
        }
        None
    }
}

/// A packet chunk: the symbols of some packets.
#[derive(Clone, Copy, Debug)]
struct Chunk(u16);

impl Chunk {
    fn read(bytes: &[u8]) -> Option<Chunk> {
        bytes
            .first_chunk()
            .map(|bytes| Chunk(u16::from_be_bytes(*bytes)))
    }

    fn is_vector(self) -> bool {
        self.0 & 0x8000 != 0
    }

    fn is_run_of(self, symbol: u16) -> bool {
        !self.is_vector() && self.0 >> 13 == symbol
    }

    fn has_two_bits(self) -> bool {
        self.0 & 0x4000 != 0
    }

    fn len(self) -> usize {
        match (self.is_vector(), self.has_two_bits()) {
            (false, _) => usize::from(self.0) & MAX_RUN,
            (true, false) => ONE_BIT,
            (true, true) => TWO_BIT,
        }
    }

    fn symbol(self, at: usize) -> u16 {
        match (self.is_vector(), self.has_two_bits()) {
            (false, _) => self.0 >> 13,
            (true, false) => self.0 >> (ONE_BIT - 1 - at) & 1,
            (true, true) => self.0 >> (2 * (TWO_BIT - 1 - at)) & 3,
        }
    }

    /// How long the deltas of its first `told` packets are.
    fn delta_bytes(self, told: usize) -> Option<usize> {
        if !self.is_vector() {
            let symbol = self.0 >> 13;
            return (told == 0 || symbol != RESERVED).then_some(told * usize::from(symbol));
        }
        (0..told).try_fold(0, |sum, at| match self.symbol(at) {
            RESERVED => None,
            symbol => Some(sum + usize::from(symbol)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body with base 100, reference 7, and what follows.
    fn body(count: u16, rest: &[u8]) -> Vec<u8> {
        let mut body = vec![0, 0, 0, 1, 0, 0, 0, 2, 0, 100];
        body.extend(count.to_be_bytes());
        body.extend([0, 0, 7, 9]);
        body.extend(rest);
        body
    }

    fn arrivals(body: &[u8]) -> Option<Vec<(u16, i64)>> {
        TransportFeedback::parse(body).map(|feedback| feedback.arrivals().collect())
    }

    #[test]
    fn every_kind_of_chunk_is_read() {
        // A run of two small ones, one of three missing, and a vector.
        let rest = [0x20, 2, 0, 3, 0xE1, 0x3F, 4, 8, 0xFF, 0xFE, 255, 1];
        let body = body(9, &rest);
        let feedback = TransportFeedback::parse(&body).unwrap();
        assert_eq!(
            (feedback.base(), feedback.count(), feedback.reference()),
            (100, 9, 7)
        );
        // 0xE13F = 11 10 00 01 00 11 11 11: a two-bit vector of 2, 0, 1, 0 and reserved ones after.
        let told: Vec<_> = feedback.arrivals().collect();
        assert_eq!(told, [(0, 4), (1, 12), (5, 10), (7, 265)]);
    }

    #[test]
    fn lies_are_refused() {
        for (count, rest) in [
            (0, &[0x20, 1, 5, 0][..]),
            // Fewer chunks than packets.
            (3, &[0x20, 2, 1, 1]),
            (1, &[]),
            (u16::MAX, &[0x1F, 0xFF, 0x1F, 0xFF]),
            // Fewer deltas than promised.
            (5, &[0x20, 5, 1, 1]),
            (2, &[0x40, 2, 1, 1]),
            (7, &[0xD5, 0x55, 1, 2, 3, 4, 5, 6]),
            (14, &[0xBF, 0xFF, 1, 1]),
            // The reserved symbol.
            (1, &[0x60, 1, 1, 1]),
            (1, &[0xF0, 0, 1, 1, 1, 1]),
            // Runs of nothing.
            (1, &[0; 64]),
        ] {
            assert_eq!(arrivals(&body(count, rest)), None, "{count} {rest:x?}");
        }
        assert_eq!(arrivals(&body(1, &[0x20, 1, 1])[..15]), None);
    }

    #[test]
    fn missing_packets_cost_nothing_to_claim_and_nothing_to_read() {
        let mut rest = [0x1F, 0xFF].repeat(8);
        // 8 · 8191 missing ones; the last of 65 535 arrived.
        rest.extend([0x20, 7, 1, 1, 1, 1, 1, 1, 1]);
        let told = arrivals(&body(u16::MAX, &rest)).unwrap();
        assert_eq!(told.len(), 7);
        assert_eq!(told[6], (65_534, 7));
    }
}
