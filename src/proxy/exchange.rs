//! The facts of one client connection and of one exchange on it. An exchange ends when its last holder lets go of it: the
//! spine, a body, or a tunnel. Then, and only then, it is counted and logged.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;
use http::{HeaderMap, Request};
use tokio::time::Instant;

use super::arrive::{self, Host};
use super::body::{Fault, Watcher, Way};
use super::cluster::lease::Lease;
use super::forward::reported::Reported;
use super::limit::crowd::Place;
use super::refusal::{Malformed, Refusal};
use super::snapshot::{Ending, Snapshot};
use super::step::compress::Coding;
use super::visitors::{Visitor, Visitors};
use super::worker::Worker;
use super::{answer, forward, forward::Lines};
use crate::base::addr::{IpNet, Trusted, unmapped_socket};
use crate::base::name::HostName;
use crate::base::proxy_header::Ends;

use asked::Asked;
use record::Note;

mod asked;
mod record;

/// What is known of a client's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// The name the client asked for.
    pub server_name: Option<HostName>,
    /// The client itself, where its site asked for a certificate and accepted it.
    pub visitor: Option<Arc<Visitor>>,
    /// Whether a certificate was shown that only stands in while the host's own is being obtained.
    pub is_stand_in: bool,
}

impl TlsFacts {
    /// From a session whose handshake is done.
    pub fn of(session: &rustls::ServerConnection, visitors: Option<&Visitors>) -> Self {
        Self {
            server_name: session.server_name().and_then(|name| HostName::parse(name).ok()),
            visitor: visitors.and_then(|visitors| visitors.visitor(session.peer_certificates())),
            is_stand_in: false,
        }
    }
}

/// One client connection. Keeps what is the same for all its requests, ready as header values.
pub struct Connection {
    peer: SocketAddr,
    local: SocketAddr,
    tls: Option<TlsFacts>,
    peer_line: HeaderValue,
    port_line: HeaderValue,
    /// The authority seen last: nearly always the next one's too.
    seen: RefCell<Option<Rc<Authority>>>,
}

/// An authority and what was made of it.
#[derive(Debug)]
pub(super) struct Authority {
    /// As the client wrote it.
    pub(super) line: HeaderValue,
    pub(super) host: Host,
    /// What an ordinary request's backend is told of the client; see [`forward::Told`].
    pub(super) told: Box<[u8]>,
}

impl Connection {
    /// A connection from `peer` to `local`.
    pub fn new(peer: SocketAddr, local: SocketAddr, tls: Option<TlsFacts>) -> Self {
        let peer = unmapped_socket(peer);
        let text = |text: String| HeaderValue::try_from(text).expect("addresses and numbers are visible ASCII");
        Self {
            peer,
            local,
            tls,
            peer_line: text(peer.ip().to_string()),
            port_line: text(local.port().to_string()),
            seen: RefCell::default(),
        }
    }

    /// The address that the connection comes from.
    pub(super) const fn peer(&self) -> IpAddr {
        self.peer.ip()
    }

    /// Whether it is over TLS.
    pub const fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// What is known of its TLS.
    pub(super) const fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// The port the client came to.
    pub const fn port(&self) -> u16 {
        self.local.port()
    }

    const fn scheme(&self) -> &'static str {
        if self.is_secure() { "https" } else { "http" }
    }

    /// The normal form of an authority; an HTTP/1.0 request without one means the name of the handshake.
    pub(super) fn authority(&self, raw: Option<&[u8]>) -> Result<Rc<Authority>, Malformed> {
        let named = || self.tls.as_ref().and_then(|tls| tls.server_name.as_ref()).map(|name| name.as_str().as_bytes());
        let raw = raw.or_else(named).ok_or(Malformed::Host)?;
        if let Some(seen) = &*self.seen.borrow()
            && seen.line.as_bytes() == raw
        {
            return Ok(Rc::clone(seen));
        }
        let (host, _port) = arrive::host(raw)?;
        let line = HeaderValue::from_bytes(raw).map_err(|_| Malformed::HostSyntax)?;
        let told = self.lines(&line, HeaderValue::from_static("")).written().into_boxed_slice();
        let authority = Rc::new(Authority { line, host, told });
        self.seen.replace(Some(Rc::clone(&authority)));
        Ok(authority)
    }

    /// What a backend is told of this connection and of a client that came by it without a trusted proxy.
    fn lines(&self, host: &HeaderValue, id: HeaderValue) -> Lines {
        Lines {
            chain: self.peer_line.clone(),
            client: self.peer_line.clone(),
            proto: HeaderValue::from_static(self.scheme()),
            port: self.port_line.clone(),
            host: host.clone(),
            forwarded: forward::forwarded(&[self.peer.ip()], host.as_bytes(), self.scheme()),
            id,
            trusted: false,
        }
    }
}

