//! What this machine is called and where it can be reached in its own networks.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use super::name::HostName;

/// The machine's own name, if it has one that can stand in a certificate.
pub fn name() -> Option<HostName> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    HostName::parse(text.trim()).ok()
}

/// Addresses of the interfaces that are up, without loopback and link-local ones. Empty when the system does not tell.
pub fn addresses() -> BTreeSet<IpAddr> {
    let up = |flags: InterfaceFlags| flags.contains(InterfaceFlags::IFF_UP) && !flags.contains(InterfaceFlags::IFF_LOOPBACK);
    let interfaces = getifaddrs().into_iter().flatten().filter(|interface| up(interface.flags));
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    addresses.filter(|address| is_reachable(*address)).collect()
}

/// A link-local address means something only together with an interface.
const fn is_reachable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_others_can_use_are_told() {
        let check = |text: &str, expected| assert_eq!(is_reachable(text.parse().unwrap()), expected, "{text}");
        check("192.168.1.7", true);
        check("fd00::7", true);
        check("169.254.1.1", false);
        check("fe80::1", false);
        assert!(addresses().iter().all(|address| !address.is_loopback()));
    }
}
