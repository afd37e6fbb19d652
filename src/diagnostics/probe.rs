//! `doorward probe`: opens a WebSocket, or sends one GET, as a client would, through the gateway and straight to the
//! backend, and tells each step and one diagnosis. It needs no running gateway of this machine: the URL is enough.
//!
//! What is sent is what a browser sends; a URL's query and the values of header fields are never told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{Uri, header};

use crate::config::defaults;
use crate::config::settings::{Target, TargetScheme, Upstream, UpstreamTls};
use crate::diagnostics::explain::{ExplainRequest, Explanation};
use crate::proxy::upstream::{UpstreamGroup, tls::TlsTrust, tls::TrustError};
use crate::proxy::{forward, messages};

mod connect;
mod diagnose;
mod diagnosis;
mod exchange;
mod facts;
mod probe_target;
mod report;

pub use crate::certs::issued_by::{Meant, MeantNames};
pub use diagnosis::Diagnosis;
use report::TlsFault;
pub use report::{End, Report, Step, Trace};

use facts::Facts;
use probe_target::{ProbeTarget, place_of};

/// Redirects that a browser follows before it gives up; curl's default is 50, browsers' 20.
const MAX_REDIRECTS: usize = 10;

/// What is to be found out.
pub struct ProbeOptions {
    /// The request.
    pub question: ExplainRequest,
    /// The Origin in it, where it is only that of the URL's own host.
    pub origin: Option<String>,
    /// Where the configuration takes the host's certificate from, if that is a place that not everybody trusts.
    pub meant: Option<Meant>,
    /// Where the gateway is, instead of what the name resolves to.
    pub connect: Option<SocketAddr>,
    /// Whom to believe to be the gateway.
    pub trust: UpstreamTls,
    /// The backend, for the straight way; `None` where it is not known.
    pub backend: Option<Backend>,
    /// What the configuration would do with the request, where there is one.
    pub explained: Option<Explanation>,
    /// For each step.
    pub limit: Duration,
}

/// The backend and how the gateway asks it.
pub struct Backend {
    /// Where it is; never empty. The first one that takes a connection is asked.
    pub targets: Vec<Known>,
    /// TLS towards it.
    pub tls: UpstreamTls,
    /// Path and query as it gets them.
    pub uri: Uri,
    /// The group's name, or its only target.
    pub name: String,
}

/// One target of a backend.
pub struct Known {
    /// Where it is.
    pub target: Target,
    /// Why it gets no requests now, as the gateway itself says where it runs: `down (its health check fails)`.
    pub out: Option<String>,
}

impl Backend {
    /// Those that get requests first, each kind in the order of the configuration.
    fn in_order(&self) -> impl Iterator<Item = &Target> {
        let of = |out: bool| self.targets.iter().filter(move |known| known.out.is_some() == out).map(|known| &known.target);
        of(false).chain(of(true))
    }

    /// Every target with why it gets no requests, when none gets any.
    fn out(&self) -> Option<String> {
        let each = self.targets.iter().map(|known| Some(format!("{} is {}", known.target, known.out.as_ref()?)));
        each.collect::<Option<Vec<_>>>().map(|words| words.join("; "))
    }
}

/// Finds out; what goes wrong on the way is what is told.
///
/// # Errors
/// When the roots that were named cannot be read.
pub async fn probe(wish: &ProbeOptions) -> Result<Report, TrustError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let trust = TlsTrust::new(provider);
    let through = through(wish, &trust).await?;
    let straight = match &wish.backend {
        Some(backend) => Some(straight(&wish.question, backend, &trust, wish.limit).await?),
        None => None,
    };
    let without_origin = without_origin(wish, straight.as_ref(), &trust).await?;
    let speaks_tls = match (&wish.backend, straight.as_ref().map(|trace| &trace.end)) {
        (Some(backend), Some(end)) if looks_like_tls(end) => speaks_tls(backend, &trust).await,
        _ => None,
    };
    let diagnosis = diagnose::diagnose(&Facts {
        question: &wish.question,
        untrusted: through.untrusted.as_deref(),
        meant: wish.meant.as_ref(),
        speaks_tls,
        through: &through.end,
        straight: straight.as_ref().map(|trace| &trace.end),
        backend: wish.backend.as_ref().and_then(|backend| backend.in_order().next()).map(ToString::to_string),
        out: wish.backend.as_ref().and_then(Backend::out),
        without_origin: without_origin.as_ref().map(|trace| &trace.end),
        explained: wish.explained.as_ref().map(|told| &told.verdict),
    });
    Ok(Report { through, straight, diagnosis })
}

