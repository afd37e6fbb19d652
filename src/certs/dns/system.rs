//! The system's name servers.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::error::DnsError;

/// Where the system's name servers are written.
pub(super) const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The port of name servers.
pub(super) const PORT: u16 = 53;
/// As many search domains as the C library once took.
const MOST_DOMAINS: usize = 6;
/// As many as the C library takes (resolv.conf(5)).
const MOST: usize = 3;

/// Reads them. Blocks for a small file.
pub(super) fn servers(file: &Path) -> Result<Vec<SocketAddr>, DnsError> {
    let servers = std::fs::read_to_string(file).map(|text| named(&text)).unwrap_or_default();
    match servers.is_empty() {
        true => Err(DnsError::NoServers { file: file.to_owned() }),
        false => Ok(servers),
    }
}

fn named(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()).flatten()
    });
    // A link-local address with its interface behind `%` is left out: it needs a number only the system knows.
    lines.filter_map(|word| word.parse::<IpAddr>().ok()).map(|ip| SocketAddr::new(ip, PORT)).take(MOST).collect()
}

/// The whole names that `name` may stand for on this machine, in the order in which they are asked for (resolv.conf(5)); never
/// empty. Blocks for a small file.
pub fn spellings(name: &str) -> Vec<String> {
    spelled(&std::fs::read_to_string(RESOLV_CONF).unwrap_or_default(), name)
}

fn spelled(text: &str, name: &str) -> Vec<String> {
    let (mut domains, mut dots) = (Vec::new(), 1);
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("search" | "domain") => domains = words.take(MOST_DOMAINS).collect(),
            Some("options") => {
                dots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).next_back().unwrap_or(dots);
            }
            _ => (),
        }
    }
    let searched = domains.into_iter().map(|domain| format!("{name}.{}", domain.trim_matches('.')));
    let whole = std::iter::once(name.to_owned());
    if name.matches('.').count() >= dots { whole.chain(searched).collect() } else { searched.chain(whole).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_as_the_c_library_reads_them() {
        let text = "# nameserver 9.9.9.9\nsearch example\n nameserver\t192.0.2.1 \nnameserver 2001:db8::1 # near\nnameserver\n\
                    nameserver fe80::1%eth0\nnameserver x\noptions edns0\n";
        let expected: Vec<SocketAddr> = vec!["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
        assert_eq!(named(text), expected);
        assert_eq!(named(&"nameserver 192.0.2.1\n".repeat(9)).len(), MOST);
    }

    #[test]
    fn search_domains_come_first_for_names_with_few_dots() {
        let kubernetes = "search shop.svc.cluster.local svc.cluster.local cluster.local.\noptions ndots:5 edns0\n";
        let check = |text: &str, name: &str, expected: &[&str]| assert_eq!(spelled(text, name), expected, "{name} in {text:?}");
        check("", "app", &["app"]);
        check("options ndots:0\n", "app", &["app"]);
        check("domain a.example\nsearch b.example\n", "app", &["app.b.example", "app"]);
        check("search b.example\n", "app.internal", &["app.internal", "app.internal.b.example"]);
        check(
            kubernetes,
            "app.shop",
            &["app.shop.shop.svc.cluster.local", "app.shop.svc.cluster.local", "app.shop.cluster.local", "app.shop"],
        );
    }

    #[test]
    fn a_machine_without_name_servers_is_told_what_to_write() {
        let error = servers(Path::new("/nonexistent/resolv.conf")).unwrap_err();
        assert_eq!(error.to_string(), "/nonexistent/resolv.conf names no name server; name some by `resolvers`");
    }
}
