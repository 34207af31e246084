//! The addresses of this host, for candidates of a wildcard socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of the interfaces that are up; loopback only if there are no others.
pub(crate) fn host_addresses(with_ipv6: bool) -> Vec<IpAddr> {
    let mut all = interface_addresses();
    all.retain(|address| match address {
        IpAddr::V4(_) => true,
        // Link-local addresses are useless without a zone.
        IpAddr::V6(address) => with_ipv6 && !address.is_unicast_link_local(),
    });
    all.dedup();
    if all.iter().any(|address| !address.is_loopback()) {
        all.retain(|address| !address.is_loopback());
    }
    all
}

fn interface_addresses() -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let mut head: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: getifaddrs fills `head` with a list that freeifaddrs releases below.
    if unsafe { libc::getifaddrs(&raw mut head) } != 0 {
        return addresses;
    }
    let mut entry = head;
    while !entry.is_null() {
        // SAFETY: `entry` is a node of the list that getifaddrs made and that is not yet freed.
        let interface = unsafe { &*entry };
        if !interface.ifa_addr.is_null() && interface.ifa_flags & libc::IFF_UP as u32 != 0 {
            // SAFETY: the address is not null, and its family says which structure it is.
            unsafe {
                match i32::from((*interface.ifa_addr).sa_family) {
                    libc::AF_INET => {
                        let address = &*interface.ifa_addr.cast::<libc::sockaddr_in>();
                        addresses.push(IpAddr::V4(Ipv4Addr::from(
                            address.sin_addr.s_addr.to_ne_bytes(),
                        )));
                    }
                    libc::AF_INET6 => {
                        let address = &*interface.ifa_addr.cast::<libc::sockaddr_in6>();
                        addresses.push(IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr)));
                    }
                    _ => {}
                }
            }
        }
        entry = interface.ifa_next;
    }
    // SAFETY: `head` came from getifaddrs and is freed once.
    unsafe { libc::freeifaddrs(head) };
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_an_address() {
        assert!(!host_addresses(true).is_empty());
        assert!(host_addresses(false).iter().all(IpAddr::is_ipv4));
    }
}
