//! Addresses: where we listen, who is on the other side, and whom we believe.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

pub use ipnet::IpNet;

/// An IPv4-mapped IPv6 address as the IPv4 address it stands for (RFC 4291 section 2.5.5.2). A dual-stack socket
/// reports IPv4 peers in the mapped form; rules and logs want the plain one.
pub fn unmapped(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

/// [`unmapped`] for an address with a port.
pub fn unmapped_socket(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(unmapped(addr.ip()), addr.port())
}

/// Who counts as one client: an IPv4 address, or the /64 of an IPv6 one, since a subscriber owns at least that.
pub fn client_prefix(ip: IpAddr) -> IpAddr {
    match unmapped(ip) {
        IpAddr::V6(v6) => {
            let s = v6.segments();
            IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

/// Reads `10.0.0.0/8`, or one address as the network of just itself.
pub fn parse_net(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// An address we may act on as the client's own: the socket's peer, or what a trusted proxy said of it.
/// Made by the trust rule only, so that an address a stranger wrote into a header cannot get here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trusted<T>(T);

impl Trusted<IpAddr> {
    /// The peer of the socket itself.
    pub fn from_socket(peer: SocketAddr) -> Self {
        Self(unmapped(peer.ip()))
    }

    /// The client according to `X-Forwarded-For` values, read from the right: each hop is believed only while the one
    /// that reported it is in `proxies`. Anything unreadable ends the walk at the last hop believed.
    pub fn from_forwarded<'a>(peer: SocketAddr, hops_right_to_left: impl Iterator<Item = &'a str>, proxies: &[IpNet]) -> Self {
        Self::first_of(&Self::hops(peer, hops_right_to_left, proxies), peer)
    }

    /// The hops believed by the same rule, the client first and without the peer.
    pub fn hops<'a>(peer: SocketAddr, hops_right_to_left: impl Iterator<Item = &'a str>, proxies: &[IpNet]) -> Vec<IpAddr> {
        let (mut believed, mut hops) = (unmapped(peer.ip()), Vec::new());
        for hop in hops_right_to_left {
            if !proxies.iter().any(|net| net.contains(&believed)) {
                break;
            }
            let Some(ip) = parse_hop(hop) else { break };
            believed = ip;
            hops.push(ip);
        }
        hops.reverse();
        hops
    }

    /// The client of such hops; the peer itself where there are none.
    pub fn first_of(hops: &[IpAddr], peer: SocketAddr) -> Self {
        Self(hops.first().copied().unwrap_or_else(|| unmapped(peer.ip())))
    }

    /// The address.
    pub const fn get(self) -> IpAddr {
        self.0
    }
}

/// One element of X-Forwarded-For: an address, perhaps in brackets, perhaps with a port (IIS writes one).
fn parse_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    super::name::parse_ip(text).or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip())).map(unmapped)
}

/// Where a listening socket stands, for banners and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenAddr(pub SocketAddr);

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.ip().is_unspecified() { write!(f, "port {} of every address", self.0.port()) } else { write!(f, "{}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, header: &str, proxies: &[&str]) -> String {
        let proxies: Vec<IpNet> = proxies.iter().map(|p| parse_net(p).unwrap()).collect();
        let hops = header.rsplit(',').filter(|hop| !hop.trim().is_empty());
        Trusted::from_forwarded(peer.parse().unwrap(), hops, &proxies).get().to_string()
    }

    #[test]
    fn forwarded_addresses_are_believed_only_from_trusted_proxies_and_from_the_right() {
        assert_eq!(client("203.0.113.9:1", "1.1.1.1", &[]), "203.0.113.9");
        assert_eq!(client("10.0.0.1:1", "1.1.1.1", &["10.0.0.0/8"]), "1.1.1.1");
        assert_eq!(client("10.0.0.1:1", "6.6.6.6, 1.1.1.1", &["10.0.0.0/8"]), "1.1.1.1");
        assert_eq!(client("10.0.0.1:1", "1.1.1.1, 10.0.0.7", &["10.0.0.0/8"]), "1.1.1.1");
        assert_eq!(client("10.0.0.1:1", "garbage, 10.0.0.7", &["10.0.0.0/8"]), "10.0.0.7");
        assert_eq!(client("[::ffff:10.0.0.1]:1", "1.1.1.1:4711", &["10.0.0.0/8"]), "1.1.1.1");
        assert_eq!(client("10.0.0.1:1", "[2001:db8::5]", &["10.0.0.1"]), "2001:db8::5");
    }

    #[test]
    fn ipv6_clients_count_by_their_64() {
        let prefix = |text: &str| client_prefix(text.parse().unwrap()).to_string();
        assert_eq!(prefix("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(prefix("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
