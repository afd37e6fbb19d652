//! What this machine is called and where it can be reached in its own networks.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use super::name::HostName;

/// The machine's own name, if it has one that can stand in a certificate.
pub fn name() -> Option<HostName> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    HostName::parse(text.trim()).ok()
}

/// Addresses of the interfaces that are up, without loopback and link-local ones. Empty when the system shows none.
pub fn addresses() -> BTreeSet<IpAddr> {
    let all = by_netlink().unwrap_or_else(by_tables);
    all.into_iter().filter(|address| is_reachable(*address)).collect()
}

/// Whether the system shows addresses at all: every machine has that of its loopback interface.
pub fn shows_addresses() -> bool {
    by_netlink().is_some() || !by_tables().is_empty()
}

/// `None` where netlink is closed to us, as in a unit whose `RestrictAddressFamilies=` leaves AF_NETLINK out.
fn by_netlink() -> Option<BTreeSet<IpAddr>> {
    let up = |flags: InterfaceFlags| flags.contains(InterfaceFlags::IFF_UP) && !flags.contains(InterfaceFlags::IFF_LOOPBACK);
    let interfaces = getifaddrs().ok()?.filter(|interface| up(interface.flags));
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    Some(addresses.collect())
}

/// From the kernel's tables of our network namespace.
fn by_tables() -> BTreeSet<IpAddr> {
    let table = |name: &str| std::fs::read_to_string(format!("/proc/self/net/{name}")).unwrap_or_default();
    of_fib_trie(&table("fib_trie")).chain(of_if_inet6(&table("if_inet6"))).collect()
}

/// Below each address of our own stands `/32 host LOCAL`.
fn of_fib_trie(table: &str) -> impl Iterator<Item = IpAddr> {
    let lines = table.lines().zip(table.lines().skip(1));
    let ours = lines.filter(|(_, below)| below.trim() == "/32 host LOCAL");
    ours.filter_map(|(line, _)| line.trim().strip_prefix("|--")?.trim().parse::<Ipv4Addr>().ok().map(IpAddr::V4))
}

/// Each line begins with an address in 32 hexadecimal digits.
fn of_if_inet6(table: &str) -> impl Iterator<Item = IpAddr> {
    let bits = |line: &str| u128::from_str_radix(line.split(' ').next().filter(|digits| digits.len() == 32)?, 16).ok();
    table.lines().filter_map(bits).map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)))
}

/// A link-local address means something only together with an interface.
const fn is_reachable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified() && !v4.is_loopback(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_unspecified() && !v6.is_loopback(),
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

    #[test]
    fn addresses_are_read_from_the_kernels_tables_where_netlink_is_closed() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 203.0.113.0/24 2 0 2\n\
                    \x20       |-- 203.0.113.5\n           /32 host LOCAL\n        |-- 203.0.113.255\n           /32 link BROADCAST\n";
        assert_eq!(of_fib_trie(trie).collect::<Vec<_>>(), ["203.0.113.5".parse::<IpAddr>().unwrap()]);
        let inet6 = "fd000000000000000000000000000007 02 40 00 80     eth0\nnonsense\n";
        assert_eq!(of_if_inet6(inet6).collect::<Vec<_>>(), ["fd00::7".parse::<IpAddr>().unwrap()]);
        let (tables, netlink) = (by_tables(), by_netlink().unwrap());
        let v4 = |set: &BTreeSet<IpAddr>| set.iter().copied().filter(|ip| ip.is_ipv4() && is_reachable(*ip)).collect::<Vec<_>>();
        assert_eq!(v4(&tables), v4(&netlink), "both ways show the same");
        assert!(shows_addresses());
    }
}
