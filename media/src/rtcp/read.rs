//! Reading RTCP compounds (RFC 3550 §6, RFC 4585, RFC 3611), without allocating.

use super::transport_feedback::{FeedbackSpan, TransportFeedback};
use crate::rtp::receive::ReportBlock;

/// A compound that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// Not version 2, or an impossible length.
    #[error("the RTCP compound is malformed")]
    Malformed,
}

/// One statement of a compound. Other statements are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpItem {
    /// A sender tells the relation of its clocks.
    SenderReport {
        /// The sender.
        ssrc: u32,
        /// NTP time of the report.
        ntp: u64,
        /// RTP timestamp at that time.
        timestamp: u32,
    },
    /// A receiver tells how a stream of ours arrives.
    Report(ReportBlock),
    /// Packets of a stream of ours are missing (generic NACK): `first`, and one for each bit of
    /// `following` after it.
    Nack {
        /// The stream.
        media_ssrc: u32,
        /// The first missing sequence number.
        first: u16,
        /// Bit n: `first + n + 1` is missing too.
        following: u16,
    },
    /// Which packets of the transport arrived, and when.
    TransportFeedback(FeedbackSpan),
    /// A keyframe is wanted (PLI, RFC 4585 §6.3.1, or FIR, RFC 5104 §4.3.1).
    PictureLoss {
        /// The stream.
        media_ssrc: u32,
    },
    /// A peer that sends no reports asks for the round trip (XR RRTR).
    ReferenceTime {
        /// Who asks.
        ssrc: u32,
        /// NTP time at which it asked.
        ntp: u64,
    },
    /// The answer to a reference time of ours (XR DLRR).
    DelaySinceReference {
        /// Whose reference time this answers.
        ssrc: u32,
        /// Middle bits of our NTP time.
        last: u32,
        /// How long the peer held it, in 1/65536 s.
        delay: u32,
    },
    /// A source leaves.
    Bye {
        /// The source.
        ssrc: u32,
    },
}

/// Calls `visit` for each statement of a decrypted compound.
///
/// # Errors
///
/// [`RtcpError::Malformed`] at the first packet whose length or version is impossible; the
/// statements before it have been visited.
pub fn read_compound(compound: &[u8], mut visit: impl FnMut(RtcpItem)) -> Result<(), RtcpError> {
    let mut rest = compound;
    while !rest.is_empty() {
        let head: &[u8; 4] = rest.first_chunk().ok_or(RtcpError::Malformed)?;
        if head[0] >> 6 != 2 {
            return Err(RtcpError::Malformed);
        }
        let len = 4 + usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
        let body = rest.get(4..len).ok_or(RtcpError::Malformed)?;
        if (head[0] & 0x1F, head[1]) == (15, 205) {
            TransportFeedback::parse(body).ok_or(RtcpError::Malformed)?;
            let start = compound.len() - rest.len() + 4;
            let end = start + body.len();
            visit(RtcpItem::TransportFeedback(FeedbackSpan { start, end }));
        }
        read_packet(head[0] & 0x1F, head[1], body, &mut visit).ok_or(RtcpError::Malformed)?;
        rest = &rest[len..];
    }
    Ok(())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes: &[u8; 4] = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(word(bytes, at)?) << 32 | u64::from(word(bytes, at + 4)?))
}

fn read_packet(count: u8, kind: u8, body: &[u8], visit: &mut impl FnMut(RtcpItem)) -> Option<()> {
    match kind {
        200 => {
            visit(RtcpItem::SenderReport {
                ssrc: word(body, 0)?,
                ntp: long(body, 4)?,
                timestamp: word(body, 12)?,
            });
            read_blocks(count, body.get(24..)?, visit)?;
        }
        201 => read_blocks(count, body.get(4..)?, visit)?,
        203 => {
            for at in 0..usize::from(count) {
                visit(RtcpItem::Bye {
                    ssrc: word(body, at * 4)?,
                });
            }
        }
        205 if count == 1 => {
            let media_ssrc = word(body, 4)?;
            for entry in body.get(8..)?.chunks_exact(4) {
                visit(RtcpItem::Nack {
                    media_ssrc,
                    first: u16::from_be_bytes([entry[0], entry[1]]),
                    following: u16::from_be_bytes([entry[2], entry[3]]),
                });
            }
        }
        206 if count == 1 => visit(RtcpItem::PictureLoss {
            media_ssrc: word(body, 4)?,
        }),
        206 if count == 4 => {
            for entry in body.get(8..)?.chunks_exact(8) {
                visit(RtcpItem::PictureLoss {
                    media_ssrc: word(entry, 0)?,
                });
            }
        }
        207 => read_extended(body, visit)?,
        _ => {}
    }
    Some(())
}

fn read_blocks(count: u8, mut body: &[u8], visit: &mut impl FnMut(RtcpItem)) -> Option<()> {
    for _ in 0..count {
        let lost = word(body, 4)?;
        // 24 bits, sign-extended.
        let total_lost = ((lost << 8) as i32) >> 8;
        visit(RtcpItem::Report(ReportBlock {
            ssrc: word(body, 0)?,
            fraction_lost: (lost >> 24) as u8,
            total_lost,
            highest_seq: word(body, 8)?,
            jitter: word(body, 12)?,
            last_sr: word(body, 16)?,
            delay_since_last_sr: word(body, 20)?,
        }));
        body = &body[24..];
    }
    Some(())
}

