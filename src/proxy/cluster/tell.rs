//! Tells the operator that a target went or came back: one event for each turn, with its reason, which is also kept for
//! `doorward status`.

use std::fmt::Display;

use super::member::Member;
use crate::base::span;
use crate::config::settings::MaxFails;
use crate::telemetry::log::events;
use crate::telemetry::metrics::proxy::ProxyMetrics;

/// Requests failed there too often.
pub(super) fn failing(group: &str, member: &Member, rule: &MaxFails, why: &dyn Display, metrics: &ProxyMetrics) {
    let times = if rule.count == 1 { "a request".to_owned() } else { format!("{} requests", rule.count) };
    let why = format!("{times} failed within {}, the last one by {why}", span::print(rule.within));
    let out = span::print(rule.out);
    metrics.targets_down.add_one();
    tracing::warn!(
        event = events::TARGET_DOWN,
        group,
        upstream = member.label(),
        why,
        out,
        "it gets requests only when no other is up"
    );
    member.state().note(why);
}

/// A request went well there after others had failed.
pub(super) fn works_again(group: &str, member: &Member) {
    let why = "a request went well again";
    tracing::info!(event = events::TARGET_UP, group, upstream = member.label(), why);
    member.state().note(why.to_owned());
}

/// Its check fails.
pub(super) fn check_fails(group: &str, member: &Member, why: String, metrics: &ProxyMetrics) {
    let why = format!("its health check fails: {why}");
    metrics.targets_down.add_one();
    tracing::warn!(
        event = events::TARGET_DOWN,
        group,
        upstream = member.label(),
        why,
        "it gets no requests until a check passes"
    );
    member.state().note(why);
}

/// Its check passes again.
pub(super) fn check_passes(group: &str, member: &Member) {
    let why = "its health check passes again";
    tracing::info!(event = events::TARGET_UP, group, upstream = member.label(), why);
    member.state().note(why.to_owned());
}

/// The operator took it out.
pub(super) fn drained(group: &str, member: &Member) {
    let why = "`doorward drain`";
    let open = member.in_flight();
    tracing::info!(event = events::TARGET_DOWN, group, upstream = member.label(), why, open, "it gets no new requests");
    member.state().note(why.to_owned());
}

/// The operator took it back.
pub(super) fn taken_back(group: &str, member: &Member) {
    let why = "`doorward undrain`";
    tracing::info!(event = events::TARGET_UP, group, upstream = member.label(), why);
    member.state().note(why.to_owned());
}
