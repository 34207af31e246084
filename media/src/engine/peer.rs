//! One peer connection.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::accept::Subscription;
use super::ascent::Ascent;
use super::data::DataChannels;
use super::publisher_clock::PublisherClock;
use super::reported_loss::ReportedLoss;
use super::slot::Slot;
use super::{Path, PeerStats};
use crate::bwe::BandwidthEstimator;
use crate::dtls::Dtls;
use crate::ids::{PeerId, RoomId};
use crate::rtcp::transport_arrivals::TransportArrivals;
use crate::rtp::nack::NackGenerator;
use crate::rtp::receive::ReceiveStats;
use crate::rtp::ssrc_table::SsrcTable;
use crate::sdp::section::Section;
use crate::srtp::{Protect, Unprotect};
use crate::stun::ice_lite::IceCredentials;
use crate::video::keyframes::{KEYFRAME_INTERVAL, KeyframeRequests};

/// Paths of one peer that are remembered; a phone with two networks and two families
/// has four, and as many over TCP.
pub(super) const MAX_PATHS: usize = 8;

/// What the way to a peer is taken to carry before it is measured, in bits a second.
const START_BPS: u64 = 1_000_000;

/// A longer answer to a DTLS flight is a retransmission.
const MAX_HANDSHAKE_SAMPLE: Duration = Duration::from_millis(500);

pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) room: RoomId,
    pub(super) serial: u64,
    pub(super) ice: Ice,
    pub(super) dtls: Dtls,
    pub(super) srtp: Option<Box<(Protect, Unprotect)>>,
    pub(super) last_heard: Instant,
    /// Earliest timer of this peer in the heap.
    pub(super) scheduled: Option<Instant>,
    pub(super) next_report: Option<Instant>,
    /// Under which reports about inbound streams are sent.
    pub(super) report_ssrc: u32,
    pub(super) publishing: Option<Box<Publishing>>,
    pub(super) listening: Option<Box<Listening>>,
    pub(super) rtt: RoundTrip,
    pub(super) counters: PeerCounters,
    /// The peer's last reference time (SSRC, middle NTP bits, arrival), to be answered by DLRR.
    pub(super) reference: Option<(u32, u32, Instant)>,
    /// Session id and version of what was last described to the peer.
    pub(super) description: (u64, u64),
    /// Its data channels, if it has any.
    pub(super) data: Option<Box<DataChannels>>,
    /// The sections of our own offer to the peer, if it is we who offer.
    pub(super) sections: Vec<Section>,
}

/// ICE-lite state.
pub(super) struct Ice {
    pub(super) local: IceCredentials,
    /// Credentials before a restart; valid until the first check with the new ones.
    pub(super) former: Option<(IceCredentials, String)>,
    pub(super) remote_ufrag: String,
    /// Paths that a check vouched for, oldest first.
    pub(super) paths: Vec<Path>,
    /// Where media goes.
    pub(super) selected: Option<Path>,
    pub(super) nominated: bool,
}

/// Round trip as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTrip {
    smoothed: Option<Duration>,
    /// By what came again on request, for peers that only send and report nothing.
    repair: Option<Duration>,
    handshake: Option<Duration>,
    pub(super) flight_sent: Option<Instant>,
}

impl RoundTrip {
    /// A sample from a report (smoothed as in RFC 6298).
    pub(super) fn sample(&mut self, sample: Duration) {
        self.smoothed = Some(match self.smoothed {
            Some(smoothed) => (smoothed * 7 + sample) / 8,
            None => sample,
        });
    }

    /// The peer sent again what it was asked for, so late. Since it may have been asked twice, the
    /// round trip is taken for longer at times, which only makes requests rarer.
    pub(super) fn repaired(&mut self, after: Option<Duration>) {
        if let Some(after) = after {
            let repair = self.repair.unwrap_or(after);
            self.repair = Some((repair * 7 + after) / 8);
        }
    }

    /// The peer answered a DTLS flight. The longest sample counts, since a flight of several
    /// datagrams makes short ones, but a lost flight's second says nothing.
    pub(super) fn handshake_answer(&mut self, now: Instant) {
        if let Some(sent) = self.flight_sent.take() {
            let sample = now.saturating_duration_since(sent);
            if sample < MAX_HANDSHAKE_SAMPLE {
                self.handshake = self.handshake.max(Some(sample));
            }
        }
    }

    /// The best estimate for timers.
    pub(super) fn estimate(&self) -> Option<Duration> {
        self.smoothed.or(self.repair).or(self.handshake)
    }
}

/// What a peer publishes.
#[derive(Default)]
pub(super) struct Publishing {
    pub(super) table: SsrcTable,
    /// Tracks by media section.
    pub(super) tracks: HashMap<usize, usize>,
    pub(super) streams: Vec<Inbound>,
    pub(super) nack: bool,
    pub(super) reference_time: bool,
    pub(super) clock: PublisherClock,
    /// Id of the transport-wide sequence number.
    pub(super) transport_sequence: Option<u8>,
    /// Transport-wide numbers of what came, once any did.
    pub(super) arrivals: Option<Box<TransportArrivals>>,
}

impl Publishing {
    /// Another source is to carry what `former` did; nothing of that is kept.
    pub(super) fn replace(&mut self, former: Option<u32>) {
        if let Some(former) = former {
            self.table.retire(former);
            self.streams.retain(|stream| stream.ssrc != former);
        }
    }
}

