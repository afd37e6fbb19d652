//! HTTP/1.1 over hyper, and HTTP/2, on one connection. What a request means is `proxy`'s affair.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use h2::RecvStream;
use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::conns::{Driven, Finish, Member};
use super::gather::{Gather, Gathered};
use super::http2::filter::Breach;
use super::http2::{self, Serving};
use super::http3::date::Dates;
use super::plain;
use crate::base::task;
use crate::base::time::{Clock, SystemClock};
use crate::certs::challenge::ChallengeBoard;
use crate::config::settings::GatewayLimits;
use crate::proxy::body::Body;
use crate::proxy::client_io::{ClientIo, OpenRequest};
use crate::proxy::exchange::Connection;
use crate::proxy::h2_stream;
use crate::proxy::serve::{Broken, serve};
use crate::proxy::upgrade::is_extended_connect;
use crate::proxy::worker::Worker;

/// Header fields that hyper takes in HTTP/1.1 when it is told nothing.
const HYPERS_HEADERS: usize = 100;

/// The two protocols with their limits; rebuilt at a reload.
pub struct Http {
    h1: http1::Builder,
    h2: h2::server::Builder,
    limits: GatewayLimits,
}

/// What a header section may take before a protocol refuses it by itself, in bytes: a quarter more than the limit, so that
/// what is a little too long is read, and refused by `proxy` with a page and a line that names the limit.
pub fn room_for_header(limits: &GatewayLimits) -> usize {
    limits.header_size.bytes() + limits.header_size.bytes() / 4
}

/// The same for HTTP/2 and HTTP/3, which count [`FIELD_OVERHEAD`] for each field beyond its texts: what HTTP/1.1 takes is not
/// too much for them.
pub fn room_for_section(limits: &GatewayLimits) -> usize {
    let fields = count(limits.header_count).saturating_add(count(limits.header_count) / 4).saturating_add(MAX_CRUMBS);
    room_for_header(limits).saturating_add(fields.saturating_mul(FIELD_OVERHEAD))
}

/// What a field costs beyond its texts (RFC 9113 section 6.5.2, RFC 9114 section 4.2.2), in bytes.
const FIELD_OVERHEAD: usize = 32;
/// Cookies that are fields of their own (RFC 9113 section 8.2.3), for which room is left: more than a browser keeps for a site.
const MAX_CRUMBS: usize = 256;

/// Which protocol a connection speaks: agreed by ALPN (RFC 7301), HTTP/1.1 where nothing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 9112.
    H1,
    /// RFC 9113.
    H2,
}

impl Http {
    /// Both protocols within `limits`. Header and idle time-outs are the sweep's ([`super::conns`]).
    pub fn new(limits: &GatewayLimits) -> Self {
        let mut h1 = http1::Builder::new();
        let room = room_for_header(limits);
        h1.max_header_size(room);
        // hyper's own limit is the default, and told to it in words it fills its table with zeros for each request. Where ours
        // is smaller, `proxy` says so.
        if count(limits.header_count) > HYPERS_HEADERS {
            h1.max_headers(count(limits.header_count).saturating_add(count(limits.header_count) / 4));
        }
        // The buffer holds a whole header, and no more than a body's piece beyond it.
        h1.max_buf_size(room.max(64 * 1024)).header_read_timeout(None);
        Self { h1, h2: http2::builder(limits), limits: *limits }
    }

    /// Serves a connection to its end. What the protocol itself refused, before there was a request to answer, comes
    /// back; everything else is told by the requests' own records.
    pub async fn serve(&self, io: ClientIo, version: Version, caller: Caller, member: Member) -> Option<Unreadable> {
        match version {
            Version::H1 => self.serve_h1(io, caller, member).await,
            Version::H2 => self.serve_h2(io, caller, member).await,
        }
    }

    async fn serve_h1(&self, io: ClientIo, caller: Caller, member: Member) -> Option<Unreadable> {
        let caller = Rc::new(caller);
        let activity = std::sync::Arc::clone(member.activity());
        let begins = std::sync::Arc::clone(&activity);
        let service =
            service_fn(move |request: Request<Incoming>| answer(Rc::clone(&caller), request.map(Body::client), begins.begin()));
        let connection = self.h1.serve_connection(TokioIo::new(io), service).with_upgrades();
        let error = Driven::new(connection, member).await?.err()?;
        Unreadable::of(&error, activity.header_bytes(), &self.limits)
    }

    async fn serve_h2(&self, io: ClientIo, caller: Caller, member: Member) -> Option<Unreadable> {
        let (caller, activity) = (Rc::new(caller), std::sync::Arc::clone(member.activity()));
        let mut io = Gather::new(io, room_for_section(&self.limits));
        let seen = io.clone();
        let admit = move |mut request: Request<RecvStream>, respond| {
            if let Some(found) = seen.found(request.body().stream_id().as_u32()) {
                found.tell(&mut request);
            }
            let (caller, open) = (Rc::clone(&caller), activity.begin());
            let dates = Rc::clone(&caller.dates);
            let serve = move |request| answer(caller, request, open);
            let exchange = h2_stream::exchange(request, respond, serve, move || dates.line(SystemClock.now()));
            drop(task::spawn_local("stream", exchange));
        };
        let connection = Serving::new(&self.h2, io.clone(), admit);
        let ended = Driven::new(Gathered::new(connection, io.clone()), member).await.flatten();
        // The h2 library keeps only the words of a stream's error.
        if io.is_flooded() {
            return Some(Unreadable::Flood);
        }
        if let Some(breach) = io.breach() {
            io.part(Some(breach.code())).await;
            return Some(Unreadable::Breach(breach));
        }
        let error = ended?.err().filter(h2::Error::is_library);
        if error.is_some() {
            io.part(None).await;
        }
        error.map(|_| Unreadable::Http2)
    }
}

