//! `upstream NAME { }` as JSON.

use std::net::SocketAddr;

use super::object_writer::{ObjectWriter, duration_of, list, path};
use crate::config::json::print::Json;
use crate::config::settings::{
    Balance, CircuitBreaker, HashOf, Health, MaxFails, ProxyProtocol, Resolve, Sticky, Target, TargetScheme, Upstream,
    UpstreamProtocols, UpstreamTimeouts, UpstreamTls,
};

/// The named groups; those written in place stand with their `proxy`.
pub(super) fn upstreams(all: &[Upstream]) -> Json {
    let mut members = ObjectWriter::default();
    for group in all.iter().filter(|group| group.is_named()) {
        members.add(&group.name, upstream(group));
    }
    members.object()
}

/// What a `proxy` to this group is written as.
pub(super) fn reference(group: &Upstream) -> Json {
    if group.is_named() { group.name.as_str().into() } else { list(group.targets.iter().map(Target::word)) }
}

fn upstream(group: &Upstream) -> Json {
    let mut members = ObjectWriter::default();
    let to = |one: &Target| {
        let words = [one.word().into(), "weight".into(), one.weight.into()];
        Json::List(words.into_iter().chain(one.backup.then(|| "backup".into())).collect())
    };
    members.add("to", Json::List(group.targets.iter().map(to).collect()));
    members.some("resolve", group.resolve.as_ref().map(resolve));
    members.add("balance", balance(&group.balance));
    members.some("sticky", group.sticky.as_ref().map(sticky));
    members.some("health", group.health.as_ref().map(health));
    members.add("max-fails", group.max_fails.as_ref().map_or_else(|| "off".into(), max_fails));
    members.some("circuit-breaker", group.circuit_breaker.as_ref().map(circuit_breaker));
    members.filled("fail-status", group.fail_status.iter().map(ToString::to_string));
    members.some("slow-start", (!group.slow_start.is_zero()).then(|| duration_of(group.slow_start)));
    let budget = format!("{}%", group.retry_budget);
    members.add("retry", Json::List(vec![group.retry.into(), "budget".into(), budget.into()]));
    members.some("hold", group.hold.map(|hold| Json::List(vec![duration_of(hold.span), hold.most.into()])));
    members.some("max-connections", group.max_connections);
    members.add("timeout", timeouts(&group.timeouts));
    if is_spoken_to_by_tls(group) {
        members.add("protocols", protocols(group.protocols));
    }
    members.parts("tls", tls(&group.tls));
    let version = group.proxy_protocol.map(|version| match version {
        ProxyProtocol::V1 => "v1",
        ProxyProtocol::V2 => "v2",
    });
    members.some("proxy-protocol", version);
    members.object()
}

/// Elsewhere the word is refused.
fn is_spoken_to_by_tls(group: &Upstream) -> bool {
    group.targets.iter().any(|target| target.scheme == TargetScheme::Https)
}

fn protocols(protocols: UpstreamProtocols) -> Json {
    match protocols {
        UpstreamProtocols::Http1 => list(["h1"]),
        UpstreamProtocols::Http2 => list(["h2"]),
        UpstreamProtocols::Both => list(["h1", "h2"]),
    }
}

fn resolve(resolve: &Resolve) -> Json {
    match resolve {
        Resolve::Every(span) => Json::List(vec!["every".into(), duration_of(*span)]),
        Resolve::Dns(servers) => asking("dns", servers),
        Resolve::Srv(servers) => asking("srv", servers),
    }
}

fn asking(word: &str, servers: &[SocketAddr]) -> Json {
    list(std::iter::once(word.to_owned()).chain(servers.iter().map(ToString::to_string)))
}

fn balance(balance: &Balance) -> Json {
    match balance {
        Balance::RoundRobin => "round-robin".into(),
        Balance::LeastConnections => "least-connections".into(),
        Balance::Random => "random".into(),
        Balance::Hash(HashOf::Ip) => list(["hash", "ip"]),
        Balance::Hash(HashOf::Header(name)) => list(["hash", "header", name]),
        Balance::Hash(HashOf::Cookie(name)) => list(["hash", "cookie", name]),
        Balance::Hash(HashOf::Uri) => list(["hash", "uri"]),
    }
}

fn sticky(sticky: &Sticky) -> Json {
    let mut inside = ObjectWriter::default();
    inside.some("max-age", sticky.max_age.map(duration_of));
    inside.add("same-site", sticky.same_site.as_str());
    Json::List(vec!["cookie".into(), sticky.cookie.as_str().into(), inside.object()])
}

fn health(health: &Health) -> Json {
    let mut inside = ObjectWriter::default();
    inside.add("timeout", duration_of(health.timeout));
    inside.add("status", list(health.status.iter().map(ToString::to_string)));
    inside.add("rise", health.rise);
    inside.add("fall", health.fall);
    inside.some("host", health.host.as_ref().map(ToString::to_string));
    Json::List(vec![health.path.as_str().into(), "every".into(), duration_of(health.every), inside.object()])
}

fn max_fails(rule: &MaxFails) -> Json {
    Json::List(vec![rule.count.into(), "within".into(), duration_of(rule.within), "out".into(), duration_of(rule.out)])
}

fn circuit_breaker(rule: &CircuitBreaker) -> Json {
    let (share, within, out) = (format!("{}%", rule.percent), duration_of(rule.within), duration_of(rule.out));
    Json::List(vec![share.into(), "of".into(), rule.least.into(), "within".into(), within, "out".into(), out])
}

fn timeouts(timeouts: &UpstreamTimeouts) -> Json {
    let or_off = |limit: Option<_>| limit.map_or_else(|| "off".into(), duration_of);
    let mut members = ObjectWriter::default();
    members.add("connect", duration_of(timeouts.connect));
    members.add("first-byte", or_off(timeouts.first_byte));
    members.add("idle", or_off(timeouts.idle));
    members.add("keep-alive", duration_of(timeouts.keep_alive));
    members.object()
}

fn tls(tls: &UpstreamTls) -> ObjectWriter {
    let mut members = ObjectWriter::default();
    members.some("ca-file", tls.ca_file.as_deref().map(path));
    members.some("server-name", tls.server_name.as_ref().map(ToString::to_string));
    members.some("client", tls.client.as_ref().map(|(chain, key)| Json::List(vec![path(chain), path(key)])));
    members.flag("insecure", tls.insecure);
    members
}
