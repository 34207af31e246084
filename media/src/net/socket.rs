//! Binding and waiting.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Room for a second of bursts; the kernel may grant less (`net.core.rmem_max`).
const BUFFER: libc::c_int = 4 * 1024 * 1024;

/// Free UDP ports that are tried until one is free for TCP, too.
const PORT_TRIES: usize = 16;

/// What cannot be bound.
#[derive(Debug)]
pub(crate) enum BindError {
    /// The UDP socket.
    Udp(io::Error),
    /// The TCP listener.
    Tcp(io::Error),
}

/// Binds a UDP socket with large buffers. An IPv6 wildcard takes IPv4 peers too.
pub(crate) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    for option in [libc::SO_RCVBUF, libc::SO_SNDBUF] {
        // SAFETY: the descriptor is open, and the value is a c_int of the size given.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                std::ptr::from_ref(&BUFFER).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if result != 0 {
            tracing::warn!(
                error = %io::Error::last_os_error(),
                "the media socket keeps its default buffer size; expect loss in bursts"
            );
        }
    }
    Ok(socket)
}

/// Binds a UDP socket, and if `with_tcp` a TCP listener at the same port.
///
/// # Errors
///
/// Which of them cannot be had, and where.
pub(crate) fn bind_pair(
    address: SocketAddr,
    with_tcp: bool,
) -> Result<(UdpSocket, Option<TcpListener>), BindError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let socket = bind(address).map_err(BindError::Udp)?;
        if !with_tcp {
            return Ok((socket, None));
        }
        let local = socket.local_addr().map_err(BindError::Udp)?;
        match TcpListener::bind(local) {
            Ok(listener) => return Ok((socket, Some(listener))),
            // The system picked a port that is free for UDP; it may be taken for TCP.
            Err(_) if address.port() == 0 && tries < PORT_TRIES => {}
            Err(error) => return Err(BindError::Tcp(error)),
        }
    }
}

/// Sleeps until one of `readable` has something to read, the `timeout` is over, or a signal comes.
/// Returns which have.
pub(crate) fn wait<const N: usize>(
    readable: [Option<BorrowedFd<'_>>; N],
    timeout: Option<Duration>,
) -> [bool; N] {
    let mut polled = readable.map(|fd| libc::pollfd {
        // A negative descriptor is passed over.
        fd: fd.map_or(-1, |fd| fd.as_raw_fd()),
        events: libc::POLLIN,
        revents: 0,
    });
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs() as libc::time_t,
        tv_nsec: timeout.subsec_nanos() as libc::c_long,
    });
    let timeout = timeout
        .as_ref()
        .map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `polled` holds as many entries as said, and both it and `timeout` outlive the call.
    unsafe {
        libc::ppoll(
            polled.as_mut_ptr(),
            polled.len() as libc::nfds_t,
            timeout,
            std::ptr::null(),
        );
    }
    polled.map(|polled| polled.revents != 0)
}
