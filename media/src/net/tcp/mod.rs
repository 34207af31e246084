//! TCP for clients that have no UDP: passive candidates (RFC 6544), frames in a stream (RFC 4571).
//!
//! Connections are served by the worker's own thread. A thread of their own would have to copy every
//! frame through a queue and wake the other at each, which costs more than reading and writing it here;
//! and a turn takes so little from so few of them that UDP hardly waits: [`Poller`] tells of a few at a
//! time, each is read once, and nothing blocks. While no connection has anything to say, they cost UDP
//! one more descriptor to poll.

mod connection;
mod framing;
mod poller;
mod queue;
mod sources;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::engine::{ConnectionId, TcpPath};
use connection::Connection;
pub(crate) use connection::Ended;
pub(crate) use framing::Deframer;
use poller::Poller;
use sources::{Source, Sources};

/// Connections without a valid check that there may be: enough for a company that joins at once.
const MAX_UNPROVEN: usize = 256;
/// Of those, how many may come from one source.
const MAX_UNPROVEN_OF_SOURCE: usize = 32;
/// Time for a valid check.
const PROOF_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections taken in one turn.
const ACCEPTS: usize = 8;
/// Bytes after which a turn's frames are written before its end.
const WRITE_EARLY: usize = 32 * 1024;
/// How often connections are looked through for what is overdue.
const TICK: Duration = Duration::from_secs(1);
/// The listener's token; no connection's slot is so high.
const LISTENER: u64 = u64::MAX;

/// How many connections are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TcpLimits {
    /// In all.
    pub(crate) connections: usize,
    /// From one client address (IPv6: one /64).
    pub(crate) of_source: usize,
}

/// What happened since the worker last took it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TcpCounters {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) ended: u64,
    pub(crate) unproven: u64,
    pub(crate) malformed: u64,
    pub(crate) stalled: u64,
    pub(crate) idle: u64,
    pub(crate) frames_out: u64,
    pub(crate) bytes_out: u64,
    pub(crate) frames_dropped: u64,
}

/// The listener and its connections.
pub(crate) struct TcpConnections {
    listener: TcpListener,
    /// Whether the listener is polled: not while the system has no room for connections.
    listening: bool,
    poller: Poller,
    limits: TcpLimits,
    connections: Slab<Connection>,
    /// Those without a valid check, oldest first.
    unproven: VecDeque<ConnectionId>,
    sources: Sources,
    readable: Vec<TcpPath>,
    /// Those to which something was sent in this turn.
    touched: Vec<ConnectionId>,
    /// Those that ended, for the engine.
    closed: Vec<TcpPath>,
    next_tick: Option<Instant>,
    now: Instant,
    serial: u32,
    pub(crate) counters: TcpCounters,
}

