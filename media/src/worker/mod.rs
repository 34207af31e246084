//! The handle of a media worker.

mod inbound;
mod outbound;
mod queue;
mod run;
mod source;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use source::SourceWriter;

use crate::certificate::Certificate;
use crate::engine::{
    AcceptError, AcceptPeer, Accepted, CreateEngineError, Engine, EngineConfig, IceRestartAnswer,
    MediaEvent, Negotiated, Plan, Play, Playing, ServerChannel, Subscription, TapFn, Totals,
    TrickleError, WorkerStats,
};
use crate::ids::{PeerId, RoomId, TrackId};
use crate::net::{self, BindError, TcpConnections, TcpLimits};
use crate::sdp::candidates::Candidates;
use crate::sdp::fragment::TrickleFragment;
use crate::sdp::offer::Offer;
use queue::{Command, DataWork, Shared};

/// How a worker is set up.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Where the UDP socket is bound. Port 0 picks a free one; `[::]` serves IPv4 too.
    pub bind: SocketAddr,
    /// Whether clients that have no UDP are served by TCP, at the same address and port.
    pub tcp: bool,
    /// More TCP connections from one client address (IPv6: one /64) are refused. In all, there may be
    /// two for each peer.
    pub tcp_per_client: usize,
    /// Addresses for host candidates, with the port of the socket. Empty: the bound address, or if
    /// that is a wildcard, those of the interfaces.
    pub advertise: Vec<IpAddr>,
    /// A peer from whom nothing authentic came for this long is closed as vanished.
    pub idle_timeout: Duration,
    /// More peers than this are refused.
    pub max_peers: usize,
    /// Of so many of a room's microphones, the loudest, clients are sent packets.
    pub prominent_speakers: usize,
    /// Shown to clients by fingerprint.
    pub certificate: Arc<Certificate>,
}

