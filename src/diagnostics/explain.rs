//! Which block answers a request, by which steps and why, without sending it: for `doorward explain`. Pure over the
//! settings; the decisions are those of the request path, asked one by one.

use std::net::SocketAddr;

use http::{Method, Version};

use crate::base::escape::{Bounded, Escape};
use crate::config::settings::{Block, ClientCertificates, End, GatewayLimits, PathPattern, PortMap, Settings, Site, SiteTls};
use crate::proxy::forward::reported::Reported;
use crate::proxy::forward::{self, Guard, Peer};
use crate::proxy::refusal::Refusal;
use crate::proxy::route::{Found, RouteTable, matches};
use crate::proxy::validate::{self, Host};
use crate::proxy::{error_response, https_redirect, upgrade};
use crate::telemetry::access::redact::Redactor;

mod backends;
mod explanation;
mod handler;
mod request;
pub mod steps;

pub use explanation::{BlockFound, Explanation, SiteFound, Verdict};
pub use request::{ExplainRequest, QuestionError};

use steps::{ExplainStep, Outcome};

/// Explains.
pub fn explain(settings: &Settings, question: &ExplainRequest) -> Explanation {
    let mut explanation = Explanation {
        url: shown(settings, question),
        upgrade: upgrade::is_asked(&question.headers),
        origin: None,
        site: None,
        block: None,
        fields: Vec::new(),
        steps: Vec::new(),
        end: Vec::new(),
        out: Vec::new(),
        verdict: Verdict::NotServed { words: String::new() },
        backend: None,
    };
    explanation.verdict = follow(settings, question, &mut explanation).unwrap_or_else(|verdict| verdict);
    explanation.hide(&settings.env_values);
    explanation
}

fn shown(settings: &Settings, question: &ExplainRequest) -> String {
    const MAX_SHOWN: usize = 2_000;
    let mut out = Vec::new();
    let mut bounded = Bounded::new(&mut out, Escape::Human, MAX_SHOWN);
    Redactor::new(settings.log.hide.iter().map(String::as_str)).push_url(&question.url, &mut bounded);
    String::from_utf8_lossy(&out).into_owned()
}

/// Goes the way of the request as far as it leads; what ends it early is the `Err`.
fn follow(settings: &Settings, question: &ExplainRequest, told: &mut Explanation) -> Result<Verdict, Verdict> {
    let (secure, port) = (question.secure, question.port(settings));
    let routes = RouteTable::new(&settings.sites);
    listens(settings, secure, port)?;
    let host = arrives(&settings.limits, question).map_err(|refusal| refused(&refusal))?;
    let ports = settings.port_map();
    if secure && routes.site(port, &question.host).is_none() {
        return Err(unknown_name((&routes, ports), &question.host, port));
    }
    if !secure && routes.site(port, &host).is_none() {
        return Err(sent_on((&routes, ports), &host, question));
    }
    let path = validate::path(question.target.path()).map_err(|malformed| refused(&Refusal::Malformed(malformed)))?;
    let site = routes.site(port, &host).ok_or_else(|| refused(&Refusal::UnknownHost))?;
    told.site = Some(site_found(&settings.sites[site], &host, port));
    let Found { site, block } = routes.find(port, &host, &path).map_err(|refusal| refused(&refusal))?;
    let (site, block) = (&settings.sites[site], &settings.sites[site].blocks[block]);
    told.block = Some(block_found(site, block, &path));
    told.fields = changes(settings, block, question, told.upgrade);
    let mut request = question.request();
    told.steps = steps::way_in(&block.policy, &block.path, &mut request, question.client);
    told.out = steps::way_out(&block.policy, secure);
    if let End::Proxy(upstream) = &block.end {
        told.backend = Some((*upstream, request.uri().clone()));
    }
    if let Some(last) = told.steps.iter().find(|station| station.outcome.ends_it()) {
        return Err(ended(last));
    }
    let (facts, verdict) = handler::told(settings, block, &request, told.upgrade);
    told.end = facts;
    Ok(verdict)
}

/// What is changed in the request's header before any step; only a backend sees it.
fn changes(settings: &Settings, block: &Block, question: &ExplainRequest, upgrade: bool) -> Vec<String> {
    if !matches!(block.end, End::Proxy(_)) {
        return Vec::new();
    }
    let proxies = &settings.trusted_proxies;
    let proxy = question.client.filter(|client| proxies.iter().any(|net| net.contains(client)));
    let peer = proxy.map_or(Peer::Untrusted, |proxy| {
        let address = SocketAddr::new(proxy, 0);
        let reported = Reported::of(address, &question.headers, proxies);
        let is_secure = reported.scheme.map_or(question.secure, |scheme| scheme == "https");
        Peer::Proxy { client: reported.client(address).get(), is_secure }
    });
    forward::changes::changes(&question.headers, peer, upgrade, &Guard::of(&block.policy))
}

/// Whether anything takes a connection of this kind on this port.
fn listens(settings: &Settings, secure: bool, port: u16) -> Result<(), Verdict> {
    let of = |plain: bool| {
        let usual = if plain { settings.http_port } else { settings.https_port };
        let own = settings.sites.iter().flat_map(|site| &site.hosts).filter(move |host| host.plain == plain);
        std::iter::once(usual).chain(own.map(|host| host.port))
    };
    if of(!secure).any(|open| open == port) {
        return Ok(());
    }
    let map = settings.port_map();
    let words = if of(secure).any(|open| open == port) {
        let (speaks, scheme) = if secure { ("plain http", "http or ws") } else { ("TLS", "https or wss") };
        format!("port {} speaks {speaks}: ask by {scheme}", map.public(port))
    } else {
        let mut ports: Vec<u16> = of(!secure).map(|port| map.public(port)).collect();
        ports.sort_unstable();
        ports.dedup();
        let ports = ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        format!("nothing listens on port {port}: this scheme is served on {ports}")
    };
    Err(Verdict::NotServed { words })
}

