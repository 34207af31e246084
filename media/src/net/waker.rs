//! Waking the worker's thread from another.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// An eventfd, written at most once until the worker has looked.
#[derive(Debug)]
pub(crate) struct Waker {
    fd: OwnedFd,
    raised: AtomicBool,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Waker> {
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Waker {
            // SAFETY: the descriptor was opened just now and is owned by nobody else.
            fd: unsafe { OwnedFd::from_raw_fd(fd) },
            raised: AtomicBool::new(false),
        })
    }

    /// Wakes the worker, if it is not awake for this reason already.
    pub(crate) fn wake(&self) {
        if !self.raised.swap(true, Ordering::AcqRel) {
            let one = 1u64;
            // SAFETY: eight bytes are read from a live u64. The write cannot fail while the counter
            // is below its maximum, which `raised` sees to.
            unsafe {
                libc::write(self.fd.as_raw_fd(), (&raw const one).cast(), 8);
            }
        }
    }

    /// Whether somebody woke the worker since the last call.
    pub(crate) fn take(&self) -> bool {
        if !self.raised.load(Ordering::Acquire) {
            return false;
        }
        let mut count = 0u64;
        // SAFETY: at most eight bytes are written to a live u64.
        unsafe {
            libc::read(self.fd.as_raw_fd(), (&raw mut count).cast(), 8);
        }
        // After the read, so that a wake in between writes again and is seen by the next poll.
        self.raised.store(false, Ordering::Release);
        true
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
