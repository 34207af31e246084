//! Writing RTCP compounds into a datagram buffer.

use crate::rtp::receive::ReportBlock;

/// The most report blocks in one packet: the count has five bits.
pub const MAX_BLOCKS: usize = 31;

/// A compound under construction. What does not fit is left out, whole packets at a time.
#[derive(Debug)]
pub struct Compound<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Compound<'a> {
    /// Starts a compound at the start of `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Compound<'a> {
        Compound { buffer, len: 0 }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that there is room for.
    pub(super) fn room(&self) -> usize {
        self.buffer.len() - self.len
    }

    /// A sender report without blocks (RFC 3550 §6.4.1).
    pub fn sender_report(&mut self, ssrc: u32, ntp: u64, timestamp: u32, sent: (u32, u32)) {
        self.packet(0, 200, |packet| {
            packet.word(ssrc);
            packet.word((ntp >> 32) as u32);
            packet.word(ntp as u32);
            packet.word(timestamp);
            packet.word(sent.0);
            packet.word(sent.1);
        });
    }

    /// A receiver report (RFC 3550 §6.4.2) with up to [`MAX_BLOCKS`] blocks.
    pub fn receiver_report(&mut self, ssrc: u32, blocks: &[ReportBlock]) {
        let blocks = &blocks[..blocks.len().min(MAX_BLOCKS)];
        self.packet(blocks.len() as u8, 201, |packet| {
            packet.word(ssrc);
            for block in blocks {
                packet.word(block.ssrc);
                packet.word(
                    u32::from(block.fraction_lost) << 24 | (block.total_lost as u32 & 0xFF_FFFF),
                );
                packet.word(block.highest_seq);
                packet.word(block.jitter);
                packet.word(block.last_sr);
                packet.word(block.delay_since_last_sr);
            }
        });
    }

    /// A source description with the canonical name (RFC 3550 §6.5.1), at most 255 bytes of it.
    pub fn cname(&mut self, ssrc: u32, cname: &str) {
        let cname = &cname.as_bytes()[..cname.len().min(255)];
        self.packet(1, 202, |packet| {
            packet.word(ssrc);
            packet.bytes(&[1, cname.len() as u8]);
            packet.bytes(cname);
            // One to four zeros end the chunk.
            let end = 4 - (2 + cname.len()) % 4;
            packet.bytes(&[0; 4][..end]);
        });
    }

    /// A generic NACK (RFC 4585 §6.2.1) for ascending sequence numbers.
    pub fn nack(&mut self, sender: u32, media: u32, missing: &[u16]) {
        self.packet(1, 205, |packet| {
            packet.word(sender);
            packet.word(media);
            let mut rest = missing.iter().copied().peekable();
            while let Some(first) = rest.next() {
                let mut following = 0u16;
                while let Some(next) = rest.peek() {
                    let distance = next.wrapping_sub(first);
                    if !(1..=16).contains(&distance) {
                        break;
                    }
                    following |= 1 << (distance - 1);
                    rest.next();
                }
                packet.word(u32::from(first) << 16 | u32::from(following));
            }
        });
    }

    /// Asks for a keyframe (PLI, RFC 4585 §6.3.1).
    pub fn picture_loss(&mut self, sender: u32, media: u32) {
        self.packet(1, 206, |packet| {
            packet.word(sender);
            packet.word(media);
        });
    }

    /// A goodbye of one source (RFC 3550 §6.6).
    pub fn bye(&mut self, ssrc: u32) {
        self.packet(1, 203, |packet| packet.word(ssrc));
    }

    /// Asks for the round trip (RFC 3611 §4.4).
    pub fn reference_time(&mut self, ssrc: u32, ntp: u64) {
        self.packet(0, 207, |packet| {
            packet.word(ssrc);
            packet.word(4 << 24 | 2);
            packet.word((ntp >> 32) as u32);
            packet.word(ntp as u32);
        });
    }

    /// Answers `other`'s reference time (RFC 3611 §4.5).
    pub fn delay_since_reference(&mut self, ssrc: u32, other: u32, last: u32, delay: u32) {
        self.packet(0, 207, |packet| {
            packet.word(ssrc);
            packet.word(5 << 24 | 3);
            packet.word(other);
            packet.word(last);
            packet.word(delay);
        });
    }

    pub(super) fn packet(&mut self, count: u8, kind: u8, body: impl FnOnce(&mut Body<'_>)) {
        let mut packet = Body {
            buffer: &mut self.buffer[self.len..],
            len: 0,
            overflow: false,
        };
        packet.bytes(&[0x80 | count, kind, 0, 0]);
        body(&mut packet);
        if packet.overflow {
            return;
        }
        let len = packet.len;
        let words = (len / 4 - 1) as u16;
        self.buffer[self.len + 2..self.len + 4].copy_from_slice(&words.to_be_bytes());
        self.len += len;
    }
}

