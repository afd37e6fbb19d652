//! The facts of one exchange on a client connection. An exchange ends when its last holder lets go of it: the
//! spine, a body, or a tunnel. Then, and only then, it is counted and logged.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use http::header::HeaderValue;
use http::{HeaderMap, Request};
use tokio::time::Instant;

use super::body::{Direction, Fault, Watcher};
use super::connection::{Authority, Connection};
use super::forward::Peer;
use super::forward::reported::Reported;
use super::limit::concurrency::Permit;
use super::refusal::{Malformed, Refusal};
use super::step::compress::Coding;
use super::tunnel::facts::{Routed, TunnelFacts};
use super::upstream::lease::Lease;
use super::worker::state::WorkerState;
use super::{error_response, forward, forward::HeaderLines};
use crate::base::addr::{IpNet, Trusted};
use crate::base::proxy_header::Ends;

use asked::Asked;
use draft::AccessDraft;

pub use draft::ShownTarget;

mod asked;
mod draft;
mod record;
mod shown;

/// One request with its answer, or with its tunnel.
pub struct Exchange {
    pub(super) worker: Rc<WorkerState>,
    pub(super) connection: Rc<Connection>,
    /// The client by the trust rule.
    pub(super) client: IpAddr,
    /// Whether the peer is a proxy that is believed.
    pub(super) trusted: bool,
    /// What it says of the client.
    reported: Option<Box<Reported>>,
    pub(super) id: HeaderValue,
    pub(super) state: ExchangeState,
    pub(super) asked: Asked,
    /// What only the log wants to know; `None` when nothing is logged.
    note: Option<Box<AccessDraft>>,
}

/// What became of an exchange so far.
#[derive(Default)]
pub(super) struct ExchangeState {
    /// 0 before there is one.
    status: Cell<u16>,
    pub(super) by_backend: Cell<bool>,
    /// Why it ended badly.
    pub(super) reason: Cell<&'static str>,
    pub(super) bytes_in: Cell<u64>,
    pub(super) bytes_out: Cell<u64>,
    /// How the request's body failed.
    pub(super) fault_in: Cell<Option<Fault>>,
    /// Whether the answer's body reached its end.
    pub(super) complete: Cell<bool>,
    pub(super) tunnel: Cell<bool>,
    /// What the request's header said before any step added to it.
    pub(super) found: Cell<forward::Is>,
    pub(super) close_code: Cell<Option<u16>>,
    pub(super) connect: Cell<Option<Duration>>,
    first_byte: Cell<Option<Duration>>,
    /// Set where a block does not want to be logged.
    pub(super) silent: Cell<bool>,
    /// A WebSocket's key came without these.
    pub(super) lost_upgrade: Cell<Option<Missing>>,
    /// What a trusted proxy says of how the client came to it.
    pub(super) proxy_by_https: Cell<Option<bool>>,
    /// Why a rule refuses, where it knows more than its refusal says.
    pub(super) refused_for: RefCell<Option<Box<str>>>,
    /// The page that asks, where a rule is about it.
    pub(super) origin: RefCell<Option<HeaderValue>>,
    /// How the answer may be compressed.
    pub(super) coding: Cell<Option<Coding>>,
    /// The tags of `If-None-Match` as the client sent them, where one of them is that of a compressed response.
    pub(super) sent_tags: RefCell<Option<Box<HeaderValue>>>,
    /// Counts on the client until the exchange is over.
    pub(super) place: RefCell<Option<Permit>>,
    /// Counts on the target until the exchange is over.
    pub(super) lease: RefCell<Option<Lease>>,
    /// Where it was routed by, for a tunnel that a reload may leave without its route.
    pub(super) routed: RefCell<Option<Box<Routed>>>,
}

/// What a request with a WebSocket's key lacks (RFC 6455 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// `Upgrade`, and with it the option of `Connection`.
    Both,
    /// Only the option of `Connection`.
    Connection,
}

impl Missing {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Both => "'Upgrade' and 'Connection'",
            Self::Connection => "'Connection: Upgrade'",
        }
    }
}

