//! How many connections each client address has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What counts as one client: an IPv4 address, or a /64 of IPv6, which is what one site has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Source(IpAddr);

impl Source {
    pub(super) fn of(address: SocketAddr) -> Source {
        match address.ip().to_canonical() {
            IpAddr::V6(ip) => {
                let network = u128::from(ip) & !u128::from(u64::MAX);
                Source(Ipv6Addr::from(network).into())
            }
            ip => Source(ip),
        }
    }
}

/// Counts of the sources that have connections.
#[derive(Debug, Default)]
pub(super) struct Sources(HashMap<Source, usize>);

impl Sources {
    pub(super) fn count(&self, source: Source) -> usize {
        self.0.get(&source).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, source: Source) {
        *self.0.entry(source).or_default() += 1;
    }

    pub(super) fn remove(&mut self, source: Source) {
        if let Some(count) = self.0.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_network() {
        let of = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1:1"), of("192.0.2.1:2"));
        assert_eq!(of("192.0.2.1:1"), of("[::ffff:192.0.2.1]:3"));
        assert_ne!(of("192.0.2.1:1"), of("192.0.2.2:1"));
        assert_eq!(of("[2001:db8::1]:1"), of("[2001:db8::ffff:2]:1"));
        assert_ne!(of("[2001:db8::1]:1"), of("[2001:db8:0:1::1]:1"));
    }

    #[test]
    fn who_has_none_is_forgotten() {
        let source = Source::of("192.0.2.1:1".parse().unwrap());
        let mut sources = Sources::default();
        sources.add(source);
        sources.add(source);
        sources.remove(source);
        assert_eq!(sources.count(source), 1);
        sources.remove(source);
        assert!(sources.count(source) == 0 && sources.0.is_empty());
    }
}
