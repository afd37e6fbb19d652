//! Old and new settings → what a reload has to do besides publishing the new ones, and what it cannot do. Pure. Where a
//! site stood in its file makes no difference.

use std::collections::BTreeMap;
use std::fmt;

use super::settings::{Block, ClientCertificates, End, Policy, Settings, Site, SiteTls, Upstream};

/// What changed, by what it asks of whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Words whose change takes effect only in a new process; the old value stays in force until then.
    pub restart: Vec<Restart>,
    /// Places to listen on may have come or gone.
    pub rebind: bool,
    /// Certificates may be needed that were not, or come from elsewhere.
    pub certificates: bool,
    /// Hosts that were not answered before.
    pub added: Vec<String>,
    /// Hosts that are not answered any more.
    pub removed: Vec<String>,
    /// Hosts that are answered in another way.
    pub changed: Vec<String>,
    /// Something for the gateway as a whole is different: limits, timeouts, logs, trusted proxies, protocols.
    pub gateway: bool,
}

/// What a running process cannot change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// The journal and the certificates are open in the old folder.
    State,
    /// Whoever asked for the reload is connected to the old socket.
    Admin,
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::State => "`state` takes effect at the next start",
            Self::Admin => "`admin` takes effect at the next start",
        })
    }
}

impl Difference {
    /// Whether everything means what it meant.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What `new` asks for that `old` did not, and the other way round.
pub fn between(old: &Settings, new: &Settings) -> Difference {
    let (before, after) = (hosts(old), hosts(new));
    let mut restart = Vec::new();
    if old.state != new.state {
        restart.push(Restart::State);
    }
    if old.admin != new.admin {
        restart.push(Restart::Admin);
    }
    Difference {
        restart,
        rebind: listening(old) != listening(new),
        certificates: old.email != new.email
            || old.tls.default_certificate != new.tls.default_certificate
            || certificates(old) != certificates(new),
        added: after.keys().filter(|host| !before.contains_key(*host)).cloned().collect(),
        removed: before.keys().filter(|host| !after.contains_key(*host)).cloned().collect(),
        changed: after
            .iter()
            .filter(|(host, way)| before.get(*host).is_some_and(|old| old != *way))
            .map(|(host, _)| host.clone())
            .collect(),
        gateway: gateway(old) != gateway(new),
    }
}

/// A host's answers: every block with the backends it leads to, without its place.
type ReloadAction<'a> = ((&'a SiteTls, Option<&'a ClientCertificates>), Vec<(String, &'a Policy, Answer<'a>)>);

#[derive(PartialEq)]
enum Answer<'a> {
    Backends(&'a Upstream),
    Other(&'a End),
}

/// Each host with its port, and how it is answered.
fn hosts(settings: &Settings) -> BTreeMap<String, ReloadAction<'_>> {
    let way = |site| move |host: &super::settings::SiteHost| (shown(host), way(site, settings));
    settings.sites.iter().flat_map(|site| site.hosts.iter().map(way(site))).collect()
}

fn shown(host: &super::settings::SiteHost) -> String {
    format!("{}://{}:{}", if host.plain { "http" } else { "https" }, host.pattern, host.port)
}

fn way<'a>(site: &'a Site, settings: &'a Settings) -> ReloadAction<'a> {
    let answer = |block: &'a Block| match &block.end {
        End::Proxy(id) => Answer::Backends(&settings.upstreams[id.0]),
        End::Redirect { .. } | End::Respond { .. } | End::Files(_) => Answer::Other(&block.end),
    };
    (
        (&site.tls, site.client_certificates.as_ref()),
        site.blocks.iter().map(|block| (block.path.to_string(), &block.policy, answer(block))).collect(),
    )
}

fn listening(settings: &Settings) -> (Vec<std::net::IpAddr>, Vec<(u16, bool)>) {
    let mut bind = settings.bind.clone();
    bind.sort_unstable();
    let hosts = settings.sites.iter().flat_map(|site| &site.hosts);
    let mut ports: Vec<(u16, bool)> = hosts.map(|host| (host.port, host.plain)).chain([(settings.http_port, true)]).collect();
    ports.sort_unstable();
    ports.dedup();
    (bind, ports)
}