impl Exchange {
    /// Begins an exchange; `proxies` are believed. It does not hold the snapshot, which a tunnel would keep for days.
    pub(super) fn begin<B>(
        worker: &Rc<WorkerState>,
        connection: &Rc<Connection>,
        proxies: &[IpNet],
        request: &Request<B>,
    ) -> Rc<Self> {
        let peer = connection.peer;
        let trusted = proxies.iter().any(|net| net.contains(&peer.ip()));
        let reported = trusted.then(|| Box::new(Reported::of(peer, request.headers(), proxies)));
        let client = reported.as_ref().map_or_else(|| Trusted::from_socket(peer), |reported| reported.client(peer));
        let id = given_id(trusted, request.headers()).unwrap_or_else(|| new_id(worker));
        let note = worker.access.enabled().then(|| Box::new(AccessDraft::of(request, Instant::now())));
        worker.tally.begin(worker.metrics());
        Rc::new(Self {
            worker: Rc::clone(worker),
            connection: Rc::clone(connection),
            client: client.get(),
            trusted,
            reported,
            id,
            state: ExchangeState::default(),
            asked: Asked::of(request),
            note,
        })
    }

    /// What a reload has to know of it as a tunnel; `None` where it has no route by which to judge it. Given once.
    pub(super) fn tunnel_facts(&self) -> Option<TunnelFacts> {
        let lease = self.state.lease.borrow();
        let backend = lease.as_ref()?.shared_member();
        Some(TunnelFacts { port: self.connection.port(), routed: self.state.routed.take()?, backend })
    }

    /// The exchange's id as text.
    pub(super) fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    /// What the backend is prebuilt of the client.
    pub(super) fn lines(&self, authority: &Authority) -> HeaderLines {
        let connection = &self.connection;
        let lines = connection.lines(&authority.line, self.id.clone());
        let Some(reported) = &self.reported else { return lines };
        let text = |text: String| HeaderValue::try_from(text).expect("addresses and numbers are visible ASCII");
        let hops: Vec<IpAddr> = reported.hops.iter().copied().chain([connection.peer.ip()]).collect();
        let chain = hops.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let (scheme, host) = (self.scheme(), reported.host.clone().unwrap_or(lines.host));
        // A port that nobody names is that of the scheme, unless the client's scheme is the connection's.
        let usual = if scheme == "https" { 443 } else { 80 };
        let other = (scheme != connection.scheme()).then_some(usual);
        let port = reported.port.or(other).map_or(lines.port, HeaderValue::from);
        HeaderLines {
            chain: text(chain),
            client: text(self.client.to_string()),
            proto: HeaderValue::from_static(scheme),
            port,
            forwarded: forward::forwarded(&hops, host.as_bytes(), scheme),
            host,
            id: lines.id,
            peer: self.peer(),
        }
    }

    /// Who sent the request, as far as its fields are believed.
    pub(super) fn peer(&self) -> Peer {
        match self.trusted {
            true => Peer::Proxy { client: self.client, is_secure: self.is_secure() },
            false => Peer::Untrusted,
        }
    }

