//! What is done to an exchange on its way in and out: a closed set, made of a block's policy in one documented order,
//! whatever the order of the text. Dispatch only; each step is a file below.
//!
//! On the way in the order is: address, cross-origin preflight, maintenance, rate, number of connections, page that asks for a WebSocket,
//! who may pass, body limit, body taken in, prefix, rewrite. On the way out: cross-origin words, security headers, then `headers`, so that a site's own
//! words win, then compression, which reads what they say, and the limit of bandwidth on what is really sent. A refusal passes the way out too, so its page carries the site's headers.

use std::rc::Rc;

use http::header;
use http::{Method, Request, Response, StatusCode};
use tokio::time::Instant;

use super::body::Body;
use super::error_response;
use super::exchange::Exchange;
use super::refusal::Refusal;
use super::upgrade;
use crate::config::settings::{PathPattern, Policy};

use auth::Auth;
pub use auth::BuildAuthError;
use buffer::BufferRequests;
pub use building::Building;
use conn_limit::LimitConnections;
pub use cors::Cors;
pub use flow::{Decision, Flow};
pub use header_edit::Edits;
pub use ip_filter::IpFilter;
use limit_body::LimitBody;
use maintenance::Maintenance;
pub use maintenance::Switch;
pub use origin::Origins;
pub use path::{Rewrite, StripPrefix};
use rate::Rate;

pub mod auth;
mod bandwidth;
mod buffer;
mod building;
pub mod compress;
mod conn_limit;
mod cors;
mod flow;
mod header_edit;
mod ip_filter;
mod limit_body;
mod maintenance;
mod origin;
mod path;
mod query;
mod rate;
pub(super) mod security;

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// `limit bandwidth`, in bytes a second.
    Bandwidth(u64),
    /// `compress`.
    Compress,
    /// `headers`.
    Headers(Edits),
    /// `security-headers`.
    Security,
    /// `hsts`.
    Hsts,
    /// `allow`, `deny`.
    IpFilter(IpFilter),
    /// `cors`.
    Cors(Cors),
    /// `maintenance`, by the configuration or by command.
    Maintenance(Maintenance),
    /// `limit requests`.
    Rate(Rate),
    /// `limit connections`.
    LimitConnections(LimitConnections),
    /// `origin`.
    Origins(Origins),
    /// `auth`.
    Auth(Auth),
    /// `limit body`.
    LimitBody(LimitBody),
    /// `buffer-requests`.
    BufferRequests(BufferRequests),
    /// `strip-prefix`.
    StripPrefix(StripPrefix),
    /// `rewrite`.
    Rewrite(Rewrite),
}

impl Step {
    /// The steps of a block's policy; `path` is the block's. `request-headers` is not among them: it has the last word on what a backend gets, so it is
    /// applied behind the gateway's own rules ([`super::upstream_request`]).
    ///
    /// # Errors
    /// When `auth` cannot be built.
    pub fn of(policy: &Policy, path: &PathPattern, build: &mut Building<'_>) -> Result<Box<[Self]>, BuildAuthError> {
        let mut steps = Vec::new();
        steps.extend(policy.limit_bandwidth.map(|rate| Self::Bandwidth(rate.0)));
        steps.extend(policy.compress.then_some(Self::Compress));
        steps.extend(Edits::of(&policy.headers).map(Self::Headers));
        steps.extend(policy.security_headers.then_some(Self::Security));
        steps.extend(policy.hsts.then_some(Self::Hsts));
        steps.extend(IpFilter::of(&policy.allow, &policy.deny).map(Self::IpFilter));
        steps.extend((!policy.cors.is_empty()).then(|| Self::Cors(Cors::of(&policy.cors))));
        steps.push(Self::Maintenance(Maintenance {
            always: policy.maintenance.map(|wait| wait.as_secs().max(1)),
            switch: build.kept.switch(build.before, build.site),
        }));
        steps.extend(policy.limit_requests.as_ref().and_then(|limit| {
            let rates = build.kept.rates(build.before, build.site, limit, Instant::now());
            Rate::of(limit, rates).map(Self::Rate)
        }));
        steps.extend(policy.limit_connections.map(|most| {
            let crowd = build.kept.crowd(build.before, build.site, most);
            Self::LimitConnections(LimitConnections { crowd, most })
        }));
        steps.extend(policy.origins.as_ref().map(|origins| Self::Origins(Origins::of(origins))));
        if let Some(auth) = &policy.auth {
            steps.push(Self::Auth(Auth::of(auth, build)?));
        }
        steps.extend(policy.limit_body.map(|size| Self::LimitBody(LimitBody(size.0))));
        steps.extend(policy.buffer_requests.map(|size| Self::BufferRequests(BufferRequests::new(size.0, build.body_timeout))));
        steps.extend(policy.strip_prefix.as_deref().map(|prefix| Self::StripPrefix(StripPrefix::new(prefix, path))));
        steps.extend(policy.rewrite.as_deref().map(|path| Self::Rewrite(Rewrite::new(path))));
        Ok(steps.into())
    }

