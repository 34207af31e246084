//! One connection.

use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::framing::Deframer;
use super::queue::{FrameQueue, Written};
use super::sources::Source;
use crate::engine::TcpPath;

/// Bytes that the kernel may hold unsent. What waits there cannot be dropped any more, so it should be
/// as little as keeps the link busy.
const UNSENT: libc::c_int = 32 * 1024;

/// A peer that takes nothing for so long, while there is something for it, is gone.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection over which nothing comes for so long is of no use. Browsers check even a path that they
/// only hold in reserve every 25 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The peer or the network closed it.
    ByPeer,
    /// Its peer is gone or left this path.
    HungUp,
    /// No valid connectivity check came in time.
    Unproven,
    /// It carries something that is not ICE.
    Malformed,
    /// The peer stopped to read.
    Stalled,
    /// Nothing came any more.
    Idle,
}

pub(super) struct Connection {
    pub(super) path: TcpPath,
    pub(super) source: Source,
    pub(super) opened: Instant,
    /// Whether a check made it a path of a peer.
    pub(super) proven: bool,
    /// Whether something was queued in this turn.
    pub(super) touched: bool,
    /// Whether it ends with this turn.
    pub(super) hung_up: bool,
    pub(super) deframer: Deframer,
    pub(super) queue: FrameQueue,
    pub(super) stream: TcpStream,
    last_read: Instant,
    /// Since when the peer has taken nothing of what waits.
    pub(super) blocked_since: Option<Instant>,
}

impl Connection {
    /// Takes a stream that was accepted at `now`.
    ///
    /// # Errors
    ///
    /// If the stream cannot be made non-blocking.
    pub(super) fn new(
        now: Instant,
        stream: TcpStream,
        path: TcpPath,
        source: Source,
    ) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        // Frames are written as they are due; and without either option the connection is only slower.
        let _ = stream.set_nodelay(true);
        limit_unsent(&stream);
        Ok(Connection {
            path,
            source,
            opened: now,
            proven: false,
            touched: false,
            hung_up: false,
            deframer: Deframer::default(),
            queue: FrameQueue::default(),
            stream,
            last_read: now,
            blocked_since: None,
        })
    }

    /// Reads what is there into `buffer`. `None` if there is nothing after all.
    ///
    /// # Errors
    ///
    /// If the connection has ended.
    pub(super) fn read(&mut self, now: Instant, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.stream.read(buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.last_read = now;
                Ok(Some(count))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes what waits, as far as the peer takes it.
    ///
    /// # Errors
    ///
    /// If the connection has ended.
    pub(super) fn write(&mut self, now: Instant) -> io::Result<Written> {
        let written = self.queue.write(now, &mut &self.stream)?;
        if written.all {
            self.blocked_since = None;
        } else if written.bytes > 0 || self.blocked_since.is_none() {
            self.blocked_since = Some(now);
        }
        Ok(written)
    }

    /// Why it should end now, if it should.
    pub(super) fn overdue(&self, now: Instant) -> Option<Ended> {
        let stalled = self
            .blocked_since
            .is_some_and(|since| now.saturating_duration_since(since) >= STALL_TIMEOUT);
        if stalled {
            return Some(Ended::Stalled);
        }
        (now.saturating_duration_since(self.last_read) >= IDLE_TIMEOUT).then_some(Ended::Idle)
    }
}

/// Lets the kernel refuse what it could not send soon.
fn limit_unsent(stream: &TcpStream) {
    // SAFETY: the descriptor is open, and the value is a c_int of the size given.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_NOTSENT_LOWAT,
            std::ptr::from_ref(&UNSENT).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}
