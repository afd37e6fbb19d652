//! Host, then path, to the block that answers. A look-up costs the same however many sites there are. Pure.

use std::collections::HashMap;
use std::net::IpAddr;

use super::refusal::{Malformed, Refusal};
use super::validate::{self, Host};
use crate::base::name::{HostName, HostPattern};
use crate::config::settings::{PathPattern, Site};

/// All hosts of all ports, and the paths of each site.
#[derive(Debug, Default)]
pub struct RouteTable {
    /// A gateway listens on two or three ports, so this is walked.
    ports: Vec<(u16, Hosts)>,
    /// The path patterns of each site, longest first.
    paths: Vec<Vec<PathPattern>>,
}

/// What one port answers for.
#[derive(Debug, Default)]
struct Hosts {
    plain: bool,
    exact: HashMap<HostName, usize>,
    /// By the part behind `*.`.
    wildcard: HashMap<HostName, usize>,
    addresses: HashMap<IpAddr, usize>,
    /// For every other name.
    any: Option<usize>,
}

/// A block by its place in the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Index of the site.
    pub site: usize,
    /// Index of its block.
    pub block: usize,
}

impl RouteTable {
    /// Builds the table. A host that stands twice on one port belongs to the first; the configuration refuses it earlier.
    pub fn new(sites: &[Site]) -> Self {
        let mut table = Self::default();
        for (index, site) in sites.iter().enumerate() {
            table.paths.push(site.blocks.iter().map(|block| block.path.clone()).collect());
            for host in &site.hosts {
                table.hosts_of(host.port, host.plain).add(&host.pattern, index);
            }
        }
        table
    }

    fn hosts_of(&mut self, port: u16, plain: bool) -> &mut Hosts {
        let at = self.ports.iter().position(|(known, _)| *known == port).unwrap_or_else(|| {
            self.ports.push((port, Hosts { plain, ..Hosts::default() }));
            self.ports.len() - 1
        });
        &mut self.ports[at].1
    }

    /// The block that answers. `path` is in the form that `validate::path` gives.
    pub fn find(&self, port: u16, host: &Host, path: &str) -> Result<Found, Refusal> {
        let site = self.site(port, host).ok_or(Refusal::UnknownHost)?;
        // `OPTIONS *` asks about the server as a whole: whatever answers the site's root.
        let path = if path == "*" { "/" } else { path };
        let block = self.block(site, path);
        // Tomcat and other Java servers cut `;parameters` off each segment, so that `/admin;x/y` is `/admin/y` to them; nginx,
        // Caddy and Envoy take them for a part of the name. A path passes as it was written where both readings lead to the
        // same block, and is refused where they do not: a rule for `/admin/*` must not depend on the backend.
        if path.contains(';') && self.block(site, &validate::without_parameters(path)) != block {
            return Err(Refusal::Malformed(Malformed::Path));
        }
        Ok(Found { site, block: block.ok_or(Refusal::NothingHere)? })
    }

    fn block(&self, site: usize, path: &str) -> Option<usize> {
        self.paths[site].iter().position(|pattern| matches(pattern, path))
    }

    /// The site of a host on a port.
    pub fn site(&self, port: u16, host: &Host) -> Option<usize> {
        self.ports.iter().find(|(known, _)| *known == port).and_then(|(_, hosts)| hosts.find(host))
    }

    /// The port on which the host is served over TLS: `usual` where it is one of several, else the first of the configuration.
    pub fn tls_port(&self, host: &Host, usual: u16) -> Option<u16> {
        let serves = |(_, hosts): &&(u16, Hosts)| !hosts.plain && hosts.find(host).is_some();
        let ports = || self.ports.iter().filter(serves).map(|(port, _)| *port);
        ports().find(|port| *port == usual).or_else(|| ports().next())
    }
}

impl Hosts {
    fn add(&mut self, pattern: &HostPattern, site: usize) {
        match pattern {
            HostPattern::Exact(name) => self.exact.entry(name.clone()).or_insert(site),
            HostPattern::Wildcard(parent) => self.wildcard.entry(parent.clone()).or_insert(site),
            HostPattern::Ip(ip) => self.addresses.entry(*ip).or_insert(site),
            HostPattern::Any => self.any.get_or_insert(site),
        };
    }

    fn find(&self, host: &Host) -> Option<usize> {
        match host {
            Host::Name(name) => {
                let named = self.exact.get(name).or_else(|| self.wildcard.get(name.parent()?));
                named.or(self.any.as_ref()).copied()
            }
            Host::Ip(ip) => self.addresses.get(ip).copied(),
        }
    }
}

