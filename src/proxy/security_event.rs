//! Security events: what is refused because of who asks or how much, by names that stay, with the client's address, for
//! who watches the log and for counters. Strangers cause them, so each worker writes a few a second and counts the rest.

use http::{HeaderName, StatusCode};

use super::error_response;
use super::exchange::Exchange;
use super::refusal::{Refusal, Rule, Unproved};
use super::tunnel::TunnelReason;
use super::tunnel::framed::state_machine::{Closed, End};
use crate::telemetry::log::events;
use crate::telemetry::metrics::Counter;
use crate::telemetry::metrics::proxy::ProxyMetrics;

/// Reason code of what an auth service does not let pass.
const AUTH_SERVICE_REFUSED: &str = "auth-service-refused";

/// What a client may do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Origin,
    Rate,
    Connections,
    Message,
    Auth,
}

impl Event {
    const fn of_refusal(refusal: &Refusal) -> Option<Self> {
        match refusal {
            Refusal::Forbidden(Rule::Origin | Rule::NoOrigin) => Some(Self::Origin),
            Refusal::TooMany { .. } => Some(Self::Rate),
            Refusal::TooManyConnections { .. } => Some(Self::Connections),
            Refusal::Unauthorized(_, Unproved::Wrong | Unproved::Expired) | Refusal::Busy => Some(Self::Auth),
            // A browser asks without a password first, to be prebuilt that there is one.
            Refusal::Unauthorized(_, Unproved::Missing) => None,
            Refusal::Malformed(_)
            | Refusal::Forbidden(Rule::Allow | Rule::Deny | Rule::Banned)
            | Refusal::NothingHere
            | Refusal::Method
            | Refusal::ReadOnly
            | Refusal::BodyStalled
            | Refusal::BodyTooLarge { .. }
            | Refusal::UrlTooLong { .. }
            | Refusal::Expectation
            | Refusal::UnknownHost
            | Refusal::OtherServerName
            | Refusal::NoClientCertificate
            | Refusal::CertificatePending
            | Refusal::UpgradeToTls(_)
            | Refusal::TooManyHeaders { .. }
            | Refusal::HeaderTooLong { .. }
            | Refusal::ClientLeft
            | Refusal::UnknownProtocol
            | Refusal::NoDecision
            | Refusal::Unreadable
            | Refusal::FilesTimedOut
            | Refusal::Maintenance { .. }
            | Refusal::NoBackend
            | Refusal::CircuitOpen { .. }
            | Refusal::Backend(_) => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Origin => events::ORIGIN_REFUSED,
            Self::Rate => events::RATE_LIMITED,
            Self::Connections => events::TOO_MANY_CONNECTIONS,
            Self::Message => events::MESSAGE_LIMIT,
            Self::Auth => events::AUTH_FAILED,
        }
    }

    const fn counter(self, metrics: &ProxyMetrics) -> &Counter {
        match self {
            Self::Origin => &metrics.origin_refused,
            Self::Rate => &metrics.rate_limited,
            Self::Connections => &metrics.connections_limited,
            Self::Message => &metrics.messages_limited,
            Self::Auth => &metrics.auth_failed,
        }
    }
}

/// A request was refused; `upgrade` is whether it asked for a tunnel. One line for each: a failed upgrade has one always,
/// other refusals that say nothing about the client stand in the access log. The message is a sentence, the code of the
/// reason a field.
pub(super) fn refused(exchange: &Exchange, refusal: &Refusal, upgrade: bool) {
    let metrics = exchange.worker.metrics();
    if upgrade {
        metrics.upgrades_failed.add(refusal.reason());
    }
    let (id, client, reason) = (exchange.id(), exchange.client, refusal.reason());
    let line = |withheld| Line::of(exchange, refusal, upgrade, withheld);
    match Event::of_refusal(refusal) {
        Some(event) => tell(exchange, event, reason, line),
        None if upgrade && !matches!(refusal, Refusal::Malformed(_)) => {
            if let Some(Line { host, path, upstream, words, withheld }) = exchange.worker.may_tell().map(line) {
                tracing::warn!(event = events::UPGRADE_FAILED, id, %client, reason, host, path, upstream, withheld, "{words}");
            }
        }
        None if refusal.is_over_a_limit() => {
            if let Some(Line { host, path, words, withheld, .. }) = exchange.worker.may_tell().map(line) {
                tracing::info!(event = events::OVER_LIMIT, id, %client, reason, host, path, withheld, "{words}");
            }
        }
        None => {
            if matches!(refusal, Refusal::Malformed(what) if what.is_suspect()) {
                exchange.worker.hold_against(exchange.client, reason);
            }
            tracing::debug!(event = "refused", id, %client, reason, status = error_response::status(refusal), "refused: {refusal}");
        }
    }
}

/// What a line about a refused request says.
struct Line {
    host: String,
    path: String,
    upstream: Option<String>,
    words: String,
    withheld: u64,
}