impl WorkerConfig {
    /// The defaults: TCP too, 20 s of silence, 2000 peers, interface addresses.
    pub fn new(bind: SocketAddr, certificate: Arc<Certificate>) -> WorkerConfig {
        WorkerConfig {
            bind,
            tcp: true,
            tcp_per_client: 256,
            advertise: Vec::new(),
            idle_timeout: Duration::from_secs(20),
            max_peers: 2000,
            prominent_speakers: 10,
            certificate,
        }
    }
}

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartWorkerError {
    /// The socket cannot be bound.
    #[error(
        "cannot bind the media socket to {address}: {source}; change media.bind or stop what uses it"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// The TCP listener cannot be bound.
    #[error(
        "cannot bind the media socket to {address} for TCP: {source}; change media.bind, stop what uses \
         it, or set media.tcp to false if every client has UDP"
    )]
    BindTcp {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// The certificate cannot serve DTLS.
    #[error(transparent)]
    Engine(#[from] CreateEngineError),
    /// The thread or its descriptors cannot be had.
    #[error("cannot start the media worker's thread: {0}")]
    Thread(io::Error),
}

/// A media worker: one thread, one UDP socket and one TCP port, many peers. Dropping it stops the thread.
#[derive(Debug)]
pub struct MediaWorker {
    shared: Arc<Shared>,
    local: SocketAddr,
    candidates: Vec<SocketAddr>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl MediaWorker {
    /// Binds the sockets and starts the thread. `events` is called on that thread and must not block.
    ///
    /// # Errors
    ///
    /// See [`StartWorkerError`].
    pub fn start(
        config: WorkerConfig,
        events: impl FnMut(MediaEvent) + Send + 'static,
    ) -> Result<MediaWorker, StartWorkerError> {
        let address = config.bind;
        let bind_error = |error| match error {
            BindError::Udp(source) => StartWorkerError::Bind { address, source },
            BindError::Tcp(source) => StartWorkerError::BindTcp { address, source },
        };
        let (socket, listener) = net::bind_pair(address, config.tcp).map_err(bind_error)?;
        let local = socket
            .local_addr()
            .map_err(BindError::Udp)
            .map_err(bind_error)?;
        let addresses = if !config.advertise.is_empty() {
            config.advertise.clone()
        } else if local.ip().is_unspecified() {
            net::host_addresses(local.is_ipv6())
        } else {
            vec![local.ip()]
        };
        let candidates: Vec<SocketAddr> = addresses
            .into_iter()
            .map(|ip| SocketAddr::new(ip, local.port()))
            .collect();
        let tcp = listener
            .map(|listener| {
                let limits = TcpLimits {
                    connections: config.max_peers.saturating_mul(2),
                    of_source: config.tcp_per_client,
                };
                TcpConnections::new(Instant::now(), listener, limits)
            })
            .transpose()
            .map_err(StartWorkerError::Thread)?;
        let engine = Engine::new(
            EngineConfig {
                candidates: Candidates {
                    udp: candidates.clone(),
                    tcp: if tcp.is_some() {
                        candidates.clone()
                    } else {
                        Vec::new()
                    },
                },
                idle_timeout: config.idle_timeout,
                max_peers: config.max_peers,
                prominent_speakers: config.prominent_speakers,
                seed: rand::random(),
            },
            &config.certificate,
        )?;
        let shared = Arc::new(Shared::new().map_err(StartWorkerError::Thread)?);
        let thread = std::thread::Builder::new()
            .name("hive-media".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || run::run(engine, socket, tcp, local, &shared, events)
            })
            .map_err(StartWorkerError::Thread)?;
        Ok(MediaWorker {
            shared,
            local,
            candidates,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Where the sockets are bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Where clients are told that it is.
    pub fn candidates(&self) -> &[SocketAddr] {
        &self.candidates
    }

    /// Answers an SDP offer. The offer is read on the caller's thread.
    ///
    /// # Errors
    ///
    /// See [`AcceptError`].
    pub async fn accept(&self, request: AcceptPeer) -> Result<Accepted, AcceptError> {
        let offer = Box::new(Offer::parse_audio(&request.offer)?);
        let (reply, answer) = oneshot::channel();
        self.shared.command(Command::Accept {
            room: request.room,
            peer: request.peer,
            role: request.role,
            offer,
            reply,
        });
        answer.await.unwrap_or(Err(AcceptError::WorkerStopped))
    }

    /// Takes a trickled fragment of a peer; one with new credentials restarts ICE and has an answer.
    ///
    /// # Errors
    ///
    /// See [`TrickleError`].
    pub async fn trickle(
        &self,
        peer: PeerId,
        fragment: TrickleFragment,
    ) -> Result<Option<IceRestartAnswer>, TrickleError> {
        let (reply, answer) = oneshot::channel();
        self.shared.command(Command::Trickle {
            peer,
            fragment,
            reply,
        });
        answer.await.unwrap_or(Err(TrickleError::WorkerStopped))
    }

    /// Answers an SDP offer of a client that sends and receives: its first, or a further one. The
    /// offer has been read by [`Offer::parse`].
    ///
    /// # Errors
    ///
    /// See [`AcceptError`].
    pub async fn negotiate(
        &self,
        room: RoomId,
        peer: PeerId,
        offer: Offer,
        plan: Plan,
    ) -> Result<Negotiated, AcceptError> {
        let (reply, answer) = oneshot::channel();
        self.shared.command(Command::Negotiate {
            room,
            peer,
            offer: Box::new(offer),
            plan,
            reply,
        });
        answer.await.unwrap_or(Err(AcceptError::WorkerStopped))
    }

    /// Offers a client what it is to receive; the first offer opens data `channels`, and `restart` asks for an ICE restart. What it answers goes
    /// to [`MediaWorker::answered`].
    ///
    /// # Errors
    ///
    /// See [`AcceptError`].
    pub async fn offer(
        &self,
        room: RoomId,
        peer: PeerId,
        plays: Vec<Play>,
        channels: &'static [ServerChannel],
        restart: bool,
    ) -> Result<Negotiated, AcceptError> {
        let (reply, answer) = oneshot::channel();
        self.shared.command(Command::Offer {
            room,
            peer,
            plays,
            channels,
            restart,
            reply,
        });
        answer.await.unwrap_or(Err(AcceptError::WorkerStopped))
    }

    /// Takes a client's answer to [`MediaWorker::offer`].
    ///
    /// # Errors
    ///
    /// See [`AcceptError`].
    pub async fn answered(&self, peer: PeerId, answer: Offer) -> Result<(), AcceptError> {
        let (reply, done) = oneshot::channel();
        self.shared.command(Command::Answered {
            peer,
            answer: Box::new(answer),
            reply,
        });
        done.await.unwrap_or(Err(AcceptError::WorkerStopped))
    }

    /// Sets how a client is sent a track that was negotiated.
    pub fn set_playing(&self, peer: PeerId, track: TrackId, playing: Playing) {
        self.shared
            .command(Command::SetPlaying(peer, track, playing));
    }

    /// Sends a message over the data channel of a label of each of these peers. If it came from a peer,
    /// that one has to wait when a recipient does not keep up.
    pub fn send_data(
        &self,
        from: Option<PeerId>,
        to: Vec<PeerId>,
        label: &'static str,
        payload: Bytes,
    ) {
        let send = DataWork::Send {
            from,
            to,
            label,
            payload,
        };
        self.shared.command(Command::Data(send));
    }

    /// Says that a message of a peer's, of [`MediaEvent::Data`], was dealt with. Of messages that were not,
    /// a peer may have some only: further ones wait on its side, and so they do for the `pause`. Nothing
    /// is lost by that on a reliable channel. What the message made the worker send is sent before.
    pub fn data_taken(&self, peer: PeerId, len: usize, pause: Duration) {
        let taken = DataWork::Taken { peer, len, pause };
        self.shared.command(Command::Data(taken));
    }

    /// Drops what comes of a track from now on, or lets it pass again.
    pub fn mute(&self, track: TrackId, muted: bool) {
        self.shared.command(Command::Mute(track, muted));
    }

    /// Closes a peer. [`MediaEvent::Closed`] follows if it was there.
    pub fn close(&self, peer: PeerId) {
        self.shared.command(Command::Close(peer));
    }

    /// Hands every packet of a track to `tap` from now on, or to nobody.
    ///
    /// `tap` is called on the worker's thread: it must not block. If it panics it is removed.
    pub fn tap(&self, track: TrackId, tap: Option<TapFn>) {
        self.shared.command(Command::Tap(track, tap));
    }

    /// Adds a track that has no peer: a language channel. It goes when the writer is dropped.
    pub fn add_source(&self, room: RoomId) -> SourceWriter {
        SourceWriter::new(Arc::clone(&self.shared), room)
    }

    /// Lets a listener hear something else from now on, over the same streams.
    ///
    /// # Errors
    ///
    /// [`AcceptError::UnknownTrack`] if there is no such language channel in the listener's room.
    pub async fn subscribe(
        &self,
        listener: PeerId,
        subscription: Subscription,
    ) -> Result<(), AcceptError> {
        let (reply, answer) = oneshot::channel();
        self.shared.command(Command::Subscribe {
            listener,
            subscription,
            reply,
        });
        answer.await.unwrap_or(Err(AcceptError::WorkerStopped))
    }

    /// Lets a floor listener not hear (or hear again) a publisher: its own voice, sent by another
    /// peer connection, foremost.
    pub fn exclude(&self, listener: PeerId, publisher: PeerId, excluded: bool) {
        self.shared.command(Command::Exclude {
            listener,
            publisher,
            excluded,
        });
    }

    /// A snapshot of all figures. All zero if the worker has stopped.
    pub async fn stats(&self) -> WorkerStats {
        let (reply, answer) = oneshot::channel();
        self.shared.command(Command::Stats(reply));
        answer.await.unwrap_or_default()
    }

    /// The counters of the worker, as of its last turn. Cheap.
    pub fn totals(&self) -> Totals {
        *self.shared.totals.lock()
    }

    /// Whether the thread runs.
    pub fn is_running(&self) -> bool {
        self.thread
            .lock()
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }

    /// Says goodbye to all peers, stops the thread and waits for it: a few milliseconds.
    pub fn shutdown(&self) {
        self.shared.stop();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the media worker's thread had panicked");
        }
    }
}

impl Drop for MediaWorker {
    fn drop(&mut self) {
        self.shutdown();
    }
}

#[cfg(test)]
mod tests;
