//! What became of every RTP packet on a link.

use std::collections::HashMap;
use std::time::Instant;

/// The part of an RTP header that says which packet it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RtpId {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number.
    pub seq: u16,
}

/// The RTP packet in a datagram, if it holds one: RFC 5761 tells RTP from RTCP, RFC 7983 from the
/// rest.
pub fn rtp_id(datagram: &[u8]) -> Option<RtpId> {
    let header: &[u8; 12] = datagram.first_chunk()?;
    let rtp = (128..192).contains(&header[0]) && !(192..=223).contains(&header[1]);
    rtp.then(|| RtpId {
        ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        seq: u16::from_be_bytes([header[2], header[3]]),
    })
}

/// One passage of a packet over the link; a retransmission is another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transit {
    /// When it entered the link.
    pub entered: Instant,
    /// When it leaves the link; none if it is lost.
    pub left: Option<Instant>,
}

/// Every RTP packet of one direction.
#[derive(Debug, Default)]
pub struct Trace {
    transits: HashMap<RtpId, Vec<Transit>>,
}

/// Counts of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TraceCounts {
    /// Distinct packets that entered.
    pub sent: usize,
    /// Distinct packets of which a copy was lost.
    pub lost: usize,
    /// Lost packets of which a later copy arrived.
    pub recovered: usize,
}

impl Trace {
    /// Remember a passage.
    pub fn record(&mut self, id: RtpId, transit: Transit) {
        self.transits.entry(id).or_default().push(transit);
    }

    /// The passage by which a packet first got across.
    ///
    /// Sequence numbers repeat after 22 minutes at 50 packets/s; sessions here are shorter.
    pub fn arrival(&self, id: RtpId) -> Option<Transit> {
        self.transits
            .get(&id)?
            .iter()
            .filter(|transit| transit.left.is_some())
            .min_by_key(|transit| transit.left)
            .copied()
    }

    /// When a packet first entered the link, whatever became of it.
    pub fn first_entered(&self, id: RtpId) -> Option<Instant> {
        let entered = self
            .transits
            .get(&id)?
            .iter()
            .map(|transit| transit.entered);
        entered.min()
    }

    /// When each packet of a stream first entered the link, in no order.
    pub fn entries(&self, ssrc: u32) -> impl Iterator<Item = Instant> {
        self.transits
            .iter()
            .filter(move |(id, _)| id.ssrc == ssrc)
            .filter_map(|(_, transits)| transits.iter().map(|transit| transit.entered).min())
    }

    /// How many packets entered, were lost, and came across by a later copy.
    pub fn counts(&self) -> TraceCounts {
        let mut counts = TraceCounts::default();
        for transits in self.transits.values() {
            counts.sent += 1;
            if transits.iter().any(|transit| transit.left.is_none()) {
                counts.lost += 1;
                if transits.iter().any(|transit| transit.left.is_some()) {
                    counts.recovered += 1;
                }
            }
        }
        counts
    }

    /// Delays imposed on packets that got across, ms, in no order.
    pub fn delays_ms(&self) -> Vec<f64> {
        self.transits
            .values()
            .flatten()
            .filter_map(|transit| {
                let delay = transit.left?.saturating_duration_since(transit.entered);
                Some(delay.as_secs_f64() * 1000.0)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn datagram(first: u8, second: u8) -> Vec<u8> {
        let mut datagram = vec![
            first, second, 0x12, 0x34, 0, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef,
        ];
        datagram.extend([0; 20]);
        datagram
    }

    #[test]
    fn only_rtp_is_traced() {
        let id = RtpId {
            ssrc: 0xdead_beef,
            seq: 0x1234,
        };
        assert_eq!(rtp_id(&datagram(0x80, 111)), Some(id));
        assert_eq!(rtp_id(&datagram(0x90, 0x80 | 111)), Some(id));
        assert_eq!(rtp_id(&datagram(0x80, 200)), None, "RTCP");
        assert_eq!(rtp_id(&datagram(22, 111)), None, "DTLS");
        assert_eq!(rtp_id(&datagram(0, 1)), None, "STUN");
        assert_eq!(rtp_id(&[0x80; 5]), None, "truncated");
    }

    #[test]
    fn a_packet_that_came_by_its_second_copy_is_recovered() {
        let now = Instant::now();
        let later = now + Duration::from_millis(60);
        let mut trace = Trace::default();
        let id = |seq| RtpId { ssrc: 1, seq };
        let lost = Transit {
            entered: now,
            left: None,
        };
        let arrived = Transit {
            entered: now,
            left: Some(later),
        };
        trace.record(id(1), arrived);
        trace.record(id(2), lost);
        trace.record(id(3), lost);
        trace.record(id(3), arrived);
        let counts = TraceCounts {
            sent: 3,
            lost: 2,
            recovered: 1,
        };
        assert_eq!(trace.counts(), counts);
        assert_eq!(trace.arrival(id(2)), None);
        assert_eq!(trace.arrival(id(3)), Some(arrived));
        assert_eq!(trace.delays_ms(), [60.0, 60.0]);
    }
}
