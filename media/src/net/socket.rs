//! Binding and waiting.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Room for a second of bursts; the kernel may grant less (`net.core.rmem_max`).
const BUFFER: libc::c_int = 4 * 1024 * 1024;

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

/// Sleeps until one of `readable` has something to read, the `timeout` is over, or a signal comes.
pub(crate) fn wait(readable: [BorrowedFd<'_>; 2], timeout: Option<Duration>) {
    let mut polled = readable.map(|fd| libc::pollfd {
        fd: fd.as_raw_fd(),
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
}