/// As the request path reads a request before it looks for a site.
fn arrives(limits: &GatewayLimits, question: &ExplainRequest) -> Result<Host, Refusal> {
    validate::within(limits, Version::HTTP_11, &question.target, &question.headers)?;
    validate::target(&question.method, &question.target, false)?;
    validate::credentials(&question.headers).map_err(Refusal::Malformed)?;
    let raw = validate::authority(Version::HTTP_11, &question.target, &question.headers).map_err(Refusal::Malformed)?;
    validate::host(raw.unwrap_or_default()).map(|(host, _)| host).map_err(Refusal::Malformed)
}

fn unknown_name((routes, ports): (&RouteTable, PortMap), host: &Host, port: u16) -> Verdict {
    let other = routes.tls_port(host, ports.https()).map(|port| ports.public(port));
    let port = ports.public(port);
    let words = match other {
        Some(other) => {
            format!("no site has {host} on port {port}, so the TLS handshake is refused: it is served on port {other}")
        }
        None => format!("no site has {host} on port {port}, so the TLS handshake is refused: add a site `{host} {{ ... }}`"),
    };
    Verdict::NotServed { words }
}

/// What a port in the clear does with a host that has no site there.
fn sent_on(routes: (&RouteTable, PortMap), host: &Host, question: &ExplainRequest) -> Verdict {
    match https_redirect::send_on(routes, host, &question.request(), question.method == Method::HEAD) {
        Ok(response) => Verdict::Answered {
            status: response.status().as_u16(),
            words: format!("sent on to {}", handler::location(&response, question)),
        },
        Err(refusal) => refused(&refusal),
    }
}

fn site_found(site: &Site, host: &Host, port: u16) -> SiteFound {
    let shown = host.to_string();
    let bare = shown.trim_matches(['[', ']']);
    let covers = |pattern: &str| pattern == bare || pattern.strip_prefix('*').is_some_and(|parent| bare.ends_with(parent));
    let heads: Vec<String> = site.hosts.iter().filter(|head| head.port == port).map(|head| head.pattern.to_string()).collect();
    let head = heads.iter().find(|head| *head == bare).or_else(|| heads.iter().find(|head| covers(head))).cloned();
    let tls = match &site.tls {
        SiteTls::Acme(acme) => format!("certificate by ACME from {}", acme.directory),
        SiteTls::Internal => "certificate of the local authority".to_owned(),
        SiteTls::Files { chain, .. } => format!("certificate from {}", chain.display()),
        SiteTls::Off => "plain http".to_owned(),
    };
    let tls = format!("{tls}{}", site.client_certificates.as_ref().map(asked_for).unwrap_or_default());
    SiteFound { host: head.unwrap_or(shown), at: site.at.to_string(), tls }
}

/// What a client has to prove in the handshake.
fn asked_for(rule: &ClientCertificates) -> String {
    let (whose, told) = (rule.ca_file.display(), if rule.headers { ", and the backend is told whose it is" } else { "" });
    match rule.optional {
        true => format!("; a client may prove itself by a certificate of {whose}{told}"),
        false => format!("; only clients with a certificate of {whose}{told}"),
    }
}

fn block_found(site: &Site, block: &Block, path: &str) -> BlockFound {
    let others: Vec<String> = site
        .blocks
        .iter()
        .filter(|other| other.path != block.path && matches(&other.path, path))
        .map(|other| other.path.to_string())
        .collect();
    let why = match (others.is_empty(), &block.path) {
        (true, PathPattern::Prefix(prefix)) if prefix == "/" => "it is for every path that has no block of its own".to_owned(),
        (true, _) => "no other path matches".to_owned(),
        (false, _) => format!("the longest path that matches, before {}", others.join(", ")),
    };
    BlockFound { path: block.path.to_string(), at: block.at.to_string(), why }
}

fn ended(station: &ExplainStep) -> Verdict {
    match &station.outcome {
        Outcome::Refuses { status, reason, words } => {
            let by_step = || format!("by `{}`: {}", station.word, station.says);
            let words = words.clone().unwrap_or_else(by_step);
            Verdict::Refused { status: *status, reason: reason.clone(), words }
        }
        Outcome::Answers { status } => Verdict::Answered { status: *status, words: format!("by `{}`", station.word) },
        Outcome::Passes | Outcome::Depends { .. } | Outcome::NotReached => {
            Verdict::Reaches { words: format!("`{}` does not end it", station.word) }
        }
    }
}

fn refused(refusal: &Refusal) -> Verdict {
    let words = match refusal {
        Refusal::UpgradeToTls(url) => {
            format!("a WebSocket cannot follow a redirect to TLS: open {}", handler::without_query(url))
        }
        Refusal::Malformed(_) => "two servers could read this request differently: write it in one way".to_owned(),
        other => other.to_string(),
    };
    Verdict::Refused { status: error_response::status(refusal), reason: refusal.reason().to_owned(), words }
}

#[cfg(test)]
mod tests;
