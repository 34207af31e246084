//! What other threads leave for the worker.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::engine::{
    AcceptError, Accepted, IceRestartAnswer, Negotiated, Plan, Play, Playing, Role, ServerChannel,
    Subscription, TapFn, Totals, TrickleError, WorkerStats,
};
use crate::ids::{PeerId, RoomId, TrackId};
use crate::net::Waker;
use crate::sdp::fragment::TrickleFragment;
use crate::sdp::offer::Offer;

/// Frames of language channels that may wait: 20 s of one, or 0.2 s of a hundred.
const MAX_FRAMES: usize = 1024;

/// A request to the worker. Each comes from one request of one client or one actor, which bounds
/// their number.
pub(super) enum Command {
    Accept {
        room: RoomId,
        peer: PeerId,
        role: Role,
        offer: Box<Offer>,
        reply: oneshot::Sender<Result<Accepted, AcceptError>>,
    },
    Trickle {
        peer: PeerId,
        fragment: TrickleFragment,
        reply: oneshot::Sender<Result<Option<IceRestartAnswer>, TrickleError>>,
    },
    Negotiate {
        room: RoomId,
        peer: PeerId,
        offer: Box<Offer>,
        plan: Plan,
        reply: oneshot::Sender<Result<Negotiated, AcceptError>>,
    },
    Offer {
        room: RoomId,
        peer: PeerId,
        plays: Vec<Play>,
        channels: &'static [ServerChannel],
        restart: bool,
        reply: oneshot::Sender<Result<Negotiated, AcceptError>>,
    },
    Answered {
        peer: PeerId,
        answer: Box<Offer>,
        reply: oneshot::Sender<Result<(), AcceptError>>,
    },
    Mute(TrackId, bool),
    SetPlaying(PeerId, TrackId, Playing),
    Data(DataWork),
    Close(PeerId),
    Tap(TrackId, Option<TapFn>),
    AddSource(RoomId, TrackId),
    RemoveSource(TrackId),
    Subscribe {
        listener: PeerId,
        subscription: Subscription,
        reply: oneshot::Sender<Result<(), AcceptError>>,
    },
    Exclude {
        listener: PeerId,
        publisher: PeerId,
        excluded: bool,
    },
    Stats(oneshot::Sender<WorkerStats>),
    /// Panics, on behalf of a peer.
    #[cfg(test)]
    Panic(PeerId),
}

/// What is to be done about messages of data channels, one after the other.
pub(super) enum DataWork {
    Send {
        from: Option<PeerId>,
        to: Vec<PeerId>,
        label: &'static str,
        payload: Bytes,
    },
    /// A message of a peer's of this length was dealt with; the next may come after the pause.
    Taken {
        peer: PeerId,
        len: usize,
        pause: Duration,
    },
}

impl Command {
    /// Whom it is about.
    pub(super) fn peer(&self) -> Option<PeerId> {
        match self {
            Command::Accept { peer, .. }
            | Command::Trickle { peer, .. }
            | Command::Negotiate { peer, .. }
            | Command::Offer { peer, .. }
            | Command::Answered { peer, .. }
            | Command::SetPlaying(peer, ..)
            | Command::Close(peer)
            | Command::Subscribe { listener: peer, .. }
            | Command::Exclude { listener: peer, .. } => Some(*peer),
            Command::Mute(..)
            | Command::Data(_)
            | Command::Tap(..)
            | Command::AddSource(..)
            | Command::RemoveSource(_)
            | Command::Stats(_) => None,
            #[cfg(test)]
            Command::Panic(peer) => Some(*peer),
        }
    }
}

/// One packet of a language channel.
pub(super) struct SourceFrame {
    pub(super) track: TrackId,
    pub(super) payload: Bytes,
    pub(super) timestamp: u32,
    pub(super) level: u8,
}

/// What the worker has to do, taken at once.
#[derive(Default)]
pub(super) struct Work {
    pub(super) commands: VecDeque<Command>,
    pub(super) frames: VecDeque<SourceFrame>,
    pub(super) frames_dropped: u64,
}

/// Shared between the handle, its source writers and the thread.
pub(super) struct Shared {
    work: Mutex<Work>,
    pub(super) waker: Waker,
    stopping: AtomicBool,
    /// Set when the thread has ended, so that commands are dropped and their callers told.
    ended: AtomicBool,
    pub(super) totals: Mutex<Totals>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new() -> io::Result<Shared> {
        Ok(Shared {
            work: Mutex::default(),
            waker: Waker::new()?,
            stopping: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            totals: Mutex::default(),
        })
    }

    /// Leaves a command. If the worker has ended it is dropped, which its caller sees.
    pub(super) fn command(&self, command: Command) {
        {
            let mut work = self.work.lock();
            if self.ended.load(Ordering::Acquire) {
                return;
            }
            work.commands.push_back(command);
        }
        self.waker.wake();
    }

    /// Leaves a frame; the oldest goes if the worker is far behind.
    pub(super) fn frame(&self, frame: SourceFrame) {
        {
            let mut work = self.work.lock();
            if self.ended.load(Ordering::Acquire) {
                return;
            }
            if work.frames.len() == MAX_FRAMES {
                work.frames.pop_front();
                work.frames_dropped += 1;
            }
            work.frames.push_back(frame);
        }
        self.waker.wake();
    }

    /// Takes everything that was left, giving `empty` in exchange.
    pub(super) fn take_work(&self, empty: &mut Work) {
        std::mem::swap(&mut *self.work.lock(), empty);
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Refuses all work from now on and drops what is left.
    pub(super) fn end(&self) {
        let mut work = self.work.lock();
        self.ended.store(true, Ordering::Release);
        *work = Work::default();
    }
}