impl TcpConnections {
    /// Takes connections of a bound listener.
    ///
    /// # Errors
    ///
    /// If the system gives no poller.
    pub(crate) fn new(
        now: Instant,
        listener: TcpListener,
        limits: TcpLimits,
    ) -> io::Result<TcpConnections> {
        listener.set_nonblocking(true)?;
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER)?;
        Ok(TcpConnections {
            listener,
            listening: true,
            poller,
            limits,
            connections: Slab::new(),
            unproven: VecDeque::new(),
            sources: Sources::default(),
            readable: Vec::new(),
            touched: Vec::new(),
            closed: Vec::new(),
            next_tick: None,
            now,
            serial: 0,
            counters: TcpCounters::default(),
        })
    }

    /// When [`TcpConnections::turn`] has something to do even if nothing came.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.next_tick
    }

    /// Accepts, writes to those that read again, and finds those to be read.
    pub(crate) fn turn(&mut self, now: Instant) {
        self.now = now;
        if self.next_tick.is_some_and(|at| at <= now) {
            self.tick();
        }
        for at in 0..self.poller.poll() {
            let ready = self.poller.ready(at);
            if ready.token == LISTENER {
                self.accept();
                continue;
            }
            let id = id_of(ready.token);
            if ready.writable {
                self.write(id);
            }
            if ready.readable {
                let path = self.get(id).map(|connection| connection.path);
                self.readable.extend(path);
            }
        }
    }

    /// One of those that can be read.
    pub(crate) fn next_readable(&mut self) -> Option<TcpPath> {
        self.readable.pop()
    }

    /// Reads once from a connection into `buffer`. Its frames are found by the deframer that comes
    /// along, which goes [back](TcpConnections::put_back) afterwards.
    pub(crate) fn read<'a>(
        &mut self,
        path: TcpPath,
        buffer: &'a mut [u8],
    ) -> Option<(&'a [u8], Deframer)> {
        let now = self.now;
        let connection = self.get(path.id)?;
        match connection.read(now, buffer) {
            Ok(count) => {
                let deframer = std::mem::take(&mut connection.deframer);
                Some((&buffer[..count?], deframer))
            }
            Err(_) => {
                self.end(path.id, Ended::ByPeer);
                None
            }
        }
    }

    /// Gives back what [`TcpConnections::read`] gave, unless the connection has ended.
    pub(crate) fn put_back(&mut self, path: TcpPath, deframer: Deframer) {
        if let Some(connection) = self.get(path.id) {
            connection.deframer = deframer;
        }
    }

    /// Whether the connection is open, and whether a check made it a path; `None` if it is not open.
    pub(crate) fn is_proven(&self, path: TcpPath) -> Option<bool> {
        self.connections
            .get(path.id.slot as usize)
            .filter(|connection| connection.path == path && !connection.hung_up)
            .map(|connection| connection.proven)
    }

    /// Takes note that a check made the connection a path.
    pub(crate) fn prove(&mut self, path: TcpPath) {
        if let Some(connection) = self.get(path.id) {
            connection.proven = true;
            self.unproven.retain(|other| *other != path.id);
        }
    }

    /// Sends a frame, at the end of the turn or when the peer has room for it.
    pub(crate) fn send(&mut self, path: TcpPath, frame: &[u8]) {
        let now = self.now;
        let Some(connection) = self.get(path.id) else {
            return;
        };
        connection.queue.push(now, frame);
        let early = connection.blocked_since.is_none() && connection.queue.len() >= WRITE_EARLY;
        let touched = std::mem::replace(&mut connection.touched, true);
        let dropped = std::mem::take(&mut connection.queue.dropped);
        self.counters.frames_out += 1;
        self.counters.bytes_out += frame.len() as u64;
        self.counters.frames_dropped += dropped;
        if !touched {
            self.touched.push(path.id);
        }
        if early {
            self.write(path.id);
        }
    }

    /// Closes a connection after what was sent to it, as far as it takes it.
    pub(crate) fn hang_up(&mut self, path: TcpPath) {
        if let Some(connection) = self.get(path.id) {
            connection.hung_up = true;
            if !std::mem::replace(&mut connection.touched, true) {
                self.touched.push(path.id);
            }
        }
    }

    /// Writes what was sent in this turn.
    pub(crate) fn flush(&mut self) {
        while let Some(id) = self.touched.pop() {
            let Some(connection) = self.get(id) else {
                continue;
            };
            connection.touched = false;
            let hung_up = connection.hung_up;
            // The poller tells when a peer has room again.
            if hung_up || connection.blocked_since.is_none() {
                self.write(id);
            }
            if hung_up {
                self.end(id, Ended::HungUp);
            }
        }
    }

    /// One that ended since.
    pub(crate) fn next_closed(&mut self) -> Option<TcpPath> {
        self.closed.pop()
    }

    /// Closes a connection.
    pub(crate) fn end(&mut self, id: ConnectionId, why: Ended) {
        if self.get(id).is_none() {
            return;
        }
        let connection = self.connections.remove(id.slot as usize);
        self.sources.remove(connection.source);
        if !connection.proven {
            self.unproven.retain(|other| *other != id);
        }
        self.closed.push(connection.path);
        tracing::debug!(remote = %connection.path.remote, ?why, "a TCP connection has ended");
        let counters = &mut self.counters;
        counters.ended += 1;
        match why {
            Ended::Unproven => counters.unproven += 1,
            Ended::Malformed => counters.malformed += 1,
            Ended::Stalled => counters.stalled += 1,
            Ended::Idle => counters.idle += 1,
            Ended::ByPeer | Ended::HungUp => {}
        }
    }

    fn get(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections
            .get_mut(id.slot as usize)
            .filter(|connection| connection.path.id == id)
    }

    fn write(&mut self, id: ConnectionId) {
        let now = self.now;
        let Some(connection) = self.get(id) else {
            return;
        };
        let was_blocked = connection.blocked_since.is_some();
        let written = connection.write(now);
        let dropped = std::mem::take(&mut connection.queue.dropped);
        self.counters.frames_dropped += dropped;
        let Ok(written) = written else {
            return self.end(id, Ended::ByPeer);
        };
        if was_blocked == written.all {
            let stream = &self.connections[id.slot as usize].stream;
            let changed = self.poller.want_write(stream, token_of(id), !written.all);
            if changed.is_err() {
                self.end(id, Ended::ByPeer);
            }
        }
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS {
            match self.listener.accept() {
                Ok((stream, remote)) => self.admit(stream, remote),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        // Out of descriptors or memory; asking again at once would not help.
                        tracing::warn!(%error, "cannot take TCP connections for a second");
                        self.listening = self.poller.remove(&self.listener).is_err();
                        self.next_tick.get_or_insert(self.now + TICK);
                        return;
                    }
                },
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, remote: SocketAddr) {
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        let source = Source::of(remote);
        let unproven = self
            .unproven
            .iter()
            .filter(|id| self.connections[id.slot as usize].source == source);
        if self.connections.len() >= self.limits.connections
            || self.sources.count(source) >= self.limits.of_source
            || unproven.count() >= MAX_UNPROVEN_OF_SOURCE
        {
            self.counters.refused += 1;
            return;
        }
        // The oldest had most time: a client proves itself within a round trip or two, so that only
        // a flood pushes others out.
        if self.unproven.len() >= MAX_UNPROVEN
            && let Some(&oldest) = self.unproven.front()
        {
            self.end(oldest, Ended::Unproven);
        }
        let slot = self.connections.vacant_entry();
        let id = ConnectionId {
            slot: slot.key() as u32,
            serial: self.serial,
        };
        let path = TcpPath { id, remote };
        let added = Connection::new(self.now, stream, path, source).and_then(|connection| {
            self.poller.add(&connection.stream, token_of(id))?;
            Ok(connection)
        });
        match added {
            Ok(connection) => {
                slot.insert(connection);
                self.serial = self.serial.wrapping_add(1);
                self.sources.add(source);
                self.unproven.push_back(id);
                self.next_tick.get_or_insert(self.now + TICK);
                self.counters.accepted += 1;
            }
            Err(error) => {
                tracing::debug!(%remote, %error, "a TCP connection cannot be served");
                self.counters.refused += 1;
            }
        }
    }

    /// Ends what is overdue.
    fn tick(&mut self) {
        let now = self.now;
        if !self.listening {
            self.listening = self.poller.add(&self.listener, LISTENER).is_ok();
        }
        let mut overdue = Vec::new();
        for (_, connection) in &self.connections {
            let unproven = !connection.proven
                && now.saturating_duration_since(connection.opened) >= PROOF_TIMEOUT;
            let why = unproven.then_some(Ended::Unproven);
            if let Some(why) = why.or_else(|| connection.overdue(now)) {
                overdue.push((connection.path.id, why));
            }
        }
        for (id, why) in overdue {
            self.end(id, why);
        }
        let needed = !self.connections.is_empty() || !self.listening;
        self.next_tick = needed.then_some(now + TICK);
    }
}

impl AsFd for TcpConnections {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

fn token_of(id: ConnectionId) -> u64 {
    u64::from(id.serial) << 32 | u64::from(id.slot)
}

fn id_of(token: u64) -> ConnectionId {
    ConnectionId {
        slot: token as u32,
        serial: (token >> 32) as u32,
    }
}

#[cfg(test)]
mod tests;
