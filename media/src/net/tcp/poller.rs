//! Which of many sockets can be read or written (`epoll`).
//!
//! The worker waits for its sockets by `poll`, whose cost grows with their number. A poller is itself
//! one descriptor, so that thousands of idle connections cost the worker's turns nothing.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Sockets told of at a time. Few, so that datagrams do not wait long for connections.
const EVENTS: usize = 16;

/// See the [module](self).
pub(super) struct Poller {
    fd: OwnedFd,
    events: [libc::epoll_event; EVENTS],
}

/// A socket that is ready.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    /// What the socket was added with.
    pub(super) token: u64,
    pub(super) readable: bool,
    pub(super) writable: bool,
}

impl Poller {
    pub(super) fn new() -> io::Result<Poller> {
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Poller {
            // SAFETY: the descriptor was opened just now and is owned by nobody else.
            fd: unsafe { OwnedFd::from_raw_fd(fd) },
            events: [libc::epoll_event { events: 0, u64: 0 }; EVENTS],
        })
    }

    /// Tells of `socket` from now on, by `token`, whenever it can be read. Closing it ends that.
    pub(super) fn add(&self, socket: &impl AsRawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket, libc::EPOLLIN, token)
    }

    /// Tells of `socket` when it can be written, too, or not any more.
    pub(super) fn want_write(
        &self,
        socket: &impl AsRawFd,
        token: u64,
        wanted: bool,
    ) -> io::Result<()> {
        let write = if wanted { libc::EPOLLOUT } else { 0 };
        self.control(libc::EPOLL_CTL_MOD, socket, libc::EPOLLIN | write, token)
    }

    /// Tells no more of `socket`.
    pub(super) fn remove(&self, socket: &impl AsRawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, socket, 0, 0)
    }

    fn control(
        &self,
        operation: libc::c_int,
        socket: &impl AsRawFd,
        interest: libc::c_int,
        token: u64,
    ) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: interest as u32,
            u64: token,
        };
        // SAFETY: both descriptors are open, and the event is read during the call only.
        let result = unsafe {
            libc::epoll_ctl(
                self.fd.as_raw_fd(),
                operation,
                socket.as_raw_fd(),
                &raw mut event,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Looks, without waiting. Returns how many are ready; if there are more, the next call has them.
    pub(super) fn poll(&mut self) -> usize {
        // SAFETY: as many events are written at most as the array has room for.
        let count = unsafe {
            libc::epoll_wait(
                self.fd.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENTS as libc::c_int,
                0,
            )
        };
        usize::try_from(count).unwrap_or(0)
    }

    /// The `at`-th of those that [`Poller::poll`] found.
    pub(super) fn ready(&self, at: usize) -> Ready {
        let event = self.events[at];
        let failed = event.events & (libc::EPOLLERR | libc::EPOLLHUP) as u32 != 0;
        Ready {
            token: event.u64,
            // Reading is how a failure is found out.
            readable: failed || event.events & libc::EPOLLIN as u32 != 0,
            writable: event.events & libc::EPOLLOUT as u32 != 0,
        }
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