impl Line {
    fn of(exchange: &Exchange, refusal: &Refusal, upgrade: bool, withheld: u64) -> Self {
        let why = exchange.state.refused_for.borrow().as_deref().map_or_else(|| refusal.to_string(), str::to_owned);
        Self::new(exchange, &format!("refused with {}: {why}", error_response::status(refusal)), upgrade, withheld)
    }

    fn new(exchange: &Exchange, what: &str, upgrade: bool, withheld: u64) -> Self {
        let lease = exchange.state.lease.borrow();
        let upstream = lease.as_ref().map(|lease| lease.member().label().to_owned());
        let backend = upstream.as_ref().map(|label| format!(" (backend {label})")).unwrap_or_default();
        let words = format!("{} {what}{backend}", exchange.url(upgrade));
        Self { host: exchange.host(), path: exchange.path(), upstream, words, withheld }
    }
}

/// Fields of a request are dropped because programs behind CGI could take them for others; one line for each name and
/// interval.
pub(super) fn fields_dropped(exchange: &Exchange, names: &[HeaderName]) {
    let worker = &exchange.worker;
    for name in names {
        let Some(name) = worker.dropped.due(name, worker.second()) else { continue };
        let Some(withheld) = worker.may_tell() else { return };
        let (id, client) = (exchange.id(), exchange.client);
        let remedy = "rename the field with hyphens, or pass it by `keep-headers` and its name";
        tracing::warn!(event = events::FIELD_DROPPED, id, %client, name, withheld, remedy, "a request field that reads as another one is dropped");
    }
}

/// Bytes of which no request could be made: also a line of its own, for an access log that is off or read by a program.
pub(super) fn unreadable(exchange: &Exchange, refusal: &Refusal) {
    if refusal.is_over_a_limit() {
        // Far over it, or it would have been read.
        exchange.worker.hold_against(exchange.client, refusal.reason());
        return;
    }
    if let Some(withheld) = exchange.worker.may_tell() {
        let (id, client) = (exchange.id(), exchange.client);
        let reason = refusal.reason();
        tracing::info!(event = "request_unreadable", id, %client, reason, withheld, "no request can be made of what came: {refusal}");
    }
}

/// The service that decides did not let a request pass; its answer is the client's. A redirect leads to its login page and
/// is no failure.
pub(super) fn not_let_pass(exchange: &Exchange, status: StatusCode) {
    exchange.blame(AUTH_SERVICE_REFUSED);
    if status.is_client_error() {
        let words = format!("refused with {}: the service of `auth forward` answered that", status.as_u16());
        tell(exchange, Event::Auth, AUTH_SERVICE_REFUSED, |withheld| Line::new(exchange, &words, false, withheld));
    }
}

/// A tunnel has ended.
pub(super) fn ended(exchange: &Exchange, reason: TunnelReason) {
    if let TunnelReason::Closed(Closed::Broke(End::Client, violation)) = reason {
        let words = format!("is closed: {}", violation.limit());
        tell(exchange, Event::Message, violation.reason(), |withheld| Line::new(exchange, &words, true, withheld));
    }
}

fn tell(exchange: &Exchange, event: Event, reason: &'static str, line: impl FnOnce(u64) -> Line) {
    event.counter(exchange.worker.metrics()).add_one();
    exchange.worker.hold_against(exchange.client, reason);
    let Some(Line { host, path, upstream, words, withheld }) = exchange.worker.may_tell().map(line) else { return };
    let origin = exchange.state.origin.borrow();
    // A header may be long, and whatever a stranger likes: `Debug` escapes it.
    let origin = origin.as_ref().map(|origin| format!("{origin:?}").chars().take(200).collect::<String>());
    let (event, id) = (event.name(), exchange.id());
    tracing::warn!(event, id, client = %exchange.client, reason, host, path, upstream, origin, withheld, "{words}");
}

#[cfg(test)]
mod tests {
    use crate::telemetry::metrics::upgrades::REASONS;

    /// The codes that a file of ours gives in the arms of its matches.
    fn codes(source: &'static str, begin: &str) -> Vec<&'static str> {
        let arms = source.split("=> \"").skip(1).filter_map(|arm| arm.split('"').next());
        let is_code = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase());
        arms.filter(is_code).filter(|code| code.starts_with(begin)).collect()
    }

    #[test]
    fn every_reason_why_an_upgrade_may_fail_has_its_counter() {
        let (refusals, connect) =
            (codes(include_str!("refusal.rs"), ""), codes(include_str!("upstream/connect/error.rs"), "connect-"));
        assert!(refusals.len() > 30 && connect.len() > 5, "{refusals:?} {connect:?}");
        for code in refusals.into_iter().chain(connect).chain([super::AUTH_SERVICE_REFUSED, "backend-refused-upgrade"]) {
            assert!(REASONS.contains(&code), "{code} is not among the reasons");
        }
    }
}