/// Whether a server of TLS that was sent plain HTTP may have ended the straight way so. Silence is not among it.
const fn looks_like_tls(end: &End) -> bool {
    match end {
        End::NoAnswer { timed_out, .. } => !*timed_out,
        End::Answered { status, .. } => *status == 400,
        _ => false,
    }
}

/// What to say of the first target that was asked, when it speaks TLS although it is written as plain HTTP.
async fn speaks_tls(backend: &Backend, trust: &TlsTrust) -> Option<String> {
    let target = backend.in_order().next().filter(|target| target.scheme != TargetScheme::Https)?;
    let upstream = Upstream { targets: vec![target.clone()], ..defaults::upstream(backend.name.clone()) };
    let cluster = UpstreamGroup::build(&upstream, None, trust).ok()?;
    cluster.dialer().target_speaks_tls(target).await.then(|| messages::speaks_tls(target, upstream.is_named()))
}

/// As a client does: by the URL, redirects followed where the client would.
async fn through(wish: &ProbeOptions, trust: &TlsTrust) -> Result<Trace, TrustError> {
    let config = trust.client(&wish.trust)?;
    let mut question = wish.question.clone();
    let mut trace = Trace::new("through the gateway");
    let own =
        |origin: &String| Step { what: "origin", ok: true, seen: format!("{origin}, as a page of this host sends it"), ms: 0 };
    trace.steps.extend(wish.origin.as_ref().map(own));
    let mut seen = vec![address_of(&question)];
    loop {
        let place = place_of(&question, wish.connect, &config);
        trace.end = once(&place, &question, wish.limit, &mut trace).await;
        if let End::NoTls { fault: TlsFault::UnknownIssuer, .. } = &trace.end {
            // What is behind an issuer that this machine does not trust can be looked at all the same.
            let anyone = trust.client(&UpstreamTls { insecure: true, ..UpstreamTls::default() })?;
            let place = place_of(&question, wish.connect, &anyone);
            trace.end = once(&place, &question, wish.limit, &mut trace).await;
            trace.untrusted = Some(trace.issuer.clone().unwrap_or_else(|| "an issuer without a name".to_owned()));
        }
        let End::Redirected { to: Some(to), status, by } = &trace.end else { return Ok(trace) };
        let Some(next) = follow(&question, to) else { return Ok(trace) };
        if address_of(&next) == address_of(&question) || seen.contains(&address_of(&next)) {
            trace.end = End::Loops { status: *status, by: *by };
            return Ok(trace);
        }
        // A WebSocket client follows no redirect.
        if wish.question.asks_websocket() || seen.len() > MAX_REDIRECTS {
            return Ok(trace);
        }
        seen.push(address_of(&next));
        question = next;
    }
}

/// What a redirect is compared by: two that differ in `ws` and `http` only are one.
fn address_of(question: &ExplainRequest) -> (bool, String, Option<u16>, String) {
    let usual = if question.secure { 443 } else { 80 };
    let port = question.named_port.filter(|port| *port != usual);
    (question.secure, question.host.to_string(), port, question.target.to_string())
}

