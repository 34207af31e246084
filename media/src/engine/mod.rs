//! The sans-IO core of a media worker: datagrams and time in, datagrams and events out.
//!
//! [`Engine`] owns every peer, track and room of one worker. It touches no socket and reads no clock,
//! so whatever happens on a network can be played through it in virtual time.

mod accept;
mod allocation;
mod ascent;
mod audio;
mod close;
mod control;
mod data;
mod datagram;
mod feedback;
mod forwarding;
mod mute;
mod negotiate;
mod offer;
mod path;
mod peer;
mod playing;
mod publish_video;
mod publisher_clock;
mod reported_loss;
mod reports;
mod resend;
mod room;
mod sections;
mod share;
mod slot;
mod stats;
mod timers;
mod track;
mod video;
mod video_track;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rtc_dtls::config::HandshakeConfig;
use slab::Slab;

pub use accept::{AcceptError, AcceptPeer, Accepted, Role, Subscription};
pub use control::{IceRestartAnswer, TapFn, TrickleError};
pub use data::ServerChannel;
pub use negotiate::{MediaKind, Negotiated, Plan, Play, Published};
pub use path::{ConnectionId, Path, TcpPath};
pub use playing::Playing;
pub use stats::{PeerStats, Totals, WorkerStats};

use crate::certificate::Certificate;
use crate::dtls::DtlsFailure;
use crate::ids::{PeerId, RoomId, TrackId};
use crate::sdp::candidates::Candidates;
use peer::Peer;
use room::Room;
use timers::Timers;
use track::Track;

/// Where datagrams go. The buffer is the one the socket reads from, so that a forwarded packet is
/// written once.
pub trait Transmit {
    /// The buffer of the next datagram, at least [`MAX_DATAGRAM`] bytes.
    fn buffer(&mut self) -> &mut [u8];
    /// Sends the first `len` bytes of the buffer that [`Transmit::buffer`] gave last.
    fn send(&mut self, len: usize, to: Path);
    /// Closes a connection that is no path of a peer any more, once what was sent over it has gone.
    fn hang_up(&mut self, connection: TcpPath);
}

/// The largest datagram (or frame of a TCP connection) sent or taken, in bytes: an Ethernet frame's worth.
pub const MAX_DATAGRAM: usize = 1500;

/// What an engine needs to know.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Host candidates for descriptions.
    pub candidates: Candidates,
    /// A peer from whom nothing authentic came for this long is gone.
    pub idle_timeout: Duration,
    /// More peers than this are refused.
    pub max_peers: usize,
    /// Of so many of a room's microphones, the loudest, clients are sent packets.
    pub prominent_speakers: usize,
    /// Seeds SSRCs and credentials. Must not be guessable outside tests.
    pub seed: [u8; 32],
}

/// Why a peer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The server closed it.
    Requested,
    /// The peer said goodbye (DTLS close_notify).
    Left,
    /// Nothing authentic came for the idle timeout.
    Vanished,
    /// DTLS failed.
    Dtls(DtlsFailure),
    /// The worker stopped.
    Shutdown,
}

/// What the media plane tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// Media can flow to and from the peer.
    Connected {
        /// The peer.
        peer: PeerId,
    },
    /// The peer is gone; its tracks are removed.
    Closed {
        /// The peer.
        peer: PeerId,
        /// Why.
        reason: CloseReason,
    },
    /// The first packet of a published track arrived.
    TrackStarted {
        /// The publisher.
        peer: PeerId,
        /// The track.
        track: TrackId,
    },
    /// Something came over a data channel.
    Data {
        /// Who sent it.
        peer: PeerId,
        /// The channel.
        label: Arc<str>,
        /// The message.
        payload: Bytes,
    },
    /// A stream of video to a subscriber was paused for want of bandwidth, or goes on.
    StreamPaused {
        /// The subscriber.
        peer: PeerId,
        /// The track.
        track: TrackId,
        /// Whether it is paused now.
        paused: bool,
    },
    /// The highest layer of a track of video that any subscriber wants changed.
    LayerWanted {
        /// The track.
        track: TrackId,
        /// The layer, low to high; nobody wants the track if there is none.
        layer: Option<u8>,
    },
    /// The set of speakers of a room or their levels changed. At most every 100 ms.
    Levels {
        /// The room.
        room: RoomId,
        /// Those who speak now, the dominant one first, with their level in −dBov.
        speakers: Vec<(PeerId, u8)>,
    },
}

/// The engine could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot configure DTLS: {0}")]
pub struct CreateEngineError(String);

/// See the [module](self).
pub struct Engine {
    config: EngineConfig,
    handshake: Arc<HandshakeConfig>,
    fingerprint: String,
    cname: String,
    random: StdRng,
    peers: Slab<Box<Peer>>,
    by_id: HashMap<PeerId, usize>,
    by_path: HashMap<Path, usize>,
    by_ufrag: HashMap<Box<str>, usize>,
    tracks: Slab<Track>,
    track_by_id: HashMap<TrackId, usize>,
    rooms: HashMap<RoomId, Room>,
    timers: Timers,
    /// Room for the timers that are due.
    due: Vec<timers::Entry>,
    next_tick: Option<Instant>,
    /// When bandwidth is allocated next; at the next tick if there is none.
    next_allocation: Option<Instant>,
    events: VecDeque<MediaEvent>,
    totals: Totals,
    serial: u64,
    scratch: Vec<u8>,
}

impl Engine {
    /// An engine without peers.
    ///
    /// # Errors
    ///
    /// If the certificate cannot serve DTLS.
    pub fn new(
        config: EngineConfig,
        certificate: &Certificate,
    ) -> Result<Engine, CreateEngineError> {
        use rand::{Rng, SeedableRng};
        let mut random = StdRng::from_seed(config.seed);
        Ok(Engine {
            handshake: crate::dtls::server_config(certificate).map_err(CreateEngineError)?,
            fingerprint: certificate.fingerprint_sha256().to_owned(),
            cname: format!("hive-{:016x}", random.random::<u64>()),
            random,
            config,
            peers: Slab::new(),
            by_id: HashMap::new(),
            by_path: HashMap::new(),
            by_ufrag: HashMap::new(),
            tracks: Slab::new(),
            track_by_id: HashMap::new(),
            rooms: HashMap::new(),
            timers: Timers::default(),
            due: Vec::new(),
            next_tick: None,
            next_allocation: None,
            events: VecDeque::new(),
            totals: Totals::default(),
            serial: 0,
            scratch: Vec::new(),
        })
    }

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    /// Counters over all peers since the start.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// How many paths lead to a peer.
    #[cfg(test)]
    pub(crate) fn known_paths(&self) -> usize {
        self.by_path.len()
    }

    /// How many synchronisation sources of a peer are remembered, where that is most.
    #[cfg(test)]
    pub(crate) fn known_sources(&self, peer: PeerId) -> usize {
        let peer = &self.peers[self.by_id[&peer]];
        let publishing = peer.publishing.as_ref().unwrap();
        let unprotect = &peer.srtp.as_ref().unwrap().1;
        let streams = publishing.streams.len();
        streams.max(publishing.table.len()).max(unprotect.len())
    }

    /// Counts what the socket loop saw go wrong.
    pub(crate) fn totals_mut(&mut self) -> &mut Totals {
        &mut self.totals
    }
}

#[cfg(test)]
mod tests;
