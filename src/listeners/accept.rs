//! Accepts connections on one worker and brings each to its protocol.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::bind::{Listening, Role, Spot};
use super::cleartext::{self, Cleartext};
use super::conns::{Conns, Order};
use super::front::Front;
use super::http::{Caller, Unreadable, Version};
use super::http3::date::Dates;
use super::proxy_protocol::{self, HeaderError};
use super::quic::listener::Listener;
use super::tls::{self, Greeted, Refused};
use super::untrusted;
use crate::base::addr::unmapped_socket;
use crate::base::proxy_header::Ends;
use crate::base::task;
use crate::base::time::{Clock, SystemClock};
use crate::proxy::client_io::ClientIo;
use crate::proxy::connection::Connection;
use crate::proxy::worker::Worker;
use crate::telemetry::log::events;
use crate::telemetry::metrics::handshakes::Fault;
use crate::telemetry::metrics::{Held, Metrics};
use crate::telemetry::throttle::Throttle;

/// Lines a second about refused handshakes and full tables, for each worker.
const LINES: u32 = 10;
/// While memory is short, fewer than so many connections are taken all the same: then it is not clients that fill it, and to
/// refuse them would only lock people out.
const FEW: u64 = 64;
/// How long accepting rests when the system has no descriptors left: long enough for some to come free.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// One worker's side of the listeners.
pub struct Door {
    front: Arc<ArcSwap<Front>>,
    worker: Rc<Worker>,
    metrics: Arc<Metrics>,
    conns: Rc<Conns>,
    throttle: Throttle,
    started: Instant,
    dates: Rc<Dates>,
    listening: RefCell<HashMap<Spot, Vec<JoinHandle<Option<()>>>>>,
    quic: RefCell<HashMap<Spot, Vec<Listener>>>,
    /// QUIC sockets that take nothing new and still carry connections.
    left: RefCell<Vec<Listener>>,
}

impl Door {
    /// A door without sockets.
    pub fn new(front: Arc<ArcSwap<Front>>, worker: Rc<Worker>, metrics: Arc<Metrics>) -> Rc<Self> {
        Rc::new(Self {
            front,
            worker,
            metrics,
            conns: Rc::default(),
            throttle: Throttle::new(LINES),
            started: Instant::now(),
            dates: Rc::default(),
            listening: RefCell::default(),
            quic: RefCell::default(),
            left: RefCell::default(),
        })
    }

    /// Starts accepting on the sockets of `spot`, and no longer on those it had before.
    pub fn listen(self: &Rc<Self>, spot: Spot, sockets: Vec<Listening>) -> io::Result<()> {
        self.leave(&spot);
        for socket in sockets {
            match socket {
                Listening::Tcp(listener) => {
                    let listener = TcpListener::from_std(listener)?;
                    let accepting = task::spawn_local("accept", Rc::clone(self).accept(spot.role, listener));
                    self.listening.borrow_mut().entry(spot).or_default().push(accepting);
                }
                Listening::Udp(socket, place) => {
                    let listener = Listener::open(self, socket, place)?;
                    self.quic.borrow_mut().entry(spot).or_default().push(listener);
                }
            }
        }
        Ok(())
    }

    /// Stops accepting on `spot`. Its connections live on; those of QUIC, which need its socket, are asked to finish.
    pub fn leave(&self, spot: &Spot) {
        for accepting in self.listening.borrow_mut().remove(spot).into_iter().flatten() {
            accepting.abort();
        }
        for listener in self.quic.borrow_mut().remove(spot).into_iter().flatten() {
            listener.leave();
            listener.conns().order_all(Order::Finish);
            self.left.borrow_mut().push(listener);
        }
    }

    /// Stops accepting everywhere, and asks every connection to finish.
    pub fn drain(&self) {
        for (_, accepting) in self.listening.borrow_mut().drain() {
            accepting.iter().for_each(JoinHandle::abort);
        }
        let spots: Vec<Spot> = self.quic.borrow().keys().copied().collect();
        spots.iter().for_each(|spot| self.leave(spot));
        self.conns.order_all(Order::Finish);
    }

