//! What only the whole shows: a host twice, a port with two meanings, requests sent in a circle, a site without use.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use super::resolver::Resolver;
use super::site::Head;
use crate::base::name::HostPattern;
use crate::config::diagnostic::Diagnostic;
use crate::config::raw::{Directive, Directives, RawSite};
use crate::config::settings::{
    Block, ChallengeKind, End, PathPattern, PortMap, PublicPorts, Settings, SiteHost, SiteTls, TargetAddress,
};
use crate::config::source::Span;
use crate::config::tree::Word;

impl Resolver<'_> {
    pub(super) fn checks(&mut self, raw: &[RawSite], settings: &Settings) {
        let heads: Vec<Head> = raw
            .iter()
            .flat_map(|site| &site.heads)
            .filter_map(|word| self.known_head(word, settings).map(|host| (host, word.span)))
            .collect();
        self.hosts_once(&heads);
        self.ports(&heads, settings);
        self.circles(raw, settings);
        self.hsts_in_vain(raw, settings);
        if raw.is_empty() && self.findings.problems.is_empty() {
            let problem = Diagnostic::general("there is no site in this configuration");
            self.findings.warn(problem.hint("add `example.com {`, `proxy 127.0.0.1:8000` and `}`, each on a line of its own"));
        }
    }

    /// A head as it was resolved, without complaining a second time.
    fn known_head(&mut self, word: &Word, settings: &Settings) -> Option<SiteHost> {
        let before = self.findings.problems.len();
        let host = self.head(word, settings);
        self.findings.problems.truncate(before);
        host
    }

    fn hosts_once(&mut self, heads: &[Head]) {
        let mut first: HashMap<(&HostPattern, u16), Span> = HashMap::new();
        for (host, span) in heads {
            if let Some(earlier) = first.get(&(&host.pattern, host.port)) {
                self.findings.push(
                    Diagnostic::at(*span, format!("{} has a site already, so this one could never answer", host.pattern))
                        .also(*earlier, "first here")
                        .hint("put both into one site, or give one another port"),
                );
            } else {
                first.insert((&host.pattern, host.port), *span);
            }
        }
    }

    fn ports(&mut self, heads: &[Head], settings: &Settings) {
        let map = settings.port_map();
        let mut first: HashMap<u16, (bool, Span)> = HashMap::new();
        for (host, span) in heads {
            let (plain, earlier) = *first.entry(host.port).or_insert((host.plain, *span));
            if plain != host.plain {
                self.findings.push(
                    Diagnostic::at(*span, format!("port {} cannot speak both http and https", host.port))
                        .also(earlier, if plain { "http here" } else { "https here" })
                        .hint("give one of them another port"),
                );
            } else if host.plain && host.port == settings.https_port {
                let what = format!("port {} is the one for https", host.port);
                self.complain(*span, what, "give this site another port, or set `https-port`");
            } else if ![settings.http_port, settings.https_port].contains(&host.port) && map.listening(host.port) != host.port {
                let what = format!("port {} leads to port {} of the gateway", host.port, map.listening(host.port));
                self.complain(*span, what, "leave the port out: URLs have the public port by themselves");
            }
        }
    }

    fn circles(&mut self, raw: &[RawSite], settings: &Settings) {
        let mut ports: Vec<u16> = settings.sites.iter().flat_map(|site| &site.hosts).map(|host| host.port).collect();
        ports.push(settings.http_port);
        for proxy in proxies(raw) {
            for word in &proxy.values {
                let before = self.findings.problems.len();
                let target = self.written(word);
                self.findings.problems.truncate(before);
                let Some(super::target::Written::Target(target)) = target else { continue };
                if is_us(&target.address, &ports, &settings.bind) {
                    let what = format!("{} is this gateway itself", target.address);
                    self.complain(word.span, what, "write the port on which the backend listens");
                }
            }
        }
    }

    fn hsts_in_vain(&mut self, raw: &[RawSite], settings: &Settings) {
        for site in raw {
            let plain = |word: &Word| word.text.starts_with("http://");
            if let Some(hsts) = site.words.one("hsts")
                && site.heads.iter().all(plain)
                && settings.sites.iter().any(|site| site.tls == SiteTls::Off)
            {
                let problem = Diagnostic::at(hsts.name.span, "browsers ignore `hsts` over plain http (RFC 6797 section 8.1)");
                self.findings.warn(problem.hint("remove it, or let the site speak https"));
            }
        }
    }

    /// Warns of challenges that cannot work, as authorities come to ports 80 and 443 only. Where a record can prove the names
    /// as well, nothing is amiss.
    pub(super) fn challenge_ports(&mut self, top: &Directives, settings: &Settings) {
        let (ports, map) = (settings.public_ports, settings.port_map());
        for (kind, section, usual, port, word) in [
            (ChallengeKind::Http01, "RFC 8555 section 8.3", PublicPorts::STANDARD.plain, ports.plain, "http-port"),
            (ChallengeKind::TlsAlpn01, "RFC 8737 section 3", PublicPorts::STANDARD.tls, ports.tls, "https-port"),
        ] {
            let public = format!("public-{word}");
            let Some(directive) = top.one(&public).or_else(|| top.one(word)).filter(|_| port != usual) else { continue };
            let mut hosts = settings.sites.iter().flat_map(|site| &site.hosts);
            let is_plain = kind == ChallengeKind::Http01;
            let answered = hosts.any(|host| host.plain == is_plain && map.public(host.port) == usual);
            let chosen = settings.sites.iter().any(|site| match &site.tls {
                SiteTls::Acme(acme) => acme.is_public() && acme.challenges.contains(&kind) && !acme.proves_by_record(),
                SiteTls::Internal | SiteTls::Files { .. } | SiteTls::Off => false,
            });
            if chosen && !answered {
                let what = format!(
                    "{kind} cannot work: authorities come to port {usual} ({section}), and clients reach `{word}` at port {port}"
                );
                let hint =
                    format!("write `{public} {usual}` if port {usual} is forwarded here, or leave {kind} out of `challenges`");
                self.findings.warn(Diagnostic::at(directive.span(), what).hint(hint));
            }
        }
    }

    /// Refuses redirects that lead to themselves.
    pub(super) fn redirect_loops(&mut self, blocks: &[(Block, Span)], heads: &[Head], map: PortMap) {
        for (block, span) in blocks {
            let End::Redirect { target, .. } = &block.end else { continue };
            let comes_back = match target.strip_prefix('/') {
                Some(_) => answers(blocks, target).is_some_and(|other| other.path == block.path),
                None => block.path == PathPattern::Prefix("/".into()) && bare_origin_of(target, heads, map),
            };
            if comes_back {
                self.complain(
                    *span,
                    "this redirect leads to itself",
                    "redirect to another host, or to a path that another block answers",
                );
            }
        }
    }
}

