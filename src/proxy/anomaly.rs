//! Answers and failures of a backend that show a wrong set-up, each logged once until the next reload. An ordinary answer
//! costs one comparison of its status; an ordinary failure is looked at no closer than its kind.

use std::rc::Rc;

use http::header::{self, HeaderMap};
use http::{Method, Response, StatusCode, Version};

use super::exchange::Exchange;
use super::messages::{self, Size};
use super::snapshot::Route;
use super::step::Step;
use super::upstream::lease::Lease;
use super::upstream::pool::SendError;
use crate::base::task;
use crate::base::time::{Clock, SystemClock, Timestamp};
use crate::config::settings::{GatewayLimits, TargetScheme};
use crate::telemetry::log::events;

/// What is known of a request besides its exchange, when its answer comes.
pub(super) struct Sent<'a> {
    /// Bytes of the header section, request target included.
    pub(super) header_size: usize,
    pub(super) limits: &'a GatewayLimits,
    pub(super) lane: &'a Route,
    /// Bytes of the body as they were announced.
    pub(super) body: Option<u64>,
}

/// Looks at the header of a backend's answer.
pub(super) fn look_at<B>(exchange: &Exchange, sent: &Sent<'_>, response: &Response<B>) {
    let status = response.status();
    if status.as_u16() < 300 {
        return;
    }
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UPGRADE_REQUIRED if exchange.state.lost_upgrade.get().is_some() => {
            upgrade_fields_lost(exchange);
        }
        // What servers of TLS answer to plain HTTP: nginx, Apache and Go close behind it.
        StatusCode::BAD_REQUEST if closes(response) => {
            if let Some(lease) = &*exchange.state.lease.borrow() {
                try_tls(exchange, lease);
            }
        }
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::URI_TOO_LONG | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            refused_for_size(exchange, sent, status);
        }
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {
            redirected(exchange, status, response.headers())
        }
        _ => (),
    }
}

fn closes<B>(response: &Response<B>) -> bool {
    let close = response.headers().get(header::CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    close || response.version() == Version::HTTP_10
}

/// Whether a failure looks like that of a server that speaks TLS and was sent plain HTTP: then one handshake is tried, at
/// most once in ten minutes for each target. What the remark about it says, once it is known.
pub(super) fn speaks_tls(exchange: &Exchange, lease: &Lease, error: &SendError) -> Option<String> {
    match error {
        SendError::ClosedBeforeAnswer(_) | SendError::CutOff(_) | SendError::BadAnswer(_) => (),
        SendError::Connect(_)
        | SendError::Refused(_)
        | SendError::StreamReset(_)
        | SendError::HeaderTooLarge(_)
        | SendError::NoWebSocket
        | SendError::FirstByteTimeout(_)
        | SendError::ClientBody(_) => return None,
    }
    let remarks = &exchange.worker.counters.remarks;
    remarks.find(events::BACKEND_SPEAKS_TLS, lease.member().label()).or_else(|| {
        try_tls(exchange, lease);
        None
    })
}

fn try_tls(exchange: &Exchange, lease: &Lease) {
    let member = lease.member();
    if member.target().scheme == TargetScheme::Https || !member.may_try_tls() {
        return;
    }
    let (worker, cluster, member) = (Rc::clone(&exchange.worker), lease.cluster().clone(), lease.shared_member());
    drop(task::spawn_local("try TLS", async move {
        if !cluster.dialer().speaks_tls(&member).await {
            return;
        }
        let (label, target) = (member.label(), cluster.as_written(member.target()));
        let text = || messages::speaks_tls(&target, cluster.settings().is_named());
        let remarks = &worker.counters.remarks;
        if let Some(text) = remarks.first(events::BACKEND_SPEAKS_TLS, (label, label), now(), text) {
            let group = &*cluster.settings().name;
            tracing::warn!(event = events::BACKEND_SPEAKS_TLS, upstream = label, group, "{text}");
        }
    }));
}

fn upgrade_fields_lost(exchange: &Exchange) {
    let Some(missing) = exchange.state.lost_upgrade.get() else { return };
    let (host, peer) = (exchange.host(), exchange.connection.peer());
    let text = || messages::upgrade_fields_lost(&exchange.url(true), missing.words(), peer);
    remark(exchange, events::UPGRADE_FIELDS_LOST, (&host, &format!("{peer} {host}")), text);
}

fn refused_for_size(exchange: &Exchange, sent: &Sent<'_>, status: StatusCode) {
    let limits = sent.limits;
    let number = |number: usize| Some(number as u64);
    let size = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            Size { what: "header", seen: number(sent.header_size), limit: number(limits.header_size.bytes()) }
        }
        StatusCode::URI_TOO_LONG => {
            let target = exchange.asked.uri.path_and_query().map_or(0, |target| target.as_str().len());
            Size { what: "URL", seen: number(target), limit: number(limits.url_size.bytes()) }
        }
        _ => {
            let own =
                sent.lane.steps.iter().find_map(|step| if let Step::LimitBody(limit) = step { Some(limit.0) } else { None });
            let passed = exchange.state.bytes_in.get();
            Size { what: "body", seen: sent.body.or_else(|| (passed > 0).then_some(passed)), limit: own }
        }
    };
    let (host, backend) = (exchange.host(), backend(exchange));
    let text = || messages::backend_size_limit(&host, &backend, status.as_u16(), size);
    remark(exchange, events::BACKEND_SIZE_LIMIT, (&host, &format!("{backend} {}", status.as_u16())), text);
}