/// One request with its answer, or with its tunnel.
pub struct Exchange {
    pub(super) worker: Rc<Worker>,
    pub(super) connection: Rc<Connection>,
    /// The client by the trust rule.
    pub(super) client: IpAddr,
    /// Whether the peer is a proxy that is believed.
    pub(super) trusted: bool,
    /// What it says of the client.
    reported: Option<Box<Reported>>,
    pub(super) id: HeaderValue,
    pub(super) course: Course,
    pub(super) asked: Asked,
    /// What only the log wants to know; `None` when nothing is logged.
    note: Option<Box<Note>>,
}

/// The target of a request that could not be read, as the log shows it. An extension of the request.
#[derive(Clone, Debug)]
pub struct ShownTarget(pub Box<str>);

/// What became of an exchange so far.
#[derive(Default)]
pub(super) struct Course {
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
    /// Counts on the client until the exchange is over.
    pub(super) place: RefCell<Option<Place>>,
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

/// What a route is found by.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) host: Host,
    /// In the form that `arrive::path` gives.
    pub(super) path: Box<str>,
}

impl Exchange {
    /// Begins an exchange; `proxies` are believed. It does not hold the snapshot, which a tunnel would keep for days.
    pub(super) fn begin<B>(
        worker: &Rc<Worker>,
        connection: &Rc<Connection>,
        proxies: &[IpNet],
        request: &Request<B>,
    ) -> Rc<Self> {
        let peer = connection.peer;
        let trusted = proxies.iter().any(|net| net.contains(&peer.ip()));
        let reported = trusted.then(|| Box::new(Reported::of(peer, request.headers(), proxies)));
        let client = reported.as_ref().map_or_else(|| Trusted::from_socket(peer), |reported| reported.client(peer));
        let id = given_id(trusted, request.headers()).unwrap_or_else(|| new_id(worker));
        let note = worker.shared.access.enabled().then(|| Box::new(Note::of(request, Instant::now())));
        worker.tally.begin(worker.metrics());
        Rc::new(Self {
            worker: Rc::clone(worker),
            connection: Rc::clone(connection),
            client: client.get(),
            trusted,
            reported,
            id,
            course: Course::default(),
            asked: Asked::of(request),
            note,
        })
    }

    /// Whether a request like its own would still be answered by its backend.
    pub(super) fn still_stands(&self, snapshot: &Snapshot) -> bool {
        let (routed, lease) = (self.course.routed.borrow(), self.course.lease.borrow());
        let (Some(routed), Some(lease)) = (&*routed, &*lease) else { return true };
        let Ok(found) = snapshot.routes.find(self.connection.port(), &routed.host, &routed.path) else { return false };
        match &snapshot.lane(found).ending {
            Ending::Proxy(cluster) => cluster.has(lease.member().target()),
            Ending::Files(_) | Ending::Redirect(_) | Ending::Respond { .. } => false,
        }
    }

    /// The exchange's id as text.
    pub(super) fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    /// What the backend is told of the client.
    pub(super) fn lines(&self, authority: &Authority) -> Lines {
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
        Lines {
            chain: text(chain),
            client: text(self.client.to_string()),
            proto: HeaderValue::from_static(scheme),
            port,
            forwarded: forward::forwarded(&hops, host.as_bytes(), scheme),
            host,
            id: lines.id,
            trusted: true,
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
        self.course.status.set(status);
        self.course.by_backend.set(true);
        if let Some(note) = &self.note {
            self.course.first_byte.set(Some(note.started.elapsed()));
        }
    }

    /// The gateway gives a fixed answer.
    pub(super) fn answered_by_us(&self, status: u16) {
        self.course.status.set(status);
    }

    /// The gateway refuses.
    pub(super) fn refused(&self, refusal: &Refusal) {
        self.worker.metrics().refused.add_one();
        self.course.by_backend.set(false);
        self.course.status.set(answer::status(refusal));
        self.course.reason.set(refusal.reason());
    }

    /// Why it ended badly; the first reason stays.
    pub(super) fn blame(&self, reason: &'static str) {
        if self.course.reason.get().is_empty() {
            self.course.reason.set(reason);
        }
    }

    /// What a failed request body means for the client.
    pub(super) fn refusal_of_body(&self) -> Refusal {
        match self.course.fault_in.get() {
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
    fn passed(&self, way: Way, bytes: u64) {
        let count = match way {
            Way::In => &self.course.bytes_in,
            Way::Out => &self.course.bytes_out,
        };
        count.set(count.get() + bytes);
    }

    fn failed(&self, way: Way, fault: Fault) {
        match way {
            Way::In => self.course.fault_in.set(Some(fault)),
            Way::Out => self.broke_off(fault),
        }
    }

    fn ended(&self, way: Way) {
        if way == Way::Out {
            self.course.complete.set(true);
        }
    }
}

impl Exchange {
    /// The answer could not be completed. The client sees a broken connection or stream, never a clean end.
    fn broke_off(&self, fault: Fault) {
        self.blame(fault.reason());
        let lease = self.course.lease.borrow();
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
        let course = &self.course;
        if course.status.get() == 0 {
            course.status.set(answer::CLIENT_LEFT);
        }
        if !course.complete.get() {
            self.blame("client-left");
        }
        if let Some(note) = self.note.take()
            && !self.course.silent.get()
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
fn new_id(worker: &Worker) -> HeaderValue {
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
