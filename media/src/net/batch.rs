//! Many datagrams per system call.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;

use crate::engine::MAX_DATAGRAM;

/// Datagrams per call.
const BATCH: usize = 64;
/// Bytes of one buffer; a longer datagram is cut and counted.
const SLOT: usize = 1536;
const _: () = assert!(SLOT > MAX_DATAGRAM);

/// The memory of one direction: buffers, addresses and what the kernel needs to find them.
struct Arena {
    buffers: Box<[u8]>,
    addresses: Box<[libc::sockaddr_storage]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

// SAFETY: the raw pointers inside point into this arena's own boxes, which move with it, and are
// set anew before each system call.
unsafe impl Send for Arena {}

impl Arena {
    fn new() -> Arena {
        // SAFETY: these C structures are plain data for which all zeros is a valid value.
        let (address, vector, header) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        let mut arena = Arena {
            buffers: vec![0; SLOT * BATCH].into_boxed_slice(),
            addresses: vec![address; BATCH].into_boxed_slice(),
            vectors: vec![vector; BATCH].into_boxed_slice(),
            headers: vec![header; BATCH].into_boxed_slice(),
        };
        for at in 0..BATCH {
            arena.vectors[at].iov_base = arena.buffers[at * SLOT..].as_mut_ptr().cast();
            arena.vectors[at].iov_len = SLOT;
            let header = &mut arena.headers[at].msg_hdr;
            header.msg_name = (&raw mut arena.addresses[at]).cast();
            header.msg_iov = &raw mut arena.vectors[at];
            header.msg_iovlen = 1;
        }
        arena
    }

    fn buffer(&mut self, at: usize) -> &mut [u8] {
        &mut self.buffers[at * SLOT..(at + 1) * SLOT]
    }
}

/// Receives up to [`BATCH`] datagrams at a time.
pub(crate) struct ReceiveBatch {
    arena: Arena,
}

/// One received datagram.
pub(crate) struct Received<'a> {
    pub(crate) from: SocketAddr,
    pub(crate) bytes: &'a mut [u8],
    /// Longer than the buffer; `bytes` is only its start.
    pub(crate) cut: bool,
}

impl ReceiveBatch {
    pub(crate) fn new() -> ReceiveBatch {
        ReceiveBatch {
            arena: Arena::new(),
        }
    }

    /// Reads what is there, without waiting. Returns how many, and whether there may be more.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> (usize, bool) {
        for header in &mut self.arena.headers {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_flags = 0;
        }
        // SAFETY: the headers point at buffers and addresses of this arena, with their true sizes.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.arena.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        (count, count == BATCH)
    }

    /// The datagram at `at`; `None` if its address is of no family we know.
    pub(crate) fn get(&mut self, at: usize) -> Option<Received<'_>> {
        let header = self.arena.headers[at];
        let from = read_address(&self.arena.addresses[at])?;
        let len = (header.msg_len as usize).min(SLOT);
        Some(Received {
            from,
            bytes: &mut self.arena.buffer(at)[..len],
            cut: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        })
    }
}

/// Collects datagrams and sends [`BATCH`] of them at a time.
pub(crate) struct SendBatch {
    arena: Arena,
    count: usize,
    socket: UdpSocket,
    ipv6: bool,
    /// Since the worker last took them.
    pub(crate) sent: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) failed: u64,
}

impl SendBatch {
    /// Sends through `socket`, whose own address tells the family.
    pub(crate) fn new(socket: UdpSocket, local: SocketAddr) -> SendBatch {
        SendBatch {
            arena: Arena::new(),
            count: 0,
            socket,
            ipv6: local.is_ipv6(),
            sent: 0,
            sent_bytes: 0,
            failed: 0,
        }
    }

    /// Sends what was collected.
    pub(crate) fn flush(&mut self) {
        let mut at = 0;
        let mut waited = false;
        while at < self.count {
            // SAFETY: the headers point at buffers and addresses of this arena, with their true
            // sizes, and `at` is below the number of headers.
            let result = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    self.arena.headers.as_mut_ptr().add(at),
                    (self.count - at) as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            if let Ok(sent @ 1..) = usize::try_from(result) {
                at += sent;
                self.sent += sent as u64;
                continue;
            }
            let error = std::io::Error::last_os_error();
            match error.kind() {
                std::io::ErrorKind::Interrupted => {}
                // The network card is behind: one short wait, then loss, which RTP is made for.
                std::io::ErrorKind::WouldBlock if !waited => {
                    waited = true;
                    self.wait_writable();
                }
                // The first of the rest cannot be sent (no route, say); the others may.
                _ => {
                    self.failed += 1;
                    at += 1;
                }
            }
        }
        self.count = 0;
    }

