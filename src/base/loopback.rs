//! The addresses of "this machine" where a port is written without one, or as `localhost`, which is always loopback (RFC 6761
//! section 6.3). A file of its own, as clients of several layers dial it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whether a host means this machine, whatever its resolver says.
pub fn is_meant_by(host: &str) -> bool {
    host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case("localhost")
}

/// Both addresses of a port of this machine, in the order in which they are tried.
pub const fn addresses(port: u16) -> [SocketAddr; 2] {
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port), SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_this_machine_in_any_spelling_and_no_other_name_is() {
        for (host, expected) in [("localhost", true), ("LocalHost.", true), ("app.localhost", false), ("127.0.0.1", false)] {
            assert_eq!(is_meant_by(host), expected, "{host}");
        }
        assert_eq!(addresses(80).map(|at| at.to_string()), ["127.0.0.1:80", "[::1]:80"]);
    }
}
