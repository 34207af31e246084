//! Host candidates: where checks are to be sent.

use std::fmt::Write;
use std::net::SocketAddr;

/// Type preference of UDP host candidates (RFC 8445 §5.1.2.2).
const HOST_UDP: u32 = 126;
/// Type preference of TCP host candidates: below every UDP candidate's except relayed ones, so that
/// TCP is what is left when UDP fails (RFC 6544 §4.2). The value is Chromium's.
const HOST_TCP: u32 = 90;
/// Direction preference of passive candidates (RFC 6544 §4.2).
const PASSIVE: u32 = 4;

/// The addresses of a worker, of the most preferred of each kind first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Of its UDP socket.
    pub udp: Vec<SocketAddr>,
    /// At which it takes TCP connections.
    pub tcp: Vec<SocketAddr>,
}

impl Candidates {
    /// Writes the candidates (RFC 8839 §5.1, RFC 6544 §4.5) and their end.
    pub(super) fn write(&self, sdp: &mut String) {
        // Writing to a String cannot fail. A candidate of another transport has another foundation.
        for (at, address) in self.udp.iter().enumerate() {
            let priority = priority(HOST_UDP, 65_535 - at as u32);
            let (ip, port) = (address.ip(), address.port());
            let number = at + 1;
            let _ = write!(
                sdp,
                "a=candidate:{number} 1 udp {priority} {ip} {port} typ host\r\n"
            );
        }
        for (at, address) in self.tcp.iter().enumerate() {
            let priority = priority(HOST_TCP, (PASSIVE << 13) + 8191 - at as u32);
            let (ip, port) = (address.ip(), address.port());
            let number = self.udp.len() + at + 1;
            let _ = write!(
                sdp,
                "a=candidate:{number} 1 tcp {priority} {ip} {port} typ host tcptype passive\r\n"
            );
        }
        sdp.push_str("a=end-of-candidates\r\n");
    }
}

/// RFC 8445 §5.1.2.1, of component 1.
fn priority(kind: u32, local: u32) -> u32 {
    (kind << 24) + (local << 8) + 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_comes_after_udp_and_is_preferred_less() {
        let addresses = ["192.0.2.1:4000", "[2001:db8::1]:4000"].map(|it| it.parse().unwrap());
        let candidates = Candidates {
            udp: addresses.to_vec(),
            tcp: addresses.to_vec(),
        };
        let mut text = String::new();
        candidates.write(&mut text);
        assert_eq!(
            text,
            "a=candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host\r\n\
             a=candidate:2 1 udp 2130706175 2001:db8::1 4000 typ host\r\n\
             a=candidate:3 1 tcp 1520435199 192.0.2.1 4000 typ host tcptype passive\r\n\
             a=candidate:4 1 tcp 1520434943 2001:db8::1 4000 typ host tcptype passive\r\n\
             a=end-of-candidates\r\n"
        );
    }
}