    /// Sweeps the connections once a second, for as long as the worker runs.
    pub async fn sweep(&self) {
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            // Whole seconds only; the rest counts for the next round.
            let seconds = last.elapsed().as_secs();
            last += Duration::from_secs(seconds);
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            let timeouts = self.front.load().timeouts;
            self.conns.sweep(seconds, &timeouts);
            let (quic, mut left) = (self.quic.borrow(), self.left.borrow_mut());
            left.retain(|listener| !listener.conns().is_empty());
            quic.values().flatten().chain(left.iter()).for_each(|listener| listener.conns().sweep(seconds, &timeouts));
        }
    }

    /// What connections are received with now.
    pub(super) fn front(&self) -> Arc<Front> {
        self.front.load_full()
    }

    /// The thread's share of the request path.
    pub(super) const fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// Where all of it is counted.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The `Date` of an answer that has none.
    pub(super) fn date(&self) -> HeaderValue {
        self.dates.line(SystemClock.now())
    }

    async fn accept(self: Rc<Self>, role: Role, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.admit(role, stream, peer),
                Err(error) => self.stumble(&error).await,
            }
        }
    }

    /// An error of accept is one connection's end, or the system's limit; never the listener's.
    async fn stumble(&self, error: &io::Error) {
        const EMFILE: i32 = 24;
        const ENFILE: i32 = 23;
        if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) {
            if self.may_say() {
                tracing::error!(event = "out_of_files", error = %error, "no descriptor left for a client; raise LimitNOFILE");
            }
            tokio::time::sleep(OUT_OF_FILES).await;
        }
    }

    /// Counts one more connection; `None` when there are enough.
    pub(super) fn room(&self, peer: SocketAddr) -> Option<Held> {
        let proxy = &self.metrics.proxy;
        if self.worker.shuts_out(unmapped_socket(peer).ip()) {
            proxy.banned_connections.add_one();
            return None;
        }
        let limit = self.front.load().connections;
        let held = proxy.connections.hold();
        // A tunnel is a connection whose first part is over.
        let open = proxy.connections.read() + proxy.tunnels.read();
        if open > limit {
            proxy.refused.add_one();
            if self.may_say() {
                tracing::warn!(event = "too_many_connections", limit, peer = %peer.ip(), "`limit connections` reached");
            }
            return None;
        }
        if proxy.memory_short.read() != 0 && open > FEW {
            proxy.shed.add_one();
            return None;
        }
        Some(held)
    }

    fn admit(self: &Rc<Self>, role: Role, stream: TcpStream, peer: SocketAddr) {
        let Some(held) = self.room(peer) else { return };
        let front = self.front();
        let door = Rc::clone(self);
        drop(task::spawn_local("connection", async move {
            door.receive(front, role, stream, unmapped_socket(peer)).await;
            drop(held);
        }));
    }

    async fn receive(&self, front: Arc<Front>, role: Role, mut stream: TcpStream, peer: SocketAddr) {
        // Without a local address the client is gone already. Failing to switch Nagle off only costs latency.
        let Ok(local) = stream.local_addr().map(unmapped_socket) else { return };
        let _ = stream.set_nodelay(true);
        let _ = keep_alive(&stream);
        let deadline = Instant::now() + front.timeouts.handshake;
        let mut ends = Ends { client: peer, server: local };
        if front.is_balancer(peer.ip()) {
            // Boxed, for most connections never need the room.
            match Box::pin(proxy_protocol::receive(&mut stream, deadline)).await {
                Ok(told) => ends = told.unwrap_or(ends),
                Err(error) => return self.unintroduced(&error, peer),
            }
        }
        let peer = ends.client;
        if role == Role::Tls && cleartext::is_next(&stream, deadline).await {
            // Boxed, for most connections never need the room.
            return self.uncovered(Box::pin(cleartext::receive(stream, local.port())).await, peer, local.port());
        }
        let member = self.conns.enter();
        let activity = Arc::clone(member.activity());
        let (io, version, tls) = match role {
            // QUIC's sockets are [`Listener`]'s.
            Role::Plain | Role::Quic => (ClientIo::plain(stream, activity), Version::H1, None),
            Role::Tls => match front.tls.accept(stream, SocketAddr::new(ends.server.ip(), local.port()), deadline).await {
                Ok(Some(Greeted { stream, facts })) => {
                    let session = stream.get_ref().1;
                    tls::count(session, &self.metrics.handshakes);
                    let version = if session.alpn_protocol() == Some(b"h2") { Version::H2 } else { Version::H1 };
                    (ClientIo::tls(stream, activity), version, Some(facts))
                }
                Ok(None) => return,
                Err(refused) => return self.note(&refused, peer),
            },
        };
        let challenges = Arc::clone(&front.board);
        let alternative = tls.as_ref().filter(|tls| !tls.is_stand_in).and_then(|_| front.alternative(local.port()));
        let connection = Rc::new(Connection::new(peer, local, tls));
        let caller =
            Caller { worker: Rc::clone(&self.worker), connection, challenges, dates: Rc::clone(&self.dates), alternative };
        if let Some(what) = front.http.serve(io, version, caller, member).await {
            self.unreadable(what, peer);
        }
    }

    /// A balancer did not say whose connection it is; nothing is served to somebody unknown.
    fn unintroduced(&self, error: &HeaderError, peer: SocketAddr) {
        self.metrics.proxy.proxy_headers_refused.add_one();
        if self.may_say() {
            let (reason, remedy) = (error, error.remedy());
            let peer = peer.ip();
            tracing::warn!(event = events::PROXY_HEADER_REFUSED, %peer, %reason, remedy, "{peer} sent no usable PROXY header: {reason}; {remedy}");
        }
    }

    /// No TLS came where it is spoken.
    fn uncovered(&self, seen: Option<Cleartext>, peer: SocketAddr, port: u16) {
        self.metrics.handshakes.failed(Fault::NotTls);
        if self.may_say() {
            let code = Fault::NotTls.code();
            match seen {
                Some(seen) => {
                    tracing::info!(event = "handshake_refused", peer = %peer.ip(), code, "{}", seen.in_words(peer, port));
                }
                None => {
                    let reason = "what came is neither TLS nor HTTP";
                    tracing::info!(event = "handshake_refused", peer = %peer.ip(), name = "", reason, code);
                }
            }
        }
    }

    /// What came was no request; where it comes from and why is told, at a bounded rate.
    pub(super) fn unreadable(&self, what: Unreadable, peer: SocketAddr) {
        self.metrics.proxy.refused.add_one();
        self.worker.hold_against(peer.ip(), "request-unreadable");
        if self.may_say() {
            let peer = peer.ip();
            tracing::info!(event = "request_unreadable", %peer, reason = %what, "what {peer} sent is not a request: {what}");
        }
    }

    /// A refused handshake is the commonest sign of a missing name or certificate, so it is named, at a bounded rate.
    pub(super) fn note(&self, refused: &Refused, peer: SocketAddr) {
        let code = refused.why.fault();
        self.metrics.handshakes.failed(code);
        if untrusted::remark(&self.front.load(), refused, peer.ip(), &self.metrics.remarks) {
            return;
        }
        if self.may_say() {
            let name = refused.server_name.as_deref().unwrap_or("");
            let (name, peer) = (name.escape_default().to_string(), peer.ip());
            let asked = if name.is_empty() { String::new() } else { format!(" for {name}") };
            let (reason, code) = (&refused.why, code.code());
            tracing::info!(event = "handshake_refused", %peer, name, %reason, code, "the TLS handshake of {peer}{asked} failed: {reason}");
        }
    }

    fn may_say(&self) -> bool {
        let admitted = self.throttle.admit(self.started.elapsed().as_secs());
        if let Some(withheld) = admitted.filter(|n| *n > 0) {
            tracing::info!(event = "lines_withheld", count = withheld, "{withheld} lines like the next one were withheld");
        }
        admitted.is_some()
    }
}

/// Finds peers that vanished without a word: probed after 15 s of silence, given up after 9 probes (about 2.5 min).
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let probes =
        socket2::TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(15)).with_retries(9);
    socket2::SockRef::from(stream).set_tcp_keepalive(&probes)
}