/// The request that a redirect leads to; `None` where it leads nowhere.
fn follow(question: &ExplainRequest, location: &str) -> Option<ExplainRequest> {
    let base = format!("{}://{}", if question.secure { "https" } else { "http" }, question.authority());
    let url = match location {
        path if path.starts_with("//") => format!("{}:{path}", if question.secure { "https" } else { "http" }),
        path if path.starts_with('/') => format!("{base}{path}"),
        url if url.contains("://") => url.to_owned(),
        relative => format!("{base}{}/{relative}", question.target.path().rsplit_once('/').map_or("", |(folder, _)| folder)),
    };
    ExplainRequest::new(&url, question.method.as_str(), &[], None).ok()
}

/// As the gateway asks its backend.
async fn straight(question: &ExplainRequest, backend: &Backend, trust: &TlsTrust, limit: Duration) -> Result<Trace, TrustError> {
    let mut question = question.clone();
    question.target = backend.uri.clone();
    let facts = [
        (forward::FORWARDED_PROTO, if question.secure { "https" } else { "http" }.to_owned()),
        (forward::FORWARDED_HOST, question.authority()),
        (forward::FORWARDED_FOR, "127.0.0.1".to_owned()),
    ];
    for (name, value) in facts {
        set(&mut question, name, &value);
    }
    let mut trace = Trace::new("straight to the backend");
    for Known { target, out } in &backend.targets {
        let said = |out: &String| Step { what: "target", ok: false, seen: format!("{target} is {out}"), ms: 0 };
        trace.steps.extend(out.as_ref().map(said));
    }
    let mut unreached = Vec::new();
    for target in backend.in_order() {
        let place = ProbeTarget::of_target(target, &backend.tls, trust)?;
        match once(&place, &question, limit, &mut trace).await {
            // One that cannot be reached says nothing of the others.
            End::NoName { why } => unreached.push(End::NoName { why: format!("{target}: {why}") }),
            end @ End::NoConnection { .. } => unreached.push(end),
            end => {
                trace.end = end;
                return Ok(trace);
            }
        }
    }
    trace.end = End::of_all(unreached);
    Ok(trace)
}

/// Whether it is the Origin that a backend minds can be told only by leaving it out.
async fn without_origin(wish: &ProbeOptions, straight: Option<&Trace>, trust: &TlsTrust) -> Result<Option<Trace>, TrustError> {
    let refused = matches!(straight.map(|trace| &trace.end), Some(End::Answered { status: 403, .. }));
    match &wish.backend {
        Some(backend) if refused && wish.question.headers.contains_key(header::ORIGIN) => {
            let mut question = wish.question.clone();
            question.headers.remove(header::ORIGIN);
            self::straight(&question, backend, trust, wish.limit).await.map(Some)
        }
        _ => Ok(None),
    }
}

fn set(question: &mut ExplainRequest, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        question.headers.entry(name).or_insert(value);
    }
}

/// One connection and one request.
async fn once(place: &ProbeTarget, question: &ExplainRequest, limit: Duration, trace: &mut Trace) -> End {
    match connect::dial(place, limit, trace).await {
        Ok(stream) => exchange::talk(stream, question, limit, &mut trace.steps).await,
        Err(end) => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_where_a_browser_would_go() {
        let check = |from: &str, location: &str, expected: Option<&str>| {
            let question = ExplainRequest::new(from, "GET", &[], None).unwrap();
            let next = follow(&question, location);
            assert_eq!(next.map(|next| next.url).as_deref(), expected, "for {location}");
        };
        check("http://a.test/x", "https://a.test/x", Some("https://a.test/x"));
        check("https://a.test:8443/x/y", "/z?q", Some("https://a.test:8443/z?q"));
        check("wss://a.test/x/y", "z", Some("https://a.test/x/z"));
        check("https://a.test/x", "//b.test/", Some("https://b.test/"));
        check("https://a.test/x", "mailto:ops@a.test", Some("https://a.test/mailto:ops@a.test"));
    }

    #[test]
    fn the_usual_port_is_no_other_address() {
        let address = |url: &str| address_of(&ExplainRequest::new(url, "GET", &[], None).unwrap());
        assert_eq!(address("wss://a.test:443/x"), address("https://A.test/x"));
        assert_ne!(address("http://a.test/x"), address("https://a.test/x"));
    }
}