/// An application sends a client_cert who came by https to the same URL by https when it takes the client_cert for one who came by
/// http. One that sets a cookie on the way, or answers a form, may have its reasons and is left alone.
fn redirected(exchange: &Exchange, status: StatusCode, headers: &HeaderMap) {
    let asked = &exchange.asked;
    if !matches!(asked.method, Method::GET | Method::HEAD)
        || !exchange.came_by_https()
        || headers.contains_key(header::SET_COOKIE)
    {
        return;
    }
    let leads_back = headers.get(header::LOCATION).is_some_and(|to| {
        let target = asked.uri.path_and_query().map_or("/", |target| target.as_str());
        is_same_url(to.as_bytes(), asked.authority().unwrap_or_default(), target.as_bytes())
    });
    if leads_back {
        let (host, backend) = (exchange.host(), backend(exchange));
        let text = || messages::redirects_to_itself(&exchange.url(false), &backend, status.as_u16());
        remark(exchange, events::REDIRECT_TO_ITSELF, (&host, &host), text);
    }
}

/// Whether `location` is the https URL of this authority and target.
fn is_same_url(location: &[u8], authority: &[u8], target: &[u8]) -> bool {
    let bare = |authority: &[u8]| authority.strip_suffix(b":443").unwrap_or(authority).to_ascii_lowercase();
    let Some(rest) = location.get(8..).filter(|_| location[..8].eq_ignore_ascii_case(b"https://")) else { return false };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    bare(host) == bare(authority) && (path == target || (path.is_empty() && target == b"/"))
}

fn backend(exchange: &Exchange) -> String {
    exchange.state.lease.borrow().as_ref().map_or_else(String::new, |lease| lease.member().label().to_owned())
}

fn remark(exchange: &Exchange, event: &'static str, (about, key): (&str, &str), text: impl FnOnce() -> String) {
    let Some(text) = exchange.worker.counters.remarks.first(event, (about, key), now(), text) else { return };
    let (id, client, upstream) = (exchange.id(), exchange.client, backend(exchange));
    tracing::warn!(event, id, %client, host = exchange.host(), path = exchange.path(), upstream, "{text}");
}

fn now() -> Timestamp {
    SystemClock.now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_url_that_was_asked_for_is_a_redirect_to_itself() {
        let check = |location: &str, authority: &str, target: &str, expected| {
            assert_eq!(is_same_url(location.as_bytes(), authority.as_bytes(), target.as_bytes()), expected, "for {location}");
        };
        check("https://a.test/x?y", "a.test", "/x?y", true);
        check("HTTPS://A.test", "a.test", "/", true);
        check("https://a.test:443/x", "a.test", "/x", true);
        check("https://a.test:8443/x", "a.test:8443", "/x", true);
        check("http://a.test/x", "a.test", "/x", false);
        check("https://a.test/x/", "a.test", "/x", false);
        check("https://www.a.test/x", "a.test", "/x", false);
        check("/x", "a.test", "/x", false);
        check("https:/", "a.test", "/x", false);
        check("", "", "", false);
    }
}