fn read_extended(body: &[u8], visit: &mut impl FnMut(RtcpItem)) -> Option<()> {
    let ssrc = word(body, 0)?;
    let mut rest = body.get(4..)?;
    while !rest.is_empty() {
        let head: &[u8; 4] = rest.first_chunk()?;
        let len = 4 + usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
        let block = rest.get(4..len)?;
        match head[0] {
            4 => visit(RtcpItem::ReferenceTime {
                ssrc,
                ntp: long(block, 0)?,
            }),
            5 => {
                for entry in block.chunks_exact(12) {
                    visit(RtcpItem::DelaySinceReference {
                        ssrc: word(entry, 0)?,
                        last: word(entry, 4)?,
                        delay: word(entry, 8)?,
                    });
                }
            }
            _ => {}
        }
        rest = &rest[len..];
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use rtc_rtcp::packet::Packet;
    use rtc_rtcp::transport_feedbacks::transport_layer_nack::{
        TransportLayerNack, nack_pairs_from_sequence_numbers,
    };

    use super::*;

    fn items(compound: &[u8]) -> Vec<RtcpItem> {
        let mut items = Vec::new();
        read_compound(compound, |item| items.push(item)).unwrap();
        items
    }

    fn bytes(packet: &dyn Packet) -> Vec<u8> {
        let mut bytes = vec![0; packet.marshal_size()];
        packet.marshal_to(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn reads_what_the_reference_writes() {
        let block = rtc_rtcp::reception_report::ReceptionReport {
            ssrc: 7,
            fraction_lost: 50,
            total_lost: 0x1234,
            last_sequence_number: 99,
            jitter: 5,
            last_sender_report: 6,
            delay: 8,
        };
        let mut compound = bytes(&rtc_rtcp::sender_report::SenderReport {
            ssrc: 1,
            ntp_time: 0x1122_3344_5566_7788,
            rtp_time: 48_000,
            packet_count: 3,
            octet_count: 4,
            reports: vec![block],
            ..Default::default()
        });
        compound.extend(bytes(&TransportLayerNack {
            sender_ssrc: 1,
            media_ssrc: 7,
            nacks: nack_pairs_from_sequence_numbers(&[5, 6, 40]),
        }));
        compound.extend(bytes(&rtc_rtcp::goodbye::Goodbye {
            sources: vec![1],
            reason: "bye".into(),
        }));
        assert_eq!(
            items(&compound),
            [
                RtcpItem::SenderReport {
                    ssrc: 1,
                    ntp: 0x1122_3344_5566_7788,
                    timestamp: 48_000
                },
                RtcpItem::Report(ReportBlock {
                    ssrc: 7,
                    fraction_lost: 50,
                    total_lost: 0x1234,
                    highest_seq: 99,
                    jitter: 5,
                    last_sr: 6,
                    delay_since_last_sr: 8
                }),
                RtcpItem::Nack {
                    media_ssrc: 7,
                    first: 5,
                    following: 1
                },
                RtcpItem::Nack {
                    media_ssrc: 7,
                    first: 40,
                    following: 0
                },
                RtcpItem::Bye { ssrc: 1 },
            ]
        );
        for len in 0..compound.len() {
            // Every truncation ends in an error or at a packet boundary, never in a panic.
            let _ = read_compound(&compound[..len], |_| {});
        }
    }

    #[test]
    fn negative_losses_keep_their_sign() {
        let mut report = vec![0x81, 201, 0, 7, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0xFF, 0xFF, 0xFE];
        report.extend([0; 16]);
        assert!(matches!(
            items(&report)[0],
            RtcpItem::Report(ReportBlock { total_lost: -2, .. })
        ));
    }

    #[test]
    fn keyframes_are_asked_for_in_two_ways() {
        use rtc_rtcp::payload_feedbacks::full_intra_request::{FirEntry, FullIntraRequest};
        use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
        let mut compound = bytes(&PictureLossIndication {
            sender_ssrc: 1,
            media_ssrc: 7,
        });
        compound.extend(bytes(&FullIntraRequest {
            sender_ssrc: 1,
            media_ssrc: 0,
            fir: [8, 9]
                .map(|ssrc| FirEntry {
                    ssrc,
                    sequence_number: 1,
                })
                .into(),
        }));
        assert_eq!(
            items(&compound),
            [7, 8, 9].map(|media_ssrc| RtcpItem::PictureLoss { media_ssrc })
        );
    }

    #[test]
    fn counts_that_lie_are_refused() {
        for compound in [
            &[0x9F, 201, 0, 1, 0, 0, 0, 1][..],
            &[0x80, 200, 0, 1, 0, 0, 0, 1],
            &[0x80, 201, 0xFF, 0xFF, 0, 0, 0, 1],
            &[0x81, 205, 0, 0],
            &[0x40, 201, 0, 1, 0, 0, 0, 1],
            &[0x80],
            &[0x80, 207, 0, 2, 0, 0, 0, 1, 4, 0, 0, 9],
            &[0x84, 206, 0, 1, 0, 0, 0, 1],
            &[0x8F, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2],
        ] {
            assert_eq!(
                read_compound(compound, |_| {}),
                Err(RtcpError::Malformed),
                "{compound:?}"
            );
        }
    }
}
