//! Where datagrams come from and go to.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;

/// A way to a peer. The same address over UDP and over TCP is two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// An address, through the worker's UDP socket.
    Udp(SocketAddr),
    /// A TCP connection that the peer opened.
    Tcp(TcpPath),
}

/// A TCP connection as a path.
#[derive(Clone, Copy, Debug)]
pub struct TcpPath {
    /// Which connection.
    pub id: ConnectionId,
    /// The other end, which is what a connectivity check's answer tells it.
    pub remote: SocketAddr,
}

/// A connection of a worker. No two ever have the same, although a closed one's slot is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// Where the worker keeps it.
    pub slot: u32,
    /// How many were opened before it.
    pub serial: u32,
}

impl Path {
    /// The other end's address.
    pub fn remote(&self) -> SocketAddr {
        match self {
            Path::Udp(address) => *address,
            Path::Tcp(connection) => connection.remote,
        }
    }
}

impl PartialEq for TcpPath {
    fn eq(&self, other: &TcpPath) -> bool {
        self.id == other.id
    }
}

impl Eq for TcpPath {}

/// By hand, so that looking up a UDP path costs what looking up its address does: each datagram is
/// looked up once.
impl Hash for Path {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Path::Udp(address) => address.hash(state),
            Path::Tcp(connection) => connection.id.hash(state),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Udp(address) => write!(f, "udp {address}"),
            Path::Tcp(connection) => write!(f, "tcp {}", connection.remote),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_its_connections_are_different_paths() {
        let remote = "192.0.2.1:9".parse().unwrap();
        let tcp = |slot, serial| {
            let id = ConnectionId { slot, serial };
            Path::Tcp(TcpPath { id, remote })
        };
        let paths = [Path::Udp(remote), tcp(0, 0), tcp(0, 1), tcp(1, 0)];
        let known: std::collections::HashSet<Path> = paths.into_iter().collect();
        assert_eq!(known.len(), 4);
        assert!(paths.iter().all(|path| path.remote() == remote));
        assert_eq!(tcp(0, 0).to_string(), "tcp 192.0.2.1:9");
    }
}