/// The block that answers a path.
fn answers<'a>(blocks: &'a [(Block, Span)], target: &str) -> Option<&'a Block> {
    let path = target.split(['?', '#']).next().unwrap_or(target);
    blocks.iter().map(|(block, _)| block).find(|block| match &block.path {
        PathPattern::Exact(exact) => exact == path,
        PathPattern::Prefix(prefix) => path.starts_with(prefix.as_str()),
    })
}

/// Whether a URL without a path of its own is one of these hosts.
fn bare_origin_of(target: &str, heads: &[Head], map: PortMap) -> bool {
    let Ok(uri) = target.parse::<http::Uri>() else { return false };
    let bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
    let plain = uri.scheme_str() == Some("http");
    let port = map.listening(uri.port_u16().unwrap_or(if plain { 80 } else { 443 }));
    let host = uri.host().and_then(|host| HostPattern::parse(host).ok());
    bare && heads.iter().any(|(head, _)| Some(&head.pattern) == host.as_ref() && head.plain == plain && head.port == port)
}

/// Every line that sends requests somewhere. Named upstreams are left out: they may serve another purpose than this port.
fn proxies(raw: &[RawSite]) -> impl Iterator<Item = &Directive> {
    raw.iter().flat_map(|site| site.words.all("proxy").chain(site.paths.iter().flat_map(|path| path.words.all("proxy"))))
}

/// Whether connecting there reaches our own listeners.
fn is_us(address: &TargetAddress, ports: &[u16], bind: &[IpAddr]) -> bool {
    let (ip, port) = match address {
        TargetAddress::Socket(socket) => (Some(socket.ip()), socket.port()),
        // The address that is tried first; the other one may be bound by the backend.
        TargetAddress::Loopback(port) => (Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), *port),
        TargetAddress::Name(name, port) if name.as_str() == "localhost" => (None, *port),
        TargetAddress::Name(..) | TargetAddress::Unix(_) => return false,
    };
    let loopback = ip.is_none_or(|ip| ip.is_loopback() || ip.is_unspecified());
    let bound = bind.iter().any(|own| own.is_unspecified() && loopback || ip == Some(*own));
    ports.contains(&port) && bound
}
