//! The sockets that clients come to: one port on UDP and on TCP.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

/// Ports that are tried if the system may pick one: a port that is free on UDP may be taken on TCP.
const ATTEMPTS: usize = 16;

/// `turn.bind` cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen for TURN on {transport} {address} ({error}); stop what has it (`ss -lntup`) or change `turn.bind`"
)]
pub struct BindTurnError {
    /// `UDP` or `TCP`.
    pub transport: &'static str,
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    pub error: io::Error,
}

/// The bound sockets.
#[derive(Debug)]
pub struct TurnSockets {
    pub(super) udp: UdpSocket,
    pub(super) tcp: TcpListener,
    pub(super) address: SocketAddr,
}

/// Binds `turn.bind`, so that a port that is in use is found out before anything else is started.
///
/// # Errors
/// See [`BindTurnError`].
pub fn bind(address: SocketAddr) -> Result<TurnSockets, BindTurnError> {
    let mut bound = bind_both(address);
    for _ in 1..ATTEMPTS {
        if bound.is_ok() || address.port() != 0 {
            break;
        }
        bound = bind_both(address);
    }
    bound
}

fn bind_both(asked: SocketAddr) -> Result<TurnSockets, BindTurnError> {
    let failed = |transport, address| {
        move |error| BindTurnError {
            transport,
            address,
            error,
        }
    };
    let udp = UdpSocket::bind(asked).map_err(failed("UDP", asked))?;
    let address = udp.local_addr().map_err(failed("UDP", asked))?;
    udp.set_nonblocking(true).map_err(failed("UDP", address))?;
    let tcp = TcpListener::bind(address).map_err(failed("TCP", address))?;
    tcp.set_nonblocking(true).map_err(failed("TCP", address))?;
    Ok(TurnSockets { udp, tcp, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_transports_have_the_same_port() {
        let sockets = bind("127.0.0.1:0".parse().expect("an address")).expect("free ports");
        assert_eq!(
            sockets.tcp.local_addr().expect("bound"),
            sockets.udp.local_addr().expect("bound")
        );
        let taken = bind(sockets.address).expect_err("it is taken");
        assert!(taken.to_string().contains("`turn.bind`"), "{taken}");
    }
}
