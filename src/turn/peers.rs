//! Whom a client may reach through this server: its media workers, by address and port, and the networks of
//! `turn.allow_peers`. Everybody else is refused, so that neither the Internet nor what stands behind the
//! firewall can be reached from here.
//!
//! Packets for a media worker do not go to the address that clients know, which may be a NAT's on the other
//! side of the network, but to the worker's socket on this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// A media worker's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaAddress {
    /// Where it is bound.
    pub bound: SocketAddr,
    /// Where clients are told that it is.
    pub candidates: Vec<SocketAddr>,
}

/// The filter.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    media: Vec<Worker>,
    networks: Vec<IpNet>,
}

/// One candidate of a media worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Worker {
    candidate: SocketAddr,
    /// Where its socket is reached from this machine.
    local: SocketAddr,
}

impl Peers {
    pub(super) fn new(media: &[MediaAddress], networks: &[IpNet]) -> Self {
        let workers = media.iter().flat_map(|address| {
            let bound = address.bound;
            address.candidates.iter().filter_map(move |&candidate| {
                let ip = local_ip(bound.ip(), candidate.is_ipv4())?;
                let local = SocketAddr::new(ip, bound.port());
                Some(Worker { candidate, local })
            })
        });
        Self {
            media: workers.collect(),
            networks: networks.to_vec(),
        }
    }

    /// Whether a permission for this address can be good for anything. Permissions know no ports.
    pub(super) fn may_permit(&self, ip: IpAddr) -> bool {
        let is_media = |worker: &Worker| worker.candidate.ip() == ip;
        self.media.iter().any(is_media) || self.is_allowed(ip)
    }

    /// Where packets for a peer have to go; `None` is nowhere.
    pub(super) fn route(&self, peer: SocketAddr) -> Option<SocketAddr> {
        let worker = self.media.iter().find(|worker| worker.candidate == peer);
        worker
            .map(|worker| worker.local)
            .or_else(|| (self.is_allowed(peer.ip()) && peer.port() != 0).then_some(peer))
    }

    /// Who a packet from `from` is of, in the eyes of the client: of a worker with several candidates the one
    /// that the client wrote to last. `None` is nobody that it may hear.
    pub(super) fn origin(&self, from: SocketAddr, last: Option<SocketAddr>) -> Option<SocketAddr> {
        let of_worker = || self.media.iter().filter(|worker| worker.local == from);
        of_worker()
            .find(|worker| Some(worker.candidate) == last)
            .or_else(|| of_worker().next())
            .map(|worker| worker.candidate)
            .or_else(|| self.is_allowed(from.ip()).then_some(from))
    }

    /// The address that relayed addresses of a family are told to have, and the one they are bound to; `None`
    /// if no media worker speaks that family.
    pub(super) fn relayed(&self, ipv4: bool) -> Option<(IpAddr, IpAddr)> {
        let worker = self
            .media
            .iter()
            .find(|worker| worker.candidate.is_ipv4() == ipv4)?;
        let bind = if self.networks.is_empty() {
            // Nobody but this machine's media workers has anything to send to it.
            worker.local.ip()
        } else if ipv4 {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        Some((worker.candidate.ip(), bind))
    }

    /// Some client's idea of this server's address, if nobody configured one.
    pub(super) fn public_ip(&self) -> Option<IpAddr> {
        self.media.first().map(|worker| worker.candidate.ip())
    }

    fn is_allowed(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        !is_never_a_peer(ip) && self.networks.iter().any(|network| network.contains(&ip))
    }
}

/// What no configuration opens by accident: this machine itself, link-local addresses, where clouds keep their
/// instances' secrets, and what is no single host.
fn is_never_a_peer(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.octets()[0] == 0
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
        }
    }
}

