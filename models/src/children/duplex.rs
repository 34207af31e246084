//! Talking to a child over pipes without ever waiting past a deadline.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

/// How often a waiting thread looks whether it should go on waiting.
const SLICE: Duration = Duration::from_millis(50);

/// Why a request has no reply. After any of these the child's pipes are in an unknown state and the
/// child must be ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error("it ended")]
    Ended,
    #[error("it gave no answer in time")]
    TimedOut,
    #[error("it answered more than it was asked")]
    Surplus,
    #[error("its pipe failed: {0}")]
    Pipe(#[from] io::Error),
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Ready,
    TimedOut,
    /// `go_on` said no.
    Abandoned,
}

/// Sends `request` and reads up to the byte `end`, which is cut off. Writes and reads at once, so
/// neither pipe can fill up and stop both sides. `go_on` is asked every 50 ms.
pub(crate) fn exchange(
    stdin: &mut (impl Write + AsRawFd),
    stdout: &mut (impl Read + AsRawFd),
    request: &[u8],
    end: u8,
    deadline: Instant,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<u8>, ExchangeError> {
    set_nonblocking(stdin.as_raw_fd())?;
    set_nonblocking(stdout.as_raw_fd())?;
    if poll_once(
        &mut [poll_entry(stdout.as_raw_fd(), libc::POLLIN)],
        Duration::ZERO,
    )? {
        let surplus = matches!(stdout.read(&mut [0; 64]), Ok(count) if count > 0);
        return Err(if surplus {
            ExchangeError::Surplus
        } else {
            ExchangeError::Ended
        });
    }
    let mut sent = 0;
    let mut reply = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let write_events = if sent < request.len() {
            libc::POLLOUT
        } else {
            0
        };
        let input = if sent < request.len() {
            stdin.as_raw_fd()
        } else {
            -1
        };
        let mut entries = [
            poll_entry(stdout.as_raw_fd(), libc::POLLIN),
            poll_entry(input, write_events),
        ];
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ExchangeError::TimedOut);
        }
        if !poll_once(&mut entries, left.min(SLICE))? {
            if !go_on() {
                return Err(ExchangeError::Ended);
            }
            continue;
        }
        if entries[1].revents != 0 {
            match stdin.write(&request[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Err(ExchangeError::Ended);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if entries[0].revents != 0 {
            match stdout.read(&mut buffer) {
                Ok(0) => return Err(ExchangeError::Ended),
                Ok(count) => reply.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(at) = reply.iter().position(|&byte| byte == end) {
                if at + 1 < reply.len() || sent < request.len() {
                    return Err(ExchangeError::Surplus);
                }
                reply.truncate(at);
                return Ok(reply);
            }
        }
    }
}

/// Waits until there is something to read (or the writer has gone).
pub(crate) fn wait_readable(
    stdout: &impl AsRawFd,
    deadline: Instant,
    go_on: &mut dyn FnMut() -> bool,
) -> io::Result<Wait> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if poll_once(
            &mut [poll_entry(stdout.as_raw_fd(), libc::POLLIN)],
            left.min(SLICE),
        )? {
            return Ok(Wait::Ready);
        }
        if left.is_zero() {
            return Ok(Wait::TimedOut);
        }
        if !go_on() {
            return Ok(Wait::Abandoned);
        }
    }
}

fn poll_entry(fd: RawFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd {
        fd,
        events,
        revents: 0,
    }
}

/// Whether any entry is ready within `timeout`.
fn poll_once(entries: &mut [libc::pollfd], timeout: Duration) -> io::Result<bool> {
    // Rounded up, so that a fraction of a millisecond does not spin.
    let timeout = timeout.as_micros().div_ceil(1000).min(60_000) as libc::c_int;
    // SAFETY: the pointer and the count describe the slice.
    let ready = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, timeout) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted {
            Ok(false)
        } else {
            Err(error)
        };
    }
    Ok(ready > 0)
}

fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: plain fcntl on a descriptor the caller owns.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    // SAFETY: as above.
    if flags < 0 || unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