/// Bytes of which no request could be made. hyper has answered them with a bare status, or HTTP/2 with GOAWAY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A header section far beyond its limit (431).
    #[error("the header section is far over `limit header-size`, which is {0} bytes")]
    HeaderSize(usize),
    /// More fields than allowed (431).
    #[error("the header has more fields than `limit header-count`, which is {0}")]
    HeaderCount(u32),
    /// A request target that no URL of this program can hold (414).
    #[error("the URL is longer than 65534 bytes, the most that can be read")]
    Url,
    /// Not HTTP/1.1, or framed in a way that can be read in two (400).
    #[error("the request is not HTTP/1.1 that can be read in one way only")]
    Malformed,
    /// A breach of HTTP/2's rules.
    #[error("the client broke a rule of HTTP/2")]
    Http2,
    /// The same, found before the h2 library did.
    #[error("the client broke a rule of HTTP/2: {0}")]
    Breach(Breach),
    /// More of HTTP/2's frames that ask for nothing than anybody has use for.
    #[error("the client floods with frames of HTTP/2 that ask for nothing")]
    Flood,
    /// More requests of HTTP/3 that were cancelled than anybody has use for.
    #[error("the client cancels its requests over and over")]
    Cancels,
    /// A breach of HTTP/3's rules, or a header that can be read in two ways.
    #[error("the client broke a rule of HTTP/3, or its header can be read in two ways")]
    Http3,
}

/// Longest request target that hyper takes, in bytes.
const LONGEST_URL: usize = 65_534;

impl Unreadable {
    /// `seen` is how much of the header had come.
    fn of(error: &hyper::Error, seen: usize, limits: &GatewayLimits) -> Option<Self> {
        if error.is_parse_too_large() {
            return Some(Self::too_large(seen, limits));
        }
        error.is_parse().then_some(Self::Malformed)
    }

    /// hyper has one word for all three.
    fn too_large(seen: usize, limits: &GatewayLimits) -> Self {
        if seen >= room_for_header(limits) {
            Self::HeaderSize(limits.header_size.bytes())
        } else if seen > LONGEST_URL {
            Self::Url
        } else {
            Self::HeaderCount(limits.header_count)
        }
    }
}

/// Who answers the requests of one connection.
pub struct Caller {
    /// The thread's share of the request path.
    pub worker: Rc<Worker>,
    /// The connection's facts.
    pub connection: Rc<Connection>,
    /// HTTP-01's answers.
    pub challenges: std::sync::Arc<ChallengeBoard>,
    /// The `Date` of answers over HTTP/2.
    pub dates: Rc<Dates>,
    /// Where else the same is served (RFC 7838 section 3).
    pub alternative: Option<HeaderValue>,
}

async fn answer(caller: Rc<Caller>, mut request: Request<Body>, open: OpenRequest) -> Result<Response<Open<Body>>, Broken> {
    if is_extended_connect(request.method(), request.extensions()) {
        request.extensions_mut().insert(open.for_tunnel());
    }
    if let Some(response) = plain::challenge(&caller.challenges, &request) {
        return Ok(response.map(|body| Open::new(body, open)));
    }
    let mut response = serve(Rc::clone(&caller.worker), Rc::clone(&caller.connection), request).await?;
    if let Some(alternative) = &caller.alternative
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        response.headers_mut().insert(header::ALT_SVC, alternative.clone());
    }
    Ok(response.map(|body| Open::new(body, open)))
}

/// An answer's body; while it lives, its request counts as open. It tells the connection's [`Activity`](crate::proxy::client_io::Activity) when a piece waits for
/// the client rather than for the backend.
pub struct Open<B> {
    body: B,
    open: OpenRequest,
    handed: bool,
}

impl<B> Open<B> {
    const fn new(body: B, open: OpenRequest) -> Self {
        Self { body, open, handed: false }
    }

    fn set_handed(&mut self, handed: bool) {
        match (self.handed, handed) {
            (false, true) => self.open.activity().hand(),
            (true, false) => self.open.activity().take(),
            (true, true) | (false, false) => (),
        }
        self.handed = handed;
    }
}

impl<B> Drop for Open<B> {
    fn drop(&mut self) {
        self.set_handed(false);
    }
}

impl<B: http_body::Body + Unpin> http_body::Body for Open<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.set_handed(false);
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.set_handed(matches!(frame, Poll::Ready(Some(Ok(_)))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<S> Finish for http1::UpgradeableConnection<TokioIo<ClientIo>, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = Open<Body>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

fn count(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::defaults;
    use crate::config::surroundings::Surroundings;

    #[test]
    fn what_was_too_large_is_told_by_how_much_had_come() {
        let limits = defaults::settings(&Surroundings::default()).limits;
        assert_eq!(Unreadable::too_large(82_000, &limits), Unreadable::HeaderSize(65_536));
        assert_eq!(Unreadable::too_large(66_000, &limits), Unreadable::Url);
        assert_eq!(Unreadable::too_large(9_000, &limits), Unreadable::HeaderCount(100));
    }
}
