//! Asks a cluster: the request as the backend gets it, attempts until one is answered or none may follow, and the answer
//! as the client gets it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Request, Response, Uri, Version};
use tokio::time::Instant;

use super::anomaly::{self, Sent};
use super::backend_response::map_response;
use super::body::Body;
use super::connection::Authority;
use super::content;
use super::exchange::{Exchange, Missing};
use super::forward::{self, PrebuiltHeaders};
use super::join;
use super::refusal::{Failed, Refusal};
use super::retry::{self, Attempt, Reached, Verdict};
use super::snapshot::{Route, Snapshot};
use super::target_selection::TargetSelector;
use super::upgrade::{self, Wanted};
use super::upstream::UpstreamGroup;
use super::upstream::connect::ConnectError;
use super::upstream::lease::Lease;
use super::upstream::pool::{SendError, SendFailure, UpstreamResponse};
use super::upstream::queue::Seen;
use crate::base::error_chain::ErrorChain;
use crate::telemetry::log::events;

/// How often one request may find that a resting connection was closed under it. A stream that was refused counts for half
/// of them: whoever refuses has enough to do.
const STALE: u32 = 8;

/// Why a failure is answered that another target might have mended.
const RETRY_BUDGET: &str = "retry-budget";

/// A request that can be read in one way only.
pub(super) struct Arrival {
    pub(super) authority: Rc<Authority>,
    /// Whether the body is framed by chunks.
    pub(super) chunked: bool,
    /// Bytes of the header section, request target included.
    pub(super) header_size: usize,
}

