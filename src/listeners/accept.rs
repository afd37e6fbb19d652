//! Accepts connections on one worker and brings each to its protocol.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::bind::{Role, Spot};
use super::conns::Conns;
use super::front::Front;
use super::http::{Caller, Version};
use super::tls::Refused;
use crate::base::addr::unmapped_socket;
use crate::base::task;
use crate::proxy::client_io::ClientIo;
use crate::proxy::exchange::{Connection, TlsFacts};
use crate::proxy::worker::Worker;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::throttle::Throttle;

/// Lines a second about refused handshakes and full tables, for each worker.
const LINES: u32 = 10;
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
    listening: RefCell<HashMap<Spot, JoinHandle<Option<()>>>>,
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
            listening: RefCell::default(),
        })
    }

    /// Starts accepting on `listener`.
    pub fn listen(self: &Rc<Self>, spot: Spot, listener: StdListener) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        let accepting = task::spawn_local("accept", Rc::clone(self).accept(spot.role, listener));
        if let Some(old) = self.listening.borrow_mut().insert(spot, accepting) {
            old.abort();
        }
        Ok(())
    }

    /// Stops accepting on `spot`; its connections live on.
    pub fn leave(&self, spot: &Spot) {
        if let Some(accepting) = self.listening.borrow_mut().remove(spot) {
            accepting.abort();
        }
    }

    /// Stops accepting everywhere.
    pub fn close(&self) {
        for (_, accepting) in self.listening.borrow_mut().drain() {
            accepting.abort();
        }
    }

    /// The worker's connections.
    pub fn conns(&self) -> &Rc<Conns> {
        &self.conns
    }

    /// Sweeps the connections once a second, for as long as the worker runs.
    pub async fn sweep(&self) {
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            // Whole seconds only; the rest counts for the next round.
            let seconds = last.elapsed().as_secs();
            last += Duration::from_secs(seconds);
            self.conns.sweep(u32::try_from(seconds).unwrap_or(u32::MAX), &self.front.load().timeouts);
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
            if self.may_say() {
                tracing::error!(event = "out_of_files", error = %error, "no descriptor left for a client; raise LimitNOFILE");
            }
            tokio::time::sleep(OUT_OF_FILES).await;
        }
    }

    fn admit(self: &Rc<Self>, role: Role, stream: TcpStream, peer: SocketAddr) {
        let front = self.front.load_full();
        let held = self.metrics.proxy.connections.hold();
        let proxy = &self.metrics.proxy;
        // A tunnel is a connection whose first part is over.
        if proxy.connections.read() + proxy.tunnels.read() > front.connections {
            self.metrics.proxy.refused.add_one();
            if self.may_say() {
                tracing::warn!(event = "too_many_connections", limit = front.connections, peer = %peer.ip(), "`limit connections` reached");
            }
            return;
        }
        let door = Rc::clone(self);
        drop(task::spawn_local("connection", async move {
            door.receive(front, role, stream, unmapped_socket(peer)).await;
            drop(held);
        }));
    }

    async fn receive(&self, front: Arc<Front>, role: Role, stream: TcpStream, peer: SocketAddr) {
        // Without a local address the client is gone already. Failing to switch Nagle off only costs latency.
        let Ok(local) = stream.local_addr().map(unmapped_socket) else { return };
        let _ = stream.set_nodelay(true);
        let _ = keep_alive(&stream);
        let member = self.conns.enter();
        let activity = Arc::clone(member.activity());
        let (io, version, tls) = match role {
            Role::Plain => (ClientIo::plain(stream, activity), Version::H1, None),
            Role::Tls => {
                let deadline = Instant::now() + front.timeouts.handshake;
                match front.tls.accept(stream, local.ip(), deadline).await {
                    Ok(Some(stream)) => {
                        let session = stream.get_ref().1;
                        let version = if session.alpn_protocol() == Some(b"h2") { Version::H2 } else { Version::H1 };
                        let facts = TlsFacts::of(session);
                        (ClientIo::tls(stream, activity), version, Some(facts))
                    }
                    Ok(None) => return,
                    Err(refused) => return self.note(&refused, peer),
                }
            }
        };
        let challenges = tls.is_none().then(|| Arc::clone(&front.board));
        let connection = Rc::new(Connection::new(peer, local, tls));
        let caller = Caller { worker: Rc::clone(&self.worker), connection, challenges };
        if let Some(unreadable) = front.http.serve(io, version, caller, member).await {
            self.metrics.proxy.refused.add_one();
            if self.may_say() {
                tracing::info!(event = "request_unreadable", peer = %peer.ip(), reason = unreadable.words());
            }
        }
    }

    /// A refused handshake is the commonest sign of a missing name or certificate, so it is named, at a bounded rate.
    fn note(&self, refused: &Refused, peer: SocketAddr) {
        self.metrics.proxy.handshakes_failed.add_one();
        if self.may_say() {
            let name = refused.server_name.as_deref().unwrap_or("");
            tracing::info!(event = "handshake_refused", peer = %peer.ip(), name = name.escape_default().to_string(), reason = %refused.why);
        }
    }

    fn may_say(&self) -> bool {
        let admitted = self.throttle.admit(self.started.elapsed().as_secs());
        if let Some(withheld) = admitted.filter(|n| *n > 0) {
            tracing::info!(event = "lines_withheld", count = withheld);
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
