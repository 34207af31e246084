//! Sockets of relayed addresses.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use rand::Rng;
use tokio::net::UdpSocket;

use super::peers::Peers;
use crate::config::RelayPorts;

/// Ports that are tried before giving up; a range that is nine tenths full still has a free one among them
/// more than 99 times in 100.
const ATTEMPTS: usize = 64;

/// A socket, and the address that its client is told.
pub(super) struct Relay {
    pub(super) socket: UdpSocket,
    pub(super) address: SocketAddr,
}

/// There is no relayed address to be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenRelayError {
    /// No media worker speaks the address family.
    #[error("no media worker speaks this address family")]
    Family,
    /// No port is free, or no descriptor.
    #[error("no port of turn.relay_ports can be bound: {0}")]
    Ports(io::Error),
}

/// Binds a port of the range on the right address. Which one is hard to guess (RFC 8656, section 7.2).
pub(super) fn open(
    ports: RelayPorts,
    peers: &Peers,
    ipv4: bool,
    rng: &mut impl Rng,
) -> Result<Relay, OpenRelayError> {
    let (told, bind) = peers.relayed(ipv4).ok_or(OpenRelayError::Family)?;
    let mut last = io::ErrorKind::AddrInUse.into();
    for _ in 0..ATTEMPTS {
        let port = rng.random_range(ports.first..=ports.last);
        match bound(bind, port) {
            Ok(socket) => {
                return Ok(Relay {
                    socket,
                    address: SocketAddr::new(told, port),
                });
            }
            Err(error) => last = error,
        }
    }
    Err(OpenRelayError::Ports(last))
}

fn bound(ip: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind((ip, port))?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::turn::MediaAddress;

    #[tokio::test]
    async fn a_port_that_is_taken_is_passed_over_and_a_full_range_is_told() {
        // An address of its own, or somebody else takes the port once it is free again.
        let own = Ipv4Addr::new(127, 0, 0, 5);
        let media = MediaAddress {
            bound: SocketAddr::from((own, 9)),
            candidates: vec![SocketAddr::from((own, 9))],
        };
        let peers = Peers::new(&[media], &[]);
        let taken = std::net::UdpSocket::bind((own, 0)).expect("a port");
        let port = taken.local_addr().expect("bound").port();
        let ports = RelayPorts {
            first: port,
            last: port,
        };
        let full = open(ports, &peers, true, &mut rand::rng());
        assert!(matches!(full, Err(OpenRelayError::Ports(_))));
        let other_family = open(ports, &peers, false, &mut rand::rng());
        assert!(matches!(other_family, Err(OpenRelayError::Family)));
        drop(taken);
        let relay = open(ports, &peers, true, &mut rand::rng()).expect("free again");
        assert_eq!(relay.address, SocketAddr::from((own, port)));
    }
}