/// One SSRC that a peer sends.
pub(super) struct Inbound {
    pub(super) ssrc: u32,
    pub(super) stats: ReceiveStats,
    pub(super) nack: NackGenerator,
    /// Whether the peer answers NACKs for it.
    pub(super) nackable: bool,
    pub(super) keyframes: KeyframeRequests,
    /// Added to this stream's numbers to get the track's.
    pub(super) offset: u64,
    /// How far, in ns, our clock is ahead of the publisher's, by its last sender report and when what it
    /// tells of arrived.
    pub(super) ahead: Option<i128>,
    /// Whether the track's numbers start anew with the next packet.
    pub(super) anew: bool,
}

impl Inbound {
    pub(super) fn new(ssrc: u32, stats: ReceiveStats, nack: NackGenerator) -> Inbound {
        Inbound {
            ssrc,
            stats,
            nack,
            nackable: false,
            keyframes: KeyframeRequests::new(KEYFRAME_INTERVAL),
            offset: 0,
            ahead: None,
            anew: false,
        }
    }
}

/// What a peer hears and sees.
pub(super) struct Listening {
    pub(super) subscription: Subscription,
    /// Publishers this peer does not want to hear, itself foremost.
    pub(super) excluded: Vec<PeerId>,
    pub(super) slots: Vec<Slot>,
    /// What was lost of streams whose slots have been replaced.
    pub(super) lost_before: i64,
    /// What the way to the peer can take.
    pub(super) estimator: BandwidthEstimator,
    /// The same, of peers that give no feedback on it.
    pub(super) reported_loss: ReportedLoss,
    pub(super) ascent: Ascent,
}

impl Listening {
    pub(super) fn new(now: Instant, subscription: Subscription) -> Listening {
        Listening {
            subscription,
            excluded: Vec::new(),
            slots: Vec::new(),
            lost_before: 0,
            estimator: BandwidthEstimator::new(now, START_BPS),
            reported_loss: ReportedLoss::default(),
            ascent: Ascent::default(),
        }
    }
}

/// Counters of one peer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PeerCounters {
    pub(super) packets_in: u64,
    pub(super) bytes_in: u64,
    pub(super) packets_out: u64,
    pub(super) bytes_out: u64,
    pub(super) nacks_sent: u64,
    pub(super) nacks_received: u64,
    pub(super) retransmitted: u64,
    pub(super) recovered: u64,
    pub(super) rejected: u64,
}

impl Peer {
    /// When this peer next needs attention.
    pub(super) fn due(&self, idle_timeout: Duration) -> Instant {
        let mut due = self.last_heard + idle_timeout;
        // Without keys or a path nothing can be sent, and what is due would stay due.
        let reachable = self.srtp.is_some() && self.ice.selected.is_some();
        let publishing = self.publishing.iter().filter(|_| reachable);
        let listening = self.listening.iter().filter(|_| reachable);
        let nacks = publishing
            .clone()
            .flat_map(|publishing| &publishing.streams)
            .flat_map(|stream| [stream.nack.next_at(), stream.keyframes.next_at()])
            .flatten();
        let feedback = publishing.filter_map(|publishing| publishing.arrivals.as_ref()?.next_at());
        let probes = listening.filter_map(|listening| listening.estimator.next_at());
        for at in nacks
            .chain(feedback)
            .chain(probes)
            .chain(self.dtls.next_at())
            .chain(self.data.as_ref().and_then(|data| data.next_at()))
            .chain(self.next_report)
        {
            due = due.min(at);
        }
        due
    }

    pub(super) fn stats(&self, now: Instant) -> PeerStats {
        let inbound = || self.publishing.iter().flat_map(|it| &it.streams);
        let slots = || self.listening.iter().flat_map(|it| &it.slots);
        let counters = &self.counters;
        let recent = inbound().fold((0, 0), |(expected, lost), stream| {
            let last = stream.stats.last_interval();
            (expected + last.0, lost + last.1)
        });
        PeerStats {
            peer: self.id,
            room: self.room,
            connected: self.srtp.is_some(),
            silent_for: now.saturating_duration_since(self.last_heard),
            packets_in: counters.packets_in,
            bytes_in: counters.bytes_in,
            packets_out: counters.packets_out,
            bytes_out: counters.bytes_out,
            recent_packets: recent.0,
            recent_lost: recent.1,
            estimate_bps: self
                .listening
                .as_ref()
                .filter(|listening| listening.estimator.is_measured())
                .map(|listening| listening.estimator.estimate()),
            lost_in: inbound().map(|stream| stream.stats.lost()).sum(),
            lost_out: slots().map(|slot| slot.lost).sum::<i64>()
                + self.listening.as_ref().map_or(0, |it| it.lost_before),
            jitter_in_ms: inbound()
                .map(|stream| stream.stats.jitter().as_secs_f64() * 1000.0)
                .fold(0.0, f64::max),
            jitter_out_ms: slots().map(Slot::jitter_ms).fold(0.0, f64::max),
            rtt_ms: self.rtt.estimate().map(|rtt| rtt.as_secs_f64() * 1000.0),
            nacks_sent: counters.nacks_sent,
            nacks_received: counters.nacks_received,
            retransmitted: counters.retransmitted,
            recovered: counters.recovered,
            rejected: counters.rejected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_gives_a_first_round_trip_that_reports_replace() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut rtt = RoundTrip::default();
        for (sent, answered) in [(0, 60), (60, 60), (60, 1100)] {
            rtt.flight_sent = Some(start + ms(sent));
            rtt.handshake_answer(start + ms(answered));
        }
        assert_eq!(rtt.estimate(), Some(ms(60)));
        rtt.sample(ms(40));
        assert_eq!(rtt.estimate(), Some(ms(40)));
    }
}