/// Every host that has a certificate, where it comes from, and with whom it is shared.
fn certificates(settings: &Settings) -> BTreeMap<String, (&SiteTls, Vec<String>)> {
    let mut all = BTreeMap::new();
    for site in &settings.sites {
        let names: Vec<String> = site.hosts.iter().filter(|host| !host.plain).map(|host| host.pattern.to_string()).collect();
        for name in &names {
            let shared = if site.shared_certificate { names.clone() } else { Vec::new() };
            all.insert(name.clone(), (&site.tls, shared));
        }
    }
    all
}

/// What concerns no host in particular, neither ports to listen on nor places.
fn gateway(settings: &Settings) -> impl PartialEq + '_ {
    let whom = (&settings.trusted_proxies, &settings.proxy_protocol_from);
    let ports = settings.public_ports;
    (&settings.protocols, &settings.tls, (whom, ports), settings.drain, settings.timeouts, settings.limits, &settings.log)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Environment;
    use crate::config::resolve::from_text;

    const OLD: &str = "a.example b.example {\n proxy 1\n}\nhttp://c.example {\n proxy up\n}\nupstream up {\n to 2\n}\n";

    fn settings(text: &str) -> Settings {
        from_text("", text, &Environment::default()).unwrap_or_else(|report| panic!("{report}")).settings
    }

    /// `OLD` with one replacement, and what differs then.
    fn check(from: &str, to: &str, expected: &str) {
        assert!(OLD.contains(from));
        let found = between(&settings(OLD), &settings(&OLD.replacen(from, to, 1)));
        let list =
            |name: &str, hosts: &[String]| if hosts.is_empty() { String::new() } else { format!(" {name} {}", hosts.join(" ")) };
        let flag = |name: &str, set: bool| if set { format!(" {name}") } else { String::new() };
        let restart: String = found.restart.iter().map(|word| format!(" {word:?}")).collect();
        let shown = [
            restart,
            flag("rebind", found.rebind),
            flag("certificates", found.certificates),
            list("added", &found.added),
            list("removed", &found.removed),
            list("changed", &found.changed),
            flag("gateway", found.gateway),
        ];
        assert_eq!(shown.concat().trim(), expected, "for {from:?} → {to:?}");
        assert_eq!(found.is_empty(), expected.is_empty());
    }

    #[test]
    fn a_reload_learns_what_it_has_to_do() {
        check("a.example b", "a.example  b", "");
        check("a.example", "\n# moved\na.example", "");
        check("a.example b.example", "b.example a.example", "");
        check("a.example ", "", "certificates removed https://a.example:443");
        check("a.example", "d.example a.example", "certificates added https://d.example:443");
        check(
            "a.example b.example",
            "a.example:8443 b.example",
            "rebind added https://a.example:8443 removed https://a.example:443",
        );
        check("proxy 1", "proxy 3", "changed https://a.example:443 https://b.example:443");
        check("to 2", "to 4", "changed http://c.example:80");
        check("proxy 1", "proxy 1\n hsts", "changed https://a.example:443 https://b.example:443");
        check("proxy 1", "tls internal\n proxy 1", "certificates changed https://a.example:443 https://b.example:443");
        check("proxy 1", "certificate shared\n proxy 1", "certificates");
        check("proxy 1", "client-certificates ca.pem\n proxy 1", "changed https://a.example:443 https://b.example:443");
    }

    #[test]
    fn words_outside_of_sites_are_sorted_by_what_they_ask_for() {
        check("upstream", "state /srv\nupstream", "State Admin");
        check("upstream", "admin off\nupstream", "Admin");
        check("upstream", "tls-versions 1.3\nupstream", "gateway");
        check("upstream", "default-certificate a.example\nupstream", "certificates gateway");
        check("upstream", "bind 127.0.0.1\nupstream", "rebind");
        check("upstream", "drain 5s\nupstream", "gateway");
        check("upstream", "public-https-port 8443\nupstream", "gateway");
        check("upstream", "public-http-port 80\nupstream", "");
        check("upstream", "proxy-protocol from private\nupstream", "gateway");
        check("upstream", "email a@b.example\nupstream", "certificates");
        check("upstream", "acme staging\nupstream", "certificates changed https://a.example:443 https://b.example:443");
    }
}