pub(super) struct Body<'a> {
    buffer: &'a mut [u8],
    pub(super) len: usize,
    overflow: bool,
}

impl Body<'_> {
    pub(super) fn word(&mut self, word: u32) {
        self.bytes(&word.to_be_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        match self.buffer.get_mut(self.len..self.len + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.overflow = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use rtc_rtcp::goodbye::Goodbye;
    use rtc_rtcp::receiver_report::ReceiverReport;
    use rtc_rtcp::sender_report::SenderReport;
    use rtc_rtcp::source_description::SourceDescription;
    use rtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;

    use super::*;

    #[test]
    fn the_reference_reads_what_is_written() {
        let mut buffer = [0; 512];
        let mut compound = Compound::new(&mut buffer);
        let block = ReportBlock {
            ssrc: 9,
            fraction_lost: 3,
            total_lost: 77,
            highest_seq: 65_540,
            jitter: 12,
            last_sr: 13,
            delay_since_last_sr: 14,
        };
        compound.sender_report(1, 0x1122_3344_5566_7788, 48_000, (5, 6));
        compound.receiver_report(2, &[block]);
        for name in ["", "a", "ab", "abc", "abcd"] {
            compound.cname(1, name);
        }
        compound.nack(1, 9, &[65_534, 65_535, 3, 100]);
        compound.bye(1);
        let len = compound.len();
        let packets = rtc_rtcp::packet::unmarshal(&mut &buffer[..len]).unwrap();
        let sender = packets[0].as_any().downcast_ref::<SenderReport>().unwrap();
        assert_eq!(
            (
                sender.ssrc,
                sender.ntp_time,
                sender.rtp_time,
                sender.packet_count,
                sender.octet_count
            ),
            (1, 0x1122_3344_5566_7788, 48_000, 5, 6)
        );
        let receiver = packets[1]
            .as_any()
            .downcast_ref::<ReceiverReport>()
            .unwrap();
        assert_eq!(receiver.reports[0].total_lost, 77);
        assert_eq!(receiver.reports[0].delay, 14);
        for (packet, name) in packets[2..7].iter().zip(["", "a", "ab", "abc", "abcd"]) {
            let names = packet.as_any().downcast_ref::<SourceDescription>().unwrap();
            assert_eq!(names.chunks[0].items[0].text, name);
        }
        let nack = packets[7]
            .as_any()
            .downcast_ref::<TransportLayerNack>()
            .unwrap();
        let asked: Vec<u16> = nack
            .nacks
            .iter()
            .flat_map(|pair| pair.packet_list())
            .collect();
        assert_eq!(asked, [65_534, 65_535, 3, 100]);
        assert!(packets[8].as_any().downcast_ref::<Goodbye>().is_some());
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut buffer = [0; 12];
        let mut compound = Compound::new(&mut buffer);
        compound.sender_report(1, 2, 3, (4, 5));
        assert!(compound.is_empty());
        compound.bye(1);
        assert_eq!(compound.len(), 8);
    }

    #[test]
    fn round_trip_questions_and_answers_are_read_back() {
        use crate::rtcp::read::{RtcpItem, read_compound};
        let mut buffer = [0; 64];
        let mut compound = Compound::new(&mut buffer);
        compound.reference_time(1, 0xAABB_CCDD_0011_2233);
        compound.delay_since_reference(1, 2, 3, 4);
        let len = compound.len();
        let mut items = Vec::new();
        read_compound(&buffer[..len], |item| items.push(item)).unwrap();
        assert_eq!(
            items,
            [
                RtcpItem::ReferenceTime {
                    ssrc: 1,
                    ntp: 0xAABB_CCDD_0011_2233
                },
                RtcpItem::DelaySinceReference {
                    ssrc: 2,
                    last: 3,
                    delay: 4
                }
            ]
        );
    }
}
