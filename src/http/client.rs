//! Which client a request comes from.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::HttpRequest;
use ipnet::IpNet;

/// The address that a request is counted for: the peer, or, if the peer is a trusted proxy, the last address
/// of `X-Forwarded-For` that is none. IPv6 addresses stand for their /64, which one customer has whole.
pub(crate) fn client_address(request: &HttpRequest, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    let forwarded = request
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok());
    let mut hops: Vec<&str> = forwarded
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    hops.reverse();
    Some(network(origin(peer, &hops, trusted)))
}

/// `hops`: the forwarding addresses, nearest first.
fn origin(peer: IpAddr, hops: &[&str], trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut nearest = peer.to_canonical();
    for hop in hops {
        if !is_trusted(&nearest) {
            break;
        }
        // What cannot be read was not written by a proxy that we trust.
        let Ok(address) = hop.parse::<IpAddr>() else {
            break;
        };
        nearest = address.to_canonical();
    }
    nearest
}

/// What stands for one client: an IPv4 address, or the /64 of an IPv6 one.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let trusted = [
            "10.0.0.0/8".parse().expect("a net"),
            "127.0.0.1/32".parse().expect("a net"),
        ];
        assert_eq!(
            origin(ip("192.0.2.9"), &["198.51.100.1"], &trusted),
            ip("192.0.2.9")
        );
        assert_eq!(
            origin(ip("127.0.0.1"), &["198.51.100.1"], &trusted),
            ip("198.51.100.1")
        );
        assert_eq!(
            origin(ip("::ffff:127.0.0.1"), &["198.51.100.1"], &trusted),
            ip("198.51.100.1")
        );
        assert_eq!(
            origin(
                ip("127.0.0.1"),
                &["10.1.1.1", "198.51.100.1", "203.0.113.5"],
                &trusted
            ),
            ip("198.51.100.1")
        );
        assert_eq!(
            origin(ip("127.0.0.1"), &["garbage", "198.51.100.1"], &trusted),
            ip("127.0.0.1")
        );
        assert_eq!(origin(ip("127.0.0.1"), &[], &trusted), ip("127.0.0.1"));
    }

    #[test]
    fn an_ipv6_address_stands_for_its_network() {
        assert_eq!(network(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_eq!(network(ip("192.0.2.1")), ip("192.0.2.1"));
    }
}