/// `/ws/*` answers `/ws` as well: who asks for a folder without its slash means the folder.
pub(crate) fn matches(pattern: &PathPattern, path: &str) -> bool {
    match pattern {
        PathPattern::Exact(exact) => exact == path,
        PathPattern::Prefix(prefix) => path.starts_with(prefix.as_str()) || prefix.strip_suffix('/') == Some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::{Block, End, Place, Policy, SiteHost, SiteRefusals, SiteTls};

    fn site(hosts: &[(&str, u16)], paths: &[&str]) -> Site {
        let block = |path: &&str| Block {
            path: match path.strip_suffix('*') {
                Some(prefix) => PathPattern::Prefix(prefix.to_owned()),
                None => PathPattern::Exact((*path).to_owned()),
            },
            policy: Policy::default(),
            end: End::Respond { code: 200, text: String::new() },
            at: Place::default(),
        };
        let host =
            |(host, port): &(&str, u16)| SiteHost { pattern: HostPattern::parse(host).unwrap(), plain: *port == 80, port: *port };
        Site {
            hosts: hosts.iter().map(host).collect(),
            tls: SiteTls::Internal,
            shared_certificate: false,
            client_certificates: None,
            refusals: SiteRefusals::default(),
            blocks: paths.iter().map(block).collect(),
            at: Place::default(),
        }
    }

    fn table() -> RouteTable {
        RouteTable::new(&[
            site(&[("example.com", 443), ("www.example.com", 443)], &["/api/v1/*", "/api/*", "/exact", "/*"]),
            site(&[("*.example.com", 443)], &["/*"]),
            site(&[("example.com", 80), ("plain.test", 80)], &["/*"]),
            site(&[("[2001:db8::1]", 443), ("192.0.2.1", 8443)], &["/only/*"]),
        ])
    }

    fn check(port: u16, authority: &str, path: &str, expected: Result<(usize, usize), Refusal>) {
        let (host, _) = validate::host(authority.as_bytes()).unwrap();
        let seen = table().find(port, &host, path).map(|found| (found.site, found.block));
        assert_eq!(seen, expected, "for {authority} {path} on {port}");
    }

    #[test]
    fn the_exact_host_wins_then_the_wildcard_and_ports_are_apart() {
        check(443, "Example.com", "/", Ok((0, 3)));
        check(443, "www.example.com", "/", Ok((0, 3)));
        check(443, "chat.example.com", "/", Ok((1, 0)));
        check(443, "a.chat.example.com", "/", Err(Refusal::UnknownHost));
        check(80, "example.com", "/", Ok((2, 0)));
        check(80, "www.example.com", "/", Err(Refusal::UnknownHost));
        check(443, "[2001:db8::1]", "/only/x", Ok((3, 0)));
        check(8443, "192.0.2.1", "/only/x", Ok((3, 0)));
        check(443, "192.0.2.1", "/only/x", Err(Refusal::UnknownHost));
    }

    #[test]
    fn the_longest_path_wins() {
        check(443, "example.com", "/api/v1/x", Ok((0, 0)));
        check(443, "example.com", "/api/v1", Ok((0, 0)));
        check(443, "example.com", "/api/v2", Ok((0, 1)));
        check(443, "example.com", "/api", Ok((0, 1)));
        check(443, "example.com", "/apix", Ok((0, 3)));
        check(443, "example.com", "/exact", Ok((0, 2)));
        check(443, "example.com", "/exact/", Ok((0, 3)));
        check(443, "example.com", "*", Ok((0, 3)));
        check(443, "[2001:db8::1]", "/", Err(Refusal::NothingHere));
    }

    #[test]
    fn a_path_whose_parameters_would_change_its_block_is_refused() {
        check(443, "example.com", "/page;jsessionid=1", Ok((0, 3)));
        check(443, "example.com", "/api/v1/x;a=1/y", Ok((0, 0)));
        for path in ["/api;x/y", "/api/v1;x/y", "/;x/api/y", "/exact;x"] {
            check(443, "example.com", path, Err(Refusal::Malformed(Malformed::Path)));
        }
        check(443, "[2001:db8::1]", "/;x/only/y", Err(Refusal::Malformed(Malformed::Path)));
        check(443, "[2001:db8::1]", "/other;x", Err(Refusal::NothingHere));
    }

    #[test]
    fn the_tls_port_of_a_host_is_known() {
        let port = |text: &str| table().tls_port(&validate::host(text.as_bytes()).unwrap().0, 443);
        assert_eq!(port("example.com"), Some(443));
        assert_eq!(port("192.0.2.1"), Some(8443));
        assert_eq!(port("plain.test"), None);
        assert_eq!(port("stranger.test"), None);
        let twice = RouteTable::new(&[site(&[("a.test", 8448)], &["/*"]), site(&[("a.test", 443)], &["/*"])]);
        let port = |usual| twice.tls_port(&validate::host(b"a.test").unwrap().0, usual);
        assert_eq!((port(443), port(8448), port(9443)), (Some(443), Some(8448), Some(8448)));
    }
}
