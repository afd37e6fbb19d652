//! HTTP/1.1 and HTTP/2 on one connection, each over a server of our own. What a request means is `proxy`'s affair.

use std::rc::Rc;

use h2::RecvStream;
use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode};

use super::connections::{ConnectionGuard, Driven};
use super::header_room::{count, room_for_header, room_for_section};
use super::http1::connection::{self, Service};
use super::http1::head::{self, HeadLimits};
use super::http01_responder;
use super::http2::filter::Breach;
use super::http2::{self, Serving};
use super::http3::date::Dates;
use super::open::Open;
use super::write_coalescer::{Gathered, WriteCoalescer};
use crate::base::task;
use crate::base::time::{Clock, SystemClock};
use crate::certs::challenge::ChallengeBoard;
use crate::config::settings::GatewayLimits;
use crate::proxy::body::Body;
use crate::proxy::client_io::{ClientIo, OpenRequest};
use crate::proxy::connection::Connection;
use crate::proxy::h2_stream;
use crate::proxy::serve::{Broken, refuse, serve};
use crate::proxy::upgrade::is_extended_connect;
use crate::proxy::worker::Worker;

/// The two protocols with their limits; rebuilt at a reload.
pub struct Http {
    h1: HeadLimits,
    h2: h2::server::Builder,
    limits: GatewayLimits,
}

/// Which protocol a connection speaks: agreed by ALPN (RFC 7301), HTTP/1.1 where nothing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 9112.
    H1,
    /// RFC 9113.
    H2,
}

impl Http {
    /// Both protocols within `limits`. Header and idle time-outs are the sweep's ([`super::connections`]).
    pub fn new(limits: &GatewayLimits) -> Self {
        let room = room_for_header(limits);
        let (size, url) = (limits.header_size.bytes(), limits.url_size.bytes());
        let h1 = HeadLimits { room, size, count: count(limits.header_count), url };
        Self { h1, h2: http2::builder(limits), limits: *limits }
    }

    /// Serves a connection to its end. What the protocol itself refused, before there was a request to answer, comes
    /// back; everything else is told by the requests' own records.
    pub async fn serve(&self, io: ClientIo, version: Version, caller: Caller, member: ConnectionGuard) -> Option<Unreadable> {
        match version {
            Version::H1 => {
                self.serve_h1(io, caller, member).await;
                None
            }
            Version::H2 => self.serve_h2(io, caller, member).await,
        }
    }

    async fn serve_h1(&self, io: ClientIo, caller: Caller, member: ConnectionGuard) {
        let caller = Rc::new(caller);
        let activity = std::sync::Arc::clone(member.activity());
        let calls = Calls { caller, make: answer };
        Driven::new(connection::Connection::new(io, calls, self.h1, activity), member).await;
    }

    async fn serve_h2(&self, io: ClientIo, caller: Caller, member: ConnectionGuard) -> Option<Unreadable> {
        let (caller, activity) = (Rc::new(caller), std::sync::Arc::clone(member.activity()));
        let mut io = WriteCoalescer::new(io, room_for_section(&self.limits));
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

/// Bytes of which no request could be made over HTTP/2 or HTTP/3. HTTP/1.1 answers such bytes as it answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A header section far beyond its limit (431).
    #[error("the header section is far over `limit header-size`, which is {0} bytes")]
    HeaderSize(usize),
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

/// Who answers the requests of one connection.
pub struct Caller {
    /// The thread's share of the request path.
    pub worker: Rc<Worker>,
    /// The connection's facts.
    pub connection: Rc<Connection>,
    /// HTTP-01's answers.
    pub challenges: std::sync::Arc<ChallengeBoard>,
    /// The thread's `Date`.
    pub dates: Rc<Dates>,
    /// Where else the same is served (RFC 7838 section 3).
    pub alternative: Option<HeaderValue>,
}

/// The requests of one connection of HTTP/1.1.
struct Calls<F> {
    caller: Rc<Caller>,
    make: fn(Rc<Caller>, Request<Body>, OpenRequest) -> F,
}

impl<F: Future<Output = Result<Response<Open<Body>>, Broken>>> Service for Calls<F> {
    type Answering = F;

    fn answer(&self, request: Request<Body>, open: OpenRequest) -> F {
        (self.make)(Rc::clone(&self.caller), request, open)
    }

    fn refuse(&self, unreadable: &head::Unreadable, open: OpenRequest) -> Response<Open<Body>> {
        let Caller { worker, connection, .. } = &*self.caller;
        refuse(worker, connection, &unreadable.request, &unreadable.refusal).map(|body| Open::new(body, open))
    }

    fn date(&self) -> HeaderValue {
        self.caller.dates.line(SystemClock.now())
    }
}

async fn answer(caller: Rc<Caller>, mut request: Request<Body>, open: OpenRequest) -> Result<Response<Open<Body>>, Broken> {
    if is_extended_connect(request.method(), request.extensions()) {
        request.extensions_mut().insert(open.for_tunnel());
    }
    if let Some(response) = http01_responder::challenge(&caller.challenges, &request) {
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
