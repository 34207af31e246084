//! Writing transport-wide congestion control feedback.

use super::transport_feedback::{
    HEAD, LARGE, MAX_RUN, MISSING, ONE_BIT, REFERENCE_TICKS, SMALL, TWO_BIT,
};
use super::write::Compound;

impl Compound<'_> {
    /// Transport-wide feedback number `number`
    /// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1) on the packets from `base` on:
    /// when each arrived, in ticks of 250 µs of the caller's clock, or `None` if it is missing.
    ///
    /// Returns how many packets it tells of: as many as there is room for whatever befell them, and
    /// none that arrived 8 s from the one before. Missing ones in front take no room.
    pub fn transport_feedback(
        &mut self,
        sender: u32,
        media: u32,
        number: u8,
        base: u16,
        arrivals: impl Iterator<Item = Option<i64>> + Clone,
    ) -> usize {
        let missing = arrivals.clone().take_while(Option::is_none).count();
        let most = (missing + capacity(self.room())).min(usize::from(u16::MAX));
        let arrivals = arrivals.take(most);
        let Some(first) = arrivals.clone().flatten().next() else {
            return 0;
        };
        let reference = first.div_euclid(REFERENCE_TICKS);
        let statuses = statuses(reference * REFERENCE_TICKS, arrivals);
        let told = statuses.clone().count();
        let before = self.len();
        self.packet(15, 205, |packet| {
            packet.word(sender);
            packet.word(media);
            packet.word(u32::from(base) << 16 | told as u32);
            packet.word((reference as u32) << 8 | u32::from(number));
            write_chunks(statuses.clone(), |chunk| packet.bytes(&chunk.to_be_bytes()));
            for status in statuses {
                let (bytes, delta) = status.bytes();
                packet.bytes(&bytes[delta]);
            }
            let end = packet.len.next_multiple_of(4) - packet.len;
            packet.bytes(&[0; 4][..end]);
        });
        if self.len() > before { told } else { 0 }
    }
}

/// The most packets that one feedback packet in `room` bytes can tell of whatever befell them,
/// after any number of missing ones.
fn capacity(room: usize) -> usize {
    // Seven packets take a chunk and at most seven large deltas; a chunk or two for the missing
    // ones in front, and one that is not full; up to three zeros at the end.
    room.saturating_sub(4 + HEAD + 6 + 3) / 16 * TWO_BIT
}

/// What a packet's feedback consists of: its symbol, and its delta to the packet received before.
#[derive(Clone, Copy, Debug)]
struct Status {
    symbol: u16,
    delta: i16,
}

impl Status {
    /// The delta on the wire.
    fn bytes(self) -> ([u8; 2], std::ops::Range<usize>) {
        let bytes = self.delta.to_be_bytes();
        match self.symbol {
            MISSING => (bytes, 0..0),
            SMALL => (bytes, 1..2),
            _ => (bytes, 0..2),
        }
    }
}

/// The statuses of packets with `arrivals` (ticks, `None` for a missing one) relative to
/// `reference` (ticks). It ends before a packet that came too long after the one before.
fn statuses(
    reference: i64,
    arrivals: impl Iterator<Item = Option<i64>> + Clone,
) -> impl Iterator<Item = Status> + Clone {
    arrivals.scan(reference, |before, arrival| {
        let Some(arrival) = arrival else {
            return Some(Status {
                symbol: MISSING,
                delta: 0,
            });
        };
        let delta = i16::try_from(arrival - *before).ok()?;
        *before = arrival;
        let symbol = if (0..=0xFF).contains(&delta) {
            SMALL
        } else {
            LARGE
        };
        Some(Status { symbol, delta })
    })
}