    fn wait_writable(&self) {
        let mut polled = libc::pollfd {
            fd: self.socket.as_raw_fd(),
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: one live pollfd is passed.
        unsafe { libc::poll(&raw mut polled, 1, 2) };
    }

    /// The buffer of the next datagram.
    pub(crate) fn buffer(&mut self) -> &mut [u8] {
        if self.count == BATCH {
            self.flush();
        }
        self.arena.buffer(self.count)
    }

    /// Adds the first `len` bytes of the buffer that [`SendBatch::buffer`] gave last.
    pub(crate) fn send(&mut self, len: usize, to: SocketAddr) {
        let at = self.count;
        self.arena.vectors[at].iov_len = len.min(SLOT);
        let name_len = write_address(to, self.ipv6, &mut self.arena.addresses[at]);
        self.arena.headers[at].msg_hdr.msg_namelen = name_len;
        self.sent_bytes += len as u64;
        self.count += 1;
    }
}

fn read_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let storage: *const libc::sockaddr_storage = storage;
    // SAFETY: sockaddr_storage is large and aligned enough for either, and the family says which.
    unsafe {
        match i32::from((*storage).ss_family) {
            libc::AF_INET => {
                let address = &*storage.cast::<libc::sockaddr_in>();
                Some(SocketAddr::from((
                    Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes()),
                    u16::from_be(address.sin_port),
                )))
            }
            libc::AF_INET6 => {
                let address = &*storage.cast::<libc::sockaddr_in6>();
                let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
                let port = u16::from_be(address.sin6_port);
                // A dual-stack socket shows IPv4 peers as mapped addresses.
                Some(match ip.to_ipv4_mapped() {
                    Some(ip) => SocketAddr::from((ip, port)),
                    None => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, address.sin6_scope_id)),
                })
            }
            _ => None,
        }
    }
}

fn write_address(
    address: SocketAddr,
    ipv6: bool,
    storage: &mut libc::sockaddr_storage,
) -> libc::socklen_t {
    let storage: *mut libc::sockaddr_storage = storage;
    let (ip, port, scope) = match address {
        SocketAddr::V4(address) if !ipv6 => {
            // SAFETY: sockaddr_storage is large and aligned enough for sockaddr_in.
            unsafe {
                *storage.cast() = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: address.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from_ne_bytes(address.ip().octets()),
                    },
                    sin_zero: [0; 8],
                };
            }
            return size_of::<libc::sockaddr_in>() as libc::socklen_t;
        }
        SocketAddr::V4(address) => (address.ip().to_ipv6_mapped(), address.port(), 0),
        SocketAddr::V6(address) => (*address.ip(), address.port(), address.scope_id()),
    };
    // SAFETY: sockaddr_storage is large and aligned enough for sockaddr_in6.
    unsafe {
        *storage.cast() = libc::sockaddr_in6 {
            sin6_family: libc::AF_INET6 as libc::sa_family_t,
            sin6_port: port.to_be(),
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr {
                s6_addr: ip.octets(),
            },
            sin6_scope_id: scope,
        };
    }
    size_of::<libc::sockaddr_in6>() as libc::socklen_t
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{bind, wait};
    use std::os::fd::AsFd;
    use std::time::Duration;

    fn echo(bind_to: &str, client_bind: &str, server_ip: &str) {
        let socket = bind(bind_to.parse().unwrap()).unwrap();
        let local = socket.local_addr().unwrap();
        let client = UdpSocket::bind(client_bind).unwrap();
        let server = SocketAddr::new(server_ip.parse().unwrap(), local.port());
        let mut receive = ReceiveBatch::new();
        let mut send = SendBatch::new(socket.try_clone().unwrap(), local);
        client.send_to(&[1, 2, 3], server).unwrap();
        client.send_to(&[7; 1600], server).unwrap();
        let mut seen = Vec::new();
        while seen.len() < 2 {
            wait([Some(socket.as_fd()), None], Some(Duration::from_secs(5)));
            let (count, _) = receive.receive(&socket);
            assert!(count > 0, "nothing came");
            for at in 0..count {
                let received = receive.get(at).unwrap();
                assert_eq!(received.from, client.local_addr().unwrap());
                seen.push((received.bytes.len(), received.cut));
            }
        }
        assert_eq!(seen, [(3, false), (SLOT, true)]);
        // More than a batch, so that it flushes by itself.
        for number in 0..BATCH as u8 + 10 {
            send.buffer()[0] = number;
            send.send(1, client.local_addr().unwrap());
        }
        send.flush();
        client
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        for number in 0..BATCH as u8 + 10 {
            let mut byte = [0; 4];
            let (len, from) = client.recv_from(&mut byte).unwrap();
            assert_eq!((len, byte[0], from), (1, number, server));
        }
        assert_eq!((send.sent, send.failed), (BATCH as u64 + 10, 0));
    }

    #[test]
    fn ipv4() {
        echo("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1");
    }

    #[test]
    fn ipv6() {
        if UdpSocket::bind("[::1]:0").is_ok() {
            echo("[::1]:0", "[::1]:0", "::1");
        }
    }

    #[test]
    fn an_ipv6_wildcard_serves_ipv4() {
        if UdpSocket::bind("[::]:0").is_ok() {
            echo("[::]:0", "127.0.0.1:0", "127.0.0.1");
        }
    }

    #[test]
    fn one_unsendable_datagram_does_not_stop_the_others() {
        let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let local = socket.local_addr().unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut send = SendBatch::new(socket, local);
        for to in [
            client.local_addr().unwrap(),
            // Port 0 cannot be sent to.
            "127.0.0.1:0".parse().unwrap(),
            client.local_addr().unwrap(),
        ] {
            send.buffer()[0] = 9;
            send.send(1, to);
        }
        send.flush();
        assert_eq!((send.sent, send.failed), (2, 1));
    }
}