/// Sends the request in `slot` and gives the answer, or the way in which every attempt failed.
///
/// The request lies in one slot of the spine and is lent from there: a future that takes it by value holds it twice, and
/// seven such futures within each other made 8 KiB for each open connection.
pub(super) async fn ask(
    exchange: &Rc<Exchange>,
    (snapshot, lane, cluster): (&Snapshot, &Route, &Arc<UpstreamGroup>),
    arrival: &Arrival,
    slot: &mut Option<Request<Body>>,
) -> Result<Response<Body>, Refusal> {
    let body = slot.as_ref().and_then(|request| http_body::Body::size_hint(request.body()).exact());
    let (wanted, prebuilt) = towards_backend(exchange, (lane, cluster), snapshot.timeouts.body, arrival, slot)?;
    let (answered, cookie) = attempts(exchange, cluster, slot, prebuilt).await?;
    anomaly::look_at(
        exchange,
        &Sent { header_size: arrival.header_size, limits: &snapshot.limits, lane, body },
        &answered.response,
    );
    exchange.state.connect.set(answered.connect);
    let mut response = match wanted {
        Some(wanted) => join::join(exchange, lane, wanted, answered),
        None => map_response(exchange, answered),
    }?;
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Makes the client's request the one that the backend gets. Says what upgrade it asks for, and what of it is to be written
/// beside its fields.
fn towards_backend<'a>(
    exchange: &'a Rc<Exchange>,
    (lane, cluster): (&Route, &UpstreamGroup),
    patience: Duration,
    arrival: &'a Arrival,
    slot: &mut Option<Request<Body>>,
) -> Result<(Option<Wanted>, Option<PrebuiltHeaders<'a>>), Refusal> {
    let Route { guard, adds_fields, request_headers, client_certs, .. } = lane;
    let (mut parts, body) = slot.take().expect("the spine lends the request").into_parts();
    let wanted = upgrade::take(&mut parts)?;
    let (headers, authority) = (&mut parts.headers, &arrival.authority);
    if exchange.trusted {
        let proto = headers.get(forward::FORWARDED_PROTO).map(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
        exchange.state.proxy_by_https.set(proto);
    }
    // A step may have set a field under a name that the gateway adds, too.
    let found = if *adds_fields { forward::Is::of(headers) } else { exchange.state.found.get() };
    if wanted.is_none() {
        if let (true, has_upgrade) = exchange.state.found.get().socket_key() {
            exchange.state.lost_upgrade.set(Some(if has_upgrade { Missing::Connection } else { Missing::Both }));
        }
        exchange.state.found.get().without_upgrade(headers);
    }
    // Where somebody reads the fields before they are written, they have to be whole.
    let prebuilt = if found.is_ordinary() && !exchange.trusted && request_headers.is_none() && !cluster.reads_fields() {
        Some(PrebuiltHeaders { lines: &authority.prebuilt, version: parts.version, id: &exchange.id })
    } else {
        forward::add(headers, found, exchange.lines(authority), parts.version);
        None
    };
    if let Some(clients) = client_certs {
        clients.tell(exchange.connection.tls(), &mut parts.headers);
    }
    if let Some(edits) = request_headers {
        edits.apply(&mut parts.headers);
    }
    if body.is_empty() && content::says_its_length(&parts.method, parts.version) {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
    }
    // Over HTTP/1.1 only chunks have trailers.
    let has_trailers = arrival.chunked || parts.version > Version::HTTP_11;
    parts.version = Version::HTTP_11;
    if let Some(target) = parts.uri.path_and_query().filter(|_| parts.uri.authority().is_some()) {
        parts.uri = Uri::from(target.clone());
    }
    let body = if body.is_empty() { body } else { body.idle_after(patience).watched(Rc::<Exchange>::clone(exchange)) };
    let body = if has_trailers { body.guarded(Arc::clone(guard)) } else { body };
    let request = slot.insert(Request::from_parts(parts, body));
    if !request.body().is_empty() && request.headers().contains_key(header::EXPECT) {
        Body::wait_for_continue(request);
    }
    Ok((wanted, prebuilt))
}

async fn attempts(
    exchange: &Rc<Exchange>,
    cluster: &Arc<UpstreamGroup>,
    slot: &mut Option<Request<Body>>,
    prebuilt: Option<PrebuiltHeaders<'_>>,
) -> Result<(UpstreamResponse<Body>, Option<HeaderValue>), Refusal> {
    let idempotent = slot.as_ref().is_some_and(|request| retry::is_idempotent(request.method()));
    let metrics = exchange.worker.metrics();
    let mut search = TargetSelector::new(exchange, cluster, slot.as_ref());
    let mut lease = search.first().await.ok_or_else(|| nobody(exchange, cluster))?;
    let mut stale = STALE;
    if cluster.settings().retry > 0 {
        cluster.budget().earn();
    }
    loop {
        let failure = match exchange.worker.pool.send_telling(&lease, slot, prebuilt, retry::again).await {
            Ok(answered) => {
                let cookie = search.cookie_for(&lease);
                lease.answered(answered.response.status().as_u16(), metrics);
                exchange.state.lease.replace(Some(lease));
                return Ok((answered, cookie));
            }
            Err(failure) => failure,
        };
        let whole = slot.is_some();
        if is_its_fault(&failure) {
            lease.failed(&failure.error.code(), metrics);
        }
        let reached = reached(&failure, whole);
        let verdict = retry::decide(Attempt { reached, whole, idempotent, further: search.further() });
        let mut next = match verdict {
            Verdict::Afresh if stale > 0 => {
                stale -= if matches!(failure.error, SendError::Refused(_)) { STALE / 2 } else { 1 };
                continue;
            }
            Verdict::Elsewhere => search.elsewhere(&lease),
            Verdict::Afresh | Verdict::GiveUp => None,
        };
        let is_spent = next.take_if(|next| !may_try(next)).is_some();
        if is_spent {
            metrics.retries_refused.add_one();
        }
        let refusal = refusal_of(exchange, &failure.error);
        let is_first = !search.is_held();
        let next = match next {
            // Nobody has seen anything of it yet, so it may as well wait.
            None if whole && reached == Reached::Nowhere => search.held(Seen::NobodyThere).await,
            next => next,
        };
        if refusal != Refusal::ClientLeft && (is_first || next.is_none()) {
            report(exchange, &lease, &failure.error, Next { again: next.is_some(), is_spent });
        }
        match next {
            Some(next) => lease = next,
            None => {
                exchange.state.lease.replace(Some(lease));
                return Err(refusal);
            }
        }
    }
}

/// Whether the cluster's budget has room for one more try.
fn may_try(next: &Lease) -> bool {
    let cluster = next.cluster();
    cluster.budget().spend(Instant::now(), cluster.settings().retry_budget)
}

/// No target can take a request. The operator reads which there are and why not.
fn nobody(exchange: &Exchange, cluster: &UpstreamGroup) -> Refusal {
    if let Some(withheld) = exchange.worker.may_tell() {
        let (id, group, targets) = (exchange.id(), cluster.settings().name.as_str(), cluster.in_words());
        let (host, path, url) = (exchange.host(), exchange.path(), exchange.url(false));
        tracing::warn!(
            event = events::NO_BACKEND,
            id,
            host,
            path,
            group,
            targets,
            withheld,
            "{url}: no target can take the request: {targets}"
        );
    }
    match cluster.opens_in() {
        Some(wait) => {
            exchange.worker.metrics().circuit_refused.add_one();
            Refusal::CircuitOpen { after: wait.as_millis().div_ceil(1000).max(1) as u64 }
        }
        None => Refusal::NoBackend,
    }
}

/// Whether a failure speaks against the target. A connection that had rested may end at any time, and a client's body is
/// the client's.
const fn is_its_fault(failure: &SendFailure) -> bool {
    match failure.error {
        SendError::ClosedBeforeAnswer(_) => !failure.reused,
        SendError::Connect(_)
        | SendError::CutOff(_)
        | SendError::BadAnswer(_)
        | SendError::HeaderTooLarge(_)
        | SendError::StreamReset(_)
        | SendError::FirstByteTimeout(_) => true,
        // Who refuses a stream lives, and has enough to do.
        SendError::Refused(_) | SendError::NoWebSocket | SendError::ClientBody(_) => false,
    }
}

const fn reached(failure: &SendFailure, whole: bool) -> Reached {
    match &failure.error {
        SendError::Connect(_) => Reached::Nowhere,
        SendError::ClosedBeforeAnswer(_) if failure.reused => Reached::UsedConnection { wrote: true },
        SendError::ClosedBeforeAnswer(_) if whole => Reached::Nowhere,
        SendError::Refused(_) => Reached::UsedConnection { wrote: false },
        SendError::ClosedBeforeAnswer(_)
        | SendError::StreamReset(_)
        | SendError::NoWebSocket
        | SendError::CutOff(_)
        | SendError::BadAnswer(_)
        | SendError::HeaderTooLarge(_)
        | SendError::FirstByteTimeout(_)
        | SendError::ClientBody(_) => Reached::Backend,
    }
}

fn refusal_of(exchange: &Exchange, error: &SendError) -> Refusal {
    Refusal::Backend(match error {
        SendError::Connect(ConnectError::TimedOut { .. }) => Failed::ConnectTimeout,
        SendError::Connect(error) => Failed::Unreachable(error.code()),
        SendError::ClosedBeforeAnswer(_) | SendError::CutOff(_) | SendError::Refused(_) | SendError::StreamReset(_) => {
            Failed::Reset
        }
        SendError::NoWebSocket => Failed::NoWebSocket,
        SendError::BadAnswer(_) | SendError::HeaderTooLarge(_) => Failed::BadAnswer,
        SendError::FirstByteTimeout(_) => Failed::AnswerTimeout,
        SendError::ClientBody(_) => return exchange.refusal_of_body(),
    })
}

/// What follows a failure.
struct Next {
    /// Another target is tried.
    again: bool,
    /// One would have been, but for the budget.
    is_spent: bool,
}

/// Logs which hop failed and what to do, for the operator only.
fn report(exchange: &Exchange, lease: &Lease, error: &SendError, Next { again, is_spent }: Next) {
    let upstream = lease.member().label();
    let reason = if is_spent { RETRY_BUDGET } else { error.code() };
    let speaks_tls = if is_spent { None } else { anomaly::speaks_tls(exchange, lease, error) };
    let remedy = match error {
        _ if is_spent => "too many of the upstream's targets fail at once: look into their own logs, or allow more `budget`",
        SendError::Connect(error) => error.remedy(),
        SendError::ClosedBeforeAnswer(_) | SendError::CutOff(_) => "look into the backend's own log: it ended the connection",
        SendError::Refused(_) => "raise the backend's limit on streams, or give it a second target",
        SendError::StreamReset(_) => "look into the backend's own log: it gave the request up",
        SendError::NoWebSocket => "write http:// for the path of the WebSocket, or `protocols h1 h2` for an https:// backend",
        SendError::BadAnswer(_) => "check that the backend speaks the version of HTTP on this port that its upstream names",
        SendError::HeaderTooLarge(_) => "let the backend send fewer or shorter fields; no setting changes this limit",
        SendError::FirstByteTimeout(_) => "look into the backend's own log, or allow it more time with `timeout first-byte`",
        SendError::ClientBody(_) => return,
    };
    let remedy = speaks_tls.as_deref().unwrap_or(remedy);
    let error = ErrorChain(error).to_string();
    let (id, host, path, url) = (exchange.id(), exchange.host(), exchange.path(), exchange.url(false));
    tracing::warn!(
        event = "backend_failed",
        id,
        host,
        path,
        upstream,
        reason,
        again,
        error,
        remedy,
        "{url}: the backend {upstream} failed: {error}; {remedy}"
    );
}
