//! Figures for metrics.

use std::time::{Duration, Instant};

use super::Engine;
use crate::ids::{PeerId, RoomId};

macro_rules! totals {
    ($($(#[$doc:meta])* $field:ident),* $(,)?) => {
        /// Counters of a worker since its start.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Totals {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl Totals {
            /// Names and values, for exporters.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($field), self.$field)),*].into_iter()
            }
        }
    };
}

totals! {
    /// Datagrams read from the socket, frames of TCP connections among them.
    datagrams_in,
    /// Bytes in them.
    bytes_in,
    /// Datagrams written to the socket, frames for TCP connections among them.
    datagrams_out,
    /// Bytes in them.
    bytes_out,
    /// Datagrams the operating system refused to send.
    send_errors,
    /// Authentic media packets received.
    rtp_in,
    /// Media packets sent to subscribers, retransmissions included.
    rtp_out,
    /// Authentic RTCP compounds received.
    rtcp_in,
    /// Media packets sent again on request.
    retransmitted,
    /// Packets asked for and then received.
    recovered,
    /// Datagrams that are no protocol of ours.
    unknown_protocol,
    /// Datagrams longer than [`super::MAX_DATAGRAM`].
    oversized,
    /// DTLS, RTP and RTCP from addresses that no connectivity check vouched for.
    unknown_source,
    /// Malformed binding requests.
    stun_malformed,
    /// Binding requests for nobody here.
    stun_unknown_ufrag,
    /// Binding requests with a wrong password.
    stun_unauthentic,
    /// DTLS datagrams that made no sense.
    dtls_malformed,
    /// Media before the handshake was complete.
    before_keys,
    /// Media whose header is malformed.
    rtp_malformed,
    /// RTCP compounds that are malformed.
    rtcp_malformed,
    /// Media and RTCP with a wrong tag.
    srtp_unauthentic,
    /// Media and RTCP received before, retransmissions that came too late among them.
    srtp_replayed,
    /// Authentic media that belongs to no negotiated section.
    unknown_stream,
    /// Keyframes asked of publishers.
    keyframes_requested,
    /// Packets sent to find out what the way to a subscriber can take.
    probes_out,
    /// Data channel messages received.
    messages_in,
    /// Data channel messages sent.
    messages_out,
    /// Data channel messages that a peer had no open channel or no room for.
    messages_dropped,
    /// Peers accepted.
    peers_accepted,
    /// Peers that vanished without a goodbye.
    peers_vanished,
    /// Taps that panicked and were removed.
    taps_failed,
    /// Datagrams whose handling panicked.
    datagrams_panicked,
    /// SCTP packets of data channels that are malformed.
    data_malformed,
    /// Data channels of peers that were refused: too many, with a label too long, or malformed.
    channels_refused,
    /// Data channel messages received on no open channel, or of no known kind.
    messages_discarded,
    /// Data channels of a peer that were ended because it broke the protocol.
    data_violations,
    /// Commands to the worker whose execution panicked.
    commands_panicked,
    /// Timeouts whose handling panicked.
    timeouts_panicked,
    /// Frames of language channels dropped because the worker did not keep up.
    source_frames_dropped,
    /// TCP connections taken.
    tcp_accepted,
    /// TCP connections closed at once, because there are too many or too many of one client address.
    tcp_refused,
    /// TCP connections that ended, for whatever reason.
    tcp_ended,
    /// TCP connections closed because no valid connectivity check came in time.
    tcp_unproven,
    /// TCP connections closed because they carried something that is not ICE.
    tcp_malformed,
    /// TCP connections closed because their peer stopped to read.
    tcp_stalled,
    /// TCP connections closed because nothing came over them any more.
    tcp_idle,
    /// Frames read from TCP connections.
    tcp_frames_in,
    /// Frames for TCP connections.
    tcp_frames_out,
    /// Of those, dropped because their peer reads too slowly.
    tcp_frames_dropped,
}

/// Figures of one peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerStats {
    /// The peer.
    pub peer: PeerId,
    /// Its room.
    pub room: RoomId,
    /// Whether media can flow.
    pub connected: bool,
    /// Time since anything authentic came from it.
    pub silent_for: Duration,
    /// Media packets received.
    pub packets_in: u64,
    /// Bytes of them, with headers and tags.
    pub bytes_in: u64,
    /// Media packets sent.
    pub packets_out: u64,
    /// Bytes of them.
    pub bytes_out: u64,
    /// Packets expected of the peer, or reported on by it, in the last second or so.
    pub recent_packets: u64,
    /// Of those, how many were lost and not made up for.
    pub recent_lost: u64,
    /// What the way to the peer is estimated to carry, bits a second, once it is measured.
    pub estimate_bps: Option<u64>,
    /// Packets lost on the way here; negative if some came twice.
    pub lost_in: i64,
    /// Packets lost on the way there, as the peer reports.
    pub lost_out: i64,
    /// Interarrival jitter here, the worst of its streams, ms.
    pub jitter_in_ms: f64,
    /// Interarrival jitter there, as the peer reports, ms.
    pub jitter_out_ms: f64,
    /// Round trip, ms, once known.
    pub rtt_ms: Option<f64>,
    /// Packets asked of the peer.
    pub nacks_sent: u64,
    /// Packets the peer asked for.
    pub nacks_received: u64,
    /// Packets sent again to the peer.
    pub retransmitted: u64,
    /// Packets that came after being asked for.
    pub recovered: u64,
    /// Its datagrams that were malformed, unauthentic or replayed.
    pub rejected: u64,
}

/// Figures of a worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerStats {
    /// Counters since the start.
    pub totals: Totals,
    /// Peers now.
    pub peers: Vec<PeerStats>,
    /// Tracks now, language channels among them.
    pub tracks: usize,
    /// Rooms now.
    pub rooms: usize,
}

impl Engine {
    /// A snapshot of all figures.
    pub fn stats(&self, now: Instant) -> WorkerStats {
        WorkerStats {
            totals: self.totals,
            peers: self.peers.iter().map(|(_, peer)| peer.stats(now)).collect(),
            tracks: self.tracks.len(),
            rooms: self.rooms.len(),
        }
    }
}
