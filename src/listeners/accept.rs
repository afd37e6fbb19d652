//! Accepts connections on one worker and brings each to its protocol.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::bind::{ListenKey, Listening, Role};
use super::cleartext;
use super::connections::{CloseReason, ConnectionRegistry};
use super::context::ConnectionContext;
use super::http::{Caller, Version};
use super::listener_config::ListenerConfig;
use super::proxy_protocol;
use super::quic::listener::Listener;
use super::tls::{self, Handshaken};
use crate::base::addr::unmapped_socket;
use crate::base::proxy_header::Ends;
use crate::base::task;
use crate::proxy::client_io::ClientIo;
use crate::proxy::connection::Connection;
use crate::proxy::worker::Worker;
use crate::telemetry::metrics::Metrics;

/// How long accepting rests when the system has no descriptors left: long enough for some to come free.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// One worker's side of the listeners.
pub struct Door {
    context: Rc<ConnectionContext>,
    conns: Rc<ConnectionRegistry>,
    listening: RefCell<HashMap<ListenKey, Vec<JoinHandle<Option<()>>>>>,
    quic: RefCell<HashMap<ListenKey, Vec<Listener>>>,
    /// QUIC sockets that take nothing new and still carry connections.
    left: RefCell<Vec<Listener>>,
}

impl Door {
    /// A door without sockets.
    pub fn new(front: Arc<ArcSwap<ListenerConfig>>, worker: Rc<Worker>, metrics: Arc<Metrics>) -> Rc<Self> {
        Rc::new(Self {
            context: ConnectionContext::new(front, worker, metrics),
            conns: Rc::default(),
            listening: RefCell::default(),
            quic: RefCell::default(),
            left: RefCell::default(),
        })
    }

    /// Starts accepting on the sockets of `spot`, and no longer on those it had before.
    pub fn listen(self: &Rc<Self>, spot: ListenKey, sockets: Vec<Listening>) -> io::Result<()> {
        self.leave(&spot);
        for socket in sockets {
            match socket {
                Listening::Tcp(listener) => {
                    let listener = TcpListener::from_std(listener)?;
                    let accepting = task::spawn_local("accept", Rc::clone(self).accept(spot.role, listener));
                    self.listening.borrow_mut().entry(spot).or_default().push(accepting);
                }
                Listening::Udp(socket, place) => {
                    let listener = Listener::open(&self.context, socket, place)?;
                    self.quic.borrow_mut().entry(spot).or_default().push(listener);
                }
            }
        }
        Ok(())
    }

    /// Stops accepting on `spot`. Its connections live on; those of QUIC, which need its socket, are asked to finish.
    pub fn leave(&self, spot: &ListenKey) {
        for accepting in self.listening.borrow_mut().remove(spot).into_iter().flatten() {
            accepting.abort();
        }
        for listener in self.quic.borrow_mut().remove(spot).into_iter().flatten() {
            listener.leave();
            listener.conns().order_all(CloseReason::Finish);
            self.left.borrow_mut().push(listener);
        }
    }

    /// Stops accepting everywhere, and asks every connection to finish.
    pub fn drain(&self) {
        for (_, accepting) in self.listening.borrow_mut().drain() {
            accepting.iter().for_each(JoinHandle::abort);
        }
        let spots: Vec<ListenKey> = self.quic.borrow().keys().copied().collect();
        spots.iter().for_each(|spot| self.leave(spot));
        self.conns.order_all(CloseReason::Finish);
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
            let timeouts = self.context.front().timeouts;
            self.conns.sweep(seconds, &timeouts);
            let (quic, mut left) = (self.quic.borrow(), self.left.borrow_mut());
            left.retain(|listener| !listener.conns().is_empty());
            quic.values().flatten().chain(left.iter()).for_each(|listener| listener.conns().sweep(seconds, &timeouts));
        }
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
            if self.context.may_say() {
                tracing::error!(event = "out_of_files", error = %error, "no descriptor left for a client; raise LimitNOFILE");
            }
            tokio::time::sleep(OUT_OF_FILES).await;
        }
    }

    fn admit(self: &Rc<Self>, role: Role, stream: TcpStream, peer: SocketAddr) {
        let Some(held) = self.context.room(peer) else { return };
        let front = self.context.front();
        let door = Rc::clone(self);
        drop(task::spawn_local("connection", async move {
            door.receive(front, role, stream, unmapped_socket(peer)).await;
            drop(held);
        }));
    }

    async fn receive(&self, front: Arc<ListenerConfig>, role: Role, mut stream: TcpStream, peer: SocketAddr) {
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
                Err(error) => return self.context.unintroduced(&error, peer),
            }
        }
        let peer = ends.client;
        if role == Role::Tls && cleartext::is_next(&stream, deadline).await {
            // Boxed, for most connections never need the room.
            let seen = Box::pin(cleartext::receive(stream, front.ports.public(local.port()))).await;
            return self.context.uncovered(seen, peer, local.port());
        }
        let member = self.conns.enter();
        let activity = Arc::clone(member.activity());
        let server = SocketAddr::new(ends.server.ip(), local.port());
        let (io, version, tls) = match role {
            // QUIC's sockets are [`Listener`]'s.
            Role::Plain | Role::Quic => (ClientIo::plain(stream, activity), Version::H1, None),
            Role::Tls => match front.tls.accept(stream, server, front.peer(peer.ip()), deadline).await {
                Ok(Some(Handshaken { stream, facts })) => {
                    let session = stream.get_ref().1;
                    tls::count(session, &self.context.metrics().handshakes);
                    let version = if session.alpn_protocol() == Some(b"h2") { Version::H2 } else { Version::H1 };
                    (ClientIo::tls(stream, activity), version, Some(facts))
                }
                Ok(None) => return,
                Err(refused) => return self.context.note(&refused, peer),
            },
        };
        let challenges = Arc::clone(&front.board);
        let alternative = tls.as_ref().filter(|tls| !tls.is_stand_in).and_then(|_| front.alternative(local.port()));
        // A balancer's header names the port at which the client came to the balancer.
        let port = front.ports.public(ends.server.port());
        let connection = Rc::new(Connection::new(peer, local, tls).reached_at(port));
        let caller =
            Caller { worker: Rc::clone(self.context.worker()), connection, challenges, dates: self.context.dates(), alternative };
        if let Some(what) = front.http.serve(io, version, caller, member).await {
            self.context.unreadable(what, peer);
        }
    }
}

/// Finds peers that vanished without a word: probed after 15 s of silence, given up after 9 probes (about 2.5 min).
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let probes =
        socket2::TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(15)).with_retries(9);
    socket2::SockRef::from(stream).set_tcp_keepalive(&probes)
}