/// Where a socket bound to `bound` is reached from this machine over IPv4 or IPv6, if it is.
fn local_ip(bound: IpAddr, ipv4: bool) -> Option<IpAddr> {
    match (bound, ipv4) {
        (IpAddr::V4(ip), true) if ip.is_unspecified() => Some(Ipv4Addr::LOCALHOST.into()),
        // A wildcard of IPv6 takes IPv4 too.
        (IpAddr::V6(ip), true) if ip.is_unspecified() => Some(Ipv4Addr::LOCALHOST.into()),
        (IpAddr::V6(ip), false) if ip.is_unspecified() => Some(Ipv6Addr::LOCALHOST.into()),
        // Behind a NAT from one family to the other nothing arrives from here.
        _ => (bound.is_ipv4() == ipv4).then_some(bound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn peers(networks: &[&str]) -> Peers {
        let media = MediaAddress {
            bound: address("0.0.0.0:7882"),
            candidates: vec![address("203.0.113.7:7882"), address("10.0.0.5:7882")],
        };
        let networks: Vec<IpNet> = networks
            .iter()
            .map(|net| net.parse().expect("a network"))
            .collect();
        Peers::new(&[media], &networks)
    }

    #[test]
    fn only_the_media_workers_are_reached() {
        let peers = peers(&[]);
        let local = Some(address("127.0.0.1:7882"));
        assert_eq!(peers.route(address("203.0.113.7:7882")), local);
        assert_eq!(peers.route(address("10.0.0.5:7882")), local);
        for other in [
            "203.0.113.7:22",
            "203.0.113.7:0",
            "127.0.0.1:7882",
            "127.0.0.1:7880",
            "10.0.0.6:7882",
            "169.254.169.254:80",
            "198.51.100.1:7882",
            "[::1]:7882",
            "[::ffff:203.0.113.7]:7882",
        ] {
            assert_eq!(peers.route(address(other)), None, "{other}");
        }
        assert!(peers.may_permit(address("203.0.113.7:0").ip()));
        for other in ["127.0.0.1:0", "10.0.0.6:0", "198.51.100.1:0", "[::1]:0"] {
            assert!(!peers.may_permit(address(other).ip()), "{other}");
        }
    }

    #[test]
    fn allowed_networks_do_not_open_this_machine() {
        let peers = peers(&["198.51.100.0/24", "0.0.0.0/1", "128.0.0.0/1", "::/1"]);
        let node = address("198.51.100.9:7882");
        assert_eq!(peers.route(node), Some(node));
        assert_eq!(peers.origin(node, None), Some(node));
        for never in [
            "127.0.0.1:7880",
            "127.9.9.9:53",
            "0.0.0.0:80",
            "169.254.169.254:80",
            "224.0.0.1:5000",
            "255.255.255.255:5000",
            "[::1]:80",
            "[::]:80",
            "[::ffff:127.0.0.1]:80",
            "198.51.100.9:0",
        ] {
            assert_eq!(peers.route(address(never)), None, "{never}");
        }
    }

    #[test]
    fn a_worker_answers_as_who_was_asked() {
        let (peers, worker) = (peers(&[]), address("127.0.0.1:7882"));
        let second = address("10.0.0.5:7882");
        assert_eq!(peers.origin(worker, Some(second)), Some(second));
        assert_eq!(
            peers.origin(worker, None),
            Some(address("203.0.113.7:7882"))
        );
        for stranger in ["127.0.0.1:5000", "203.0.113.7:7882"] {
            assert_eq!(peers.origin(address(stranger), None), None, "{stranger}");
        }
    }

    #[test]
    fn relayed_addresses_stay_on_this_machine_unless_others_are_allowed() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(
            peers(&[]).relayed(true),
            Some((ip("203.0.113.7"), ip("127.0.0.1")))
        );
        assert_eq!(
            peers(&["198.51.100.0/24"]).relayed(true),
            Some((ip("203.0.113.7"), ip("0.0.0.0")))
        );
        assert_eq!(peers(&[]).relayed(false), None);
    }

    #[test]
    fn a_bound_address_is_reached_as_it_is() {
        assert_eq!(
            local_ip(address("10.0.0.5:1").ip(), true),
            Some(address("10.0.0.5:1").ip())
        );
        assert_eq!(local_ip(address("10.0.0.5:1").ip(), false), None);
        assert_eq!(
            local_ip(address("[::]:1").ip(), true),
            Some(Ipv4Addr::LOCALHOST.into())
        );
    }
}