/// Hands the chunks that tell of `statuses` to `write`.
fn write_chunks(mut statuses: impl Iterator<Item = Status> + Clone, mut write: impl FnMut(u16)) {
    loop {
        let mut ahead = statuses.clone().map(|status| status.symbol);
        let Some(first) = ahead.next() else {
            return;
        };
        let run = 1 + ahead
            .take(MAX_RUN - 1)
            .take_while(|&symbol| symbol == first)
            .count();
        let next = statuses.clone().take(ONE_BIT);
        let one_bit = next.clone().all(|status| status.symbol != LARGE);
        let (chunk, told) = if run >= ONE_BIT || run >= next.count() || (run >= TWO_BIT && !one_bit)
        {
            (first << 13 | run as u16, run)
        } else {
            let (kind, len, bits) = if one_bit {
                (0x8000, ONE_BIT, 1)
            } else {
                (0xC000, TWO_BIT, 2)
            };
            let symbols = statuses.clone().take(len).map(|status| status.symbol);
            let chunk = (0..len)
                .zip(symbols.chain(std::iter::repeat(MISSING)))
                .fold(kind, |chunk, (at, symbol)| {
                    chunk | symbol << (bits * (len - 1 - at))
                });
            (chunk, len)
        };
        write(chunk);
        for _ in 0..told {
            statuses.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_reads_transport_feedback() {
        use rtc_rtcp::transport_feedbacks::transport_layer_cc::{SymbolTypeTcc, TransportLayerCc};
        let mut buffer = [0; 512];
        let mut compound = Compound::new(&mut buffer);
        // Small steps, a large one, one back, losses, and a long run.
        let mut arrivals = vec![
            Some(2_600),
            Some(2_604),
            None,
            Some(4_000),
            Some(3_990),
            None,
        ];
        arrivals.extend((0..20).map(|n| Some(4_000 + n)));
        arrivals.extend([None; 30]);
        arrivals.push(Some(4_100));
        let told = compound.transport_feedback(1, 9, 3, 65_530, arrivals.iter().copied());
        assert_eq!(told, arrivals.len());
        let len = compound.len();
        let packets = rtc_rtcp::packet::unmarshal(&mut &buffer[..len]).unwrap();
        let feedback = packets[0]
            .as_any()
            .downcast_ref::<TransportLayerCc>()
            .unwrap();
        assert_eq!(feedback.base_sequence_number, 65_530);
        assert_eq!(usize::from(feedback.packet_status_count), arrivals.len());
        assert_eq!(feedback.reference_time, 2_600 / 256);
        assert_eq!((feedback.sender_ssrc, feedback.media_ssrc), (1, 9));
        assert_eq!(feedback.fb_pkt_count, 3);
        let deltas: Vec<i64> = feedback
            .recv_deltas
            .iter()
            .map(|it| it.delta / 250)
            .collect();
        let mut expected = vec![40, 4, 1_396, -10, 10];
        expected.extend([1; 19]);
        expected.push(81);
        assert_eq!(deltas, expected);
        let large = feedback
            .recv_deltas
            .iter()
            .filter(|it| it.type_tcc_packet == SymbolTypeTcc::PacketReceivedLargeDelta);
        assert_eq!(large.count(), 2);
        assert_eq!(read_back(&buffer[..len], 65_530), arrivals);
    }

    #[test]
    fn random_feedback_is_read_back_and_never_overruns() {
        use rand::{Rng, SeedableRng, rngs::StdRng};
        let mut random = StdRng::seed_from_u64(5);
        let mut buffer = [0; 1400];
        for _ in 0..2000 {
            let (loss, step) = (random.random::<f64>(), random.random_range(1..2_000));
            let mut clock = random.random_range(0..1 << 30);
            let mut arrivals: Vec<Option<i64>> = (0..random.random_range(1..600))
                .map(|_| {
                    clock += random.random_range(-step / 4..step);
                    (random.random::<f64>() > loss).then_some(clock)
                })
                .collect();
            let room = random.random_range(0..buffer.len());
            let mut compound = Compound::new(&mut buffer[..room]);
            let base = random.random();
            let told = compound.transport_feedback(1, 9, 3, base, arrivals.iter().copied());
            let len = compound.len();
            assert_eq!(told == 0, len == 0);
            if told > 0 {
                arrivals.truncate(told);
                assert_eq!(read_back(&buffer[..len], base), arrivals);
            }
        }
    }

    #[test]
    fn a_packet_hours_later_is_left_to_the_next_feedback() {
        let mut buffer = [0; 512];
        let mut compound = Compound::new(&mut buffer);
        let arrivals = [Some(0), Some(1), None, Some(10_000_000)];
        assert_eq!(
            compound.transport_feedback(1, 9, 3, 0, arrivals.into_iter()),
            3
        );
    }

    /// The arrivals in a feedback packet, by the ticks of the clock that it was written with.
    fn read_back(compound: &[u8], base: u16) -> Vec<Option<i64>> {
        use crate::rtcp::read::{RtcpItem, read_compound};
        let mut all = Vec::new();
        read_compound(compound, |item| {
            let RtcpItem::TransportFeedback(span) = item else {
                panic!("{item:?}");
            };
            let feedback = span.of(compound).unwrap();
            assert_eq!(feedback.base(), base);
            all = vec![None; feedback.count().into()];
            let reference = i64::from(feedback.reference()) * REFERENCE_TICKS;
            for (above_base, ticks) in feedback.arrivals() {
                all[usize::from(above_base)] = Some(reference + ticks);
            }
        })
        .unwrap();
        all
    }
}
