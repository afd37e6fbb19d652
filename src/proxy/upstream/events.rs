//! Tells the operator that a target went or came back: one event for each turn, with its reason, which is also kept for
//! `doorward status`.

use std::fmt::Display;

use super::circuit_breaker::Samples;
use super::endpoint::Endpoint;
use crate::base::duration;
use crate::config::settings::{CircuitBreaker, MaxFails};
use crate::telemetry::log::events;
use crate::telemetry::metrics::proxy::ProxyMetrics;

/// Requests failed there too often.
pub(super) fn failing(group: &str, member: &Endpoint, rule: &MaxFails, why: &dyn Display, metrics: &ProxyMetrics) {
    let times = if rule.count == 1 { "a request".to_owned() } else { format!("{} requests", rule.count) };
    let why = format!("{times} failed within {}, the last one by {why}", duration::print(rule.within));
    let out = duration::print(rule.out);
    metrics.targets_down.add_one();
    tracing::warn!(
        event = events::TARGET_DOWN,
        group,
        upstream = member.label(),
        why,
        out,
        "{} gets requests only when no other is up: {why}",
        member.label()
    );
    member.state().note(why);
}

/// Its check fails.
pub(super) fn check_fails(group: &str, member: &Endpoint, why: String, metrics: &ProxyMetrics) {
    let why = format!("its health check fails: {why}");
    metrics.targets_down.add_one();
    tracing::warn!(
        event = events::TARGET_DOWN,
        group,
        upstream = member.label(),
        why,
        "{} gets no requests until a check passes: {why}",
        member.label()
    );
    member.state().note(why);
}

/// The operator took it out.
pub(super) fn drained(group: &str, member: &Endpoint) {
    let why = "`doorward drain`";
    let open = member.in_flight();
    tracing::info!(
        event = events::TARGET_DOWN,
        group,
        upstream = member.label(),
        why,
        open,
        "{} gets no new requests: {why}",
        member.label()
    );
    member.state().note(why.to_owned());
}

/// Too large a share of what it was sent has failed; the last one by `why`.
pub(super) fn circuit_opens(
    group: &str,
    member: &Endpoint,
    rule: &CircuitBreaker,
    (samples, why): (Samples, &dyn Display),
    metrics: &ProxyMetrics,
) {
    let within = duration::print(rule.within);
    let why = format!("{} of {} requests failed within {within}, the last one by {why}", samples.failed(), samples.seen());
    let (limit, out) = (format!("{}%", rule.percent), duration::print(rule.out));
    metrics.circuits_opened.add_one();
    tracing::warn!(
        event = events::CIRCUIT_OPEN,
        group,
        upstream = member.label(),
        why,
        limit,
        out,
        "{} gets no requests for {out}, then one that decides: {why}; look into the backend's own log",
        member.label()
    );
    member.state().note(why);
}

/// The request that was to decide went well.
pub(super) fn circuit_closes(group: &str, member: &Endpoint) {
    let why = "the request that was to decide went well";
    tracing::info!(
        event = events::CIRCUIT_CLOSED,
        group,
        upstream = member.label(),
        why,
        "requests go to {} again: {why}",
        member.label()
    );
    member.state().note(why.to_owned());
}

/// It is to be used again, for one of the reasons below.
pub(super) fn is_back(group: &str, member: &Endpoint, why: &'static str) {
    tracing::info!(event = events::TARGET_UP, group, upstream = member.label(), why, "{} is used again: {why}", member.label());
    member.state().note(why.to_owned());
}

/// A request went well after others had failed.
pub(super) const WORKS_AGAIN: &str = "a request went well again";
/// A check passed after others had failed.
pub(super) const CHECK_PASSES: &str = "its health check passes again";
/// The operator took it back.
pub(super) const TAKEN_BACK: &str = "`doorward undrain`";