    /// The way in.
    pub(super) fn enter<'a>(&'a self, exchange: &'a Rc<Exchange>, request: &'a mut Request<Body>) -> Result<Flow<'a>, Refusal> {
        match self {
            Self::Compress => compress::enter(exchange, request),
            Self::Bandwidth(_) | Self::Headers(_) | Self::Security | Self::Hsts => (),
            Self::IpFilter(admit) => admit.check(exchange.client)?,
            Self::Cors(cors) => {
                note_origin(exchange, request);
                return Ok(cors.enter(request)?.map_or(Flow::Onward, |answer| Flow::Answer(Box::new(answer))));
            }
            Self::Maintenance(maintenance) => maintenance.check()?,
            Self::Rate(rate) => rate.enter(exchange.client, request, Instant::now())?,
            Self::LimitConnections(limit) => {
                exchange.state.place.replace(Some(limit.enter(exchange.client)?));
            }
            Self::Origins(origins) => {
                if upgrade::is_websocket(request) {
                    note_origin(exchange, request);
                    origins.check(request.headers()).inspect_err(|refusal| {
                        let words = origins.words(request.headers(), refusal);
                        exchange.state.refused_for.replace(words.map(String::into_boxed_str));
                    })?;
                }
            }
            Self::Auth(auth) => return auth.enter(exchange, request),
            Self::LimitBody(limit) => limit.enter(request)?,
            Self::BufferRequests(buffer) => return Ok(buffer.enter(exchange, request)),
            Self::StripPrefix(strip) => {
                if let Some(location) = strip.enter(request) {
                    let head = *request.method() == Method::HEAD;
                    return Ok(Flow::Answer(Box::new(error_response::redirect(StatusCode::PERMANENT_REDIRECT, location, head))));
                }
            }
            Self::Rewrite(rewrite) => rewrite.enter(request.uri_mut()),
        }
        Ok(Flow::Onward)
    }

    /// The way out of a refusal by an earlier step: `cors` says to the browser all the same whether the page may read it. Without
    /// that the page sees a network error in place of the status.
    pub(super) fn leave_refused(&self, request: Option<&Request<Body>>, response: &mut Response<Body>) {
        if let Self::Cors(cors) = self {
            cors.leave(response.headers_mut(), request.and_then(|request| request.headers().get(header::ORIGIN)));
        }
    }

    /// The way out.
    pub(super) fn leave(&self, exchange: &Exchange, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        match self {
            Self::Bandwidth(rate) if !exchange.state.tunnel.get() => bandwidth::leave(response, *rate),
            Self::Bandwidth(_) => (),
            Self::Compress => compress::leave(exchange, response),
            Self::Headers(edits) => edits.apply(headers),
            Self::Security => security::add(headers, exchange.connection.is_secure()),
            Self::Hsts => security::add_hsts(headers, exchange.connection.is_secure()),
            Self::Cors(cors) => cors.leave(headers, exchange.state.origin.borrow().as_ref()),
            Self::IpFilter(_)
            | Self::Maintenance(_)
            | Self::Rate(_)
            | Self::LimitConnections(_)
            | Self::Origins(_)
            | Self::Auth(_)
            | Self::LimitBody(_)
            | Self::BufferRequests(_)
            | Self::StripPrefix(_)
            | Self::Rewrite(_) => (),
        }
    }
}

/// LimiterRegistry for the answer, and for the log where it was the reason to refuse.
fn note_origin(exchange: &Exchange, request: &Request<Body>) {
    exchange.state.origin.replace(request.headers().get(header::ORIGIN).cloned());
}