    /// The scheme that the client used.
    fn scheme(&self) -> &'static str {
        self.reported.as_ref().and_then(|reported| reported.scheme).unwrap_or_else(|| self.connection.scheme())
    }

    /// Whether the client came by TLS, to the gateway or to a trusted proxy in front of it.
    pub(super) fn is_secure(&self) -> bool {
        self.scheme() == "https"
    }

    /// The two ends of the client's connection. Behind a proxy that is believed nobody knows the client's port.
    pub(super) fn ends(&self) -> Ends {
        let peer = self.connection.peer;
        let client = if peer.ip() == self.client { peer } else { SocketAddr::new(self.client, 0) };
        Ends { client, server: self.connection.local }
    }

    /// The backend's answer is here.
    pub(super) fn answered(&self, status: u16) {
        self.state.status.set(status);
        self.state.by_backend.set(true);
        if let Some(note) = &self.note {
            self.state.first_byte.set(Some(note.started.elapsed()));
        }
    }

    /// The gateway gives a fixed answer.
    pub(super) fn answered_by_us(&self, status: u16) {
        self.state.status.set(status);
    }

    /// The gateway refuses.
    pub(super) fn refused(&self, refusal: &Refusal) {
        self.worker.metrics().refused.add_one();
        self.state.by_backend.set(false);
        self.state.status.set(error_response::status(refusal));
        self.state.reason.set(refusal.reason());
    }

    /// Why it ended badly; the first reason stays.
    pub(super) fn blame(&self, reason: &'static str) {
        if self.state.reason.get().is_empty() {
            self.state.reason.set(reason);
        }
    }

    /// What a failed request body means for the client.
    pub(super) fn refusal_of_body(&self) -> Refusal {
        match self.state.fault_in.get() {
            Some(Fault::TooLarge(limit)) => Refusal::BodyTooLarge { limit },
            Some(Fault::ClientStalled) => Refusal::BodyStalled,
            Some(Fault::ClientMalformed) => Refusal::Malformed(Malformed::Body),
            Some(Fault::ClientLeft | Fault::BackendBroke | Fault::BackendStalled | Fault::FileBroke) | None => {
                Refusal::ClientLeft
            }
        }
    }
}

impl Watcher for Exchange {
    fn passed(&self, way: Direction, bytes: u64) {
        let count = match way {
            Direction::In => &self.state.bytes_in,
            Direction::Out => &self.state.bytes_out,
        };
        count.set(count.get() + bytes);
    }

    fn failed(&self, way: Direction, fault: Fault) {
        match way {
            Direction::In => self.state.fault_in.set(Some(fault)),
            Direction::Out => self.broke_off(fault),
        }
    }

    fn ended(&self, way: Direction) {
        if way == Direction::Out {
            self.state.complete.set(true);
        }
    }
}

impl Exchange {
    /// The answer could not be completed. The client sees a broken connection or stream, never a clean end.
    fn broke_off(&self, fault: Fault) {
        self.blame(fault.reason());
        let lease = self.state.lease.borrow();
        let upstream = lease.as_ref().map_or("", |lease| lease.member().label());
        let (id, host, path, url, reason) = (self.id(), self.host(), self.path(), self.url(false), fault.reason());
        let whose = if upstream.is_empty() { "the file".to_owned() } else { format!("the backend {upstream}") };
        let what = match fault {
            Fault::BackendBroke => "broke off in the middle of its answer; look into its own log",
            Fault::BackendStalled => "sent nothing more of its answer within `timeout idle`; look into its own log",
            Fault::FileBroke => "could not be read to its end",
            Fault::ClientLeft | Fault::ClientStalled | Fault::ClientMalformed | Fault::TooLarge(_) => {
                "had its answer ended early by the client"
            }
        };
        tracing::warn!(event = "backend_broke_off", id, host, path, upstream, reason, "{url}: {whose} {what}");
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.worker.tally.end(self.worker.metrics());
        let state = &self.state;
        if state.status.get() == 0 {
            state.status.set(error_response::CLIENT_LEFT);
        }
        if !state.complete.get() {
            self.blame("client-left");
        }
        if let Some(note) = self.note.take()
            && !self.state.silent.get()
        {
            self.log(&note);
        }
    }
}

/// The id a trusted proxy gave, if it is harmless wherever it is printed.
fn given_id(trusted: bool, headers: &HeaderMap) -> Option<HeaderValue> {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let given = trusted.then(|| headers.get(forward::REQUEST_ID)).flatten()?;
    (!given.is_empty() && given.len() <= 64 && given.as_bytes().iter().all(harmless)).then(|| given.clone())
}

/// 128 bits in hexadecimal, as trace ids are.
fn new_id(worker: &WorkerState) -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for half in text.chunks_exact_mut(16) {
        let mut roll = worker.roll();
        for digit in half {
            *digit = DIGITS[usize::from((roll & 15) as u8)];
            roll >>= 4;
        }
    }
    HeaderValue::from_bytes(&text).expect("hexadecimal digits are a header value")
}
