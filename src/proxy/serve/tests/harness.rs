//! A gateway of one worker without TLS that believes to be behind it, a backend that follows a script, and clients.

use std::cell::Cell;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::base::rng::Rng;
use crate::base::task;
use crate::config::environment::Environment;
use crate::config::resolve::from_text;
use crate::proxy::body::Body;
use crate::proxy::client_io::{Activity, ClientIo, Ticks};
use crate::proxy::connection::{Connection, TlsFacts};
use crate::proxy::h2_stream::exchange;
use crate::proxy::handover::{HandedOver, handover};
use crate::proxy::serve::serve;
use crate::proxy::snapshot::{Live, Snapshot};
use crate::proxy::upstream::sticky::CookieSigner;
use crate::proxy::upstream::tls::TlsTrust;
use crate::proxy::worker::{Shared, Worker};
use crate::telemetry::access::{AccessLog, AccessWriter, Rules, line::Form, redact::Redactor};
use crate::telemetry::metrics::Metrics;

/// No test takes this long.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test on a worker's kind of runtime.
pub(super) fn run(test: impl Future<Output = ()>) {
    run_within(LIMIT, test);
}

/// The same, where the test stops the clock and lets days go by.
pub(super) fn run_within(limit: Duration, test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
    runtime.block_on(async { timeout(limit, test).await.expect("done in time") });
}

/// Waits until something is so.
pub(super) async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A backend: `script` gets each connection with its number.
pub(super) struct Backend {
    pub(super) addr: SocketAddr,
    pub(super) connections: Rc<Cell<u32>>,
}

impl Backend {
    pub(super) async fn start<F: Future<Output = ()> + 'static>(script: impl Fn(Peer, u32) -> F + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Rc::new(Cell::new(0));
        let count = Rc::clone(&connections);
        drop(task::spawn_local("backend", async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.set(count.get() + 1);
                drop(task::spawn_local("script", script(Peer::of(stream), count.get())));
            }
        }));
        Self { addr, connections }
    }

    /// Answers every request with the same bytes.
    pub(super) async fn says(answer: &'static str) -> Self {
        Self::start(move |mut peer, _| async move {
            while !peer.head().await.is_empty() {
                peer.send(answer).await;
            }
        })
        .await
    }

    /// Answers every request with all of it, as it came over the wire.
    pub(super) async fn mirror_all() -> Self {
        Self::start(|mut peer, _| async move {
            loop {
                let head = peer.head().await;
                if head.is_empty() {
                    return;
                }
                let body = peer.body(&head).await;
                let all = format!("{head}{body}");
                peer.send(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{all}", all.len())).await;
            }
        })
        .await
    }

    /// Answers every request with its own header as the body.
    pub(super) async fn mirror() -> Self {
        Self::start(|mut peer, _| async move {
            loop {
                let head = peer.head().await;
                if head.is_empty() {
                    return;
                }
                peer.send(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{head}", head.len())).await;
            }
        })
        .await
    }
}

/// A backend of HTTP/2 in the clear, which answers each request by one script and takes WebSockets.
pub(super) async fn h2c_backend<F: Future<Output = Option<()>> + 'static>(
    script: impl Fn(Request<h2::RecvStream>, h2::server::SendResponse<Bytes>) -> F + Clone + 'static,
) -> Backend {
    Backend::start(move |peer, _| {
        let script = script.clone();
        async move {
            let mut connection = h2::server::Builder::new().enable_connect_protocol().handshake(peer.stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                drop(task::spawn_local("backend stream", script(request, respond)));
            }
        }
    })
    .await
}

/// A client of HTTP/2 that shows its streams as they are.
pub(super) async fn h2_client(gateway: &Gateway) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(gateway.addr).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    drop(task::spawn_local("client", connection));
    sender
}

/// A connection read and written as text.
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Peer {
    pub(super) fn of(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(super) async fn send(&mut self, text: &str) {
        // A peer that is gone is what some tests are about.
        drop(self.stream.write_all(text.as_bytes()).await);
    }

    /// What was read behind what was taken, as bytes.
    pub(super) fn unread(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// The next message's header with its empty line; empty at the end of the stream.
    pub(super) async fn head(&mut self) -> String {
        self.through("\r\n\r\n").await
    }

    /// Everything up to and including `mark`; what there is when the stream ends before it.
    pub(super) async fn through(&mut self, mark: &str) -> String {
        loop {
            let at = self.buffer.windows(mark.len()).position(|window| window == mark.as_bytes());
            if let Some(at) = at {
                return self.take(at + mark.len());
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return self.take(self.buffer.len());
            }
        }
    }

    /// Everything until the stream ends, and whether it ended properly.
    pub(super) async fn rest(&mut self) -> (String, bool) {
        loop {
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return (self.take(self.buffer.len()), true),
                Ok(_) => (),
                Err(_) => return (self.take(self.buffer.len()), false),
            }
        }
    }

    /// The body behind a header, framing included.
    pub(super) async fn body(&mut self, head: &str) -> String {
        if !head.contains("transfer-encoding: chunked\r\n") {
            return self.announced(head).await;
        }
        let mut body = self.through("0\r\n").await;
        loop {
            let line = self.through("\r\n").await;
            body.push_str(&line);
            if line.len() <= 2 {
                return body;
            }
        }
    }

    /// A whole answer whose length is announced.
    pub(super) async fn answer(&mut self) -> String {
        let head = self.head().await;
        let body = self.announced(&head).await;
        head + &body
    }

    async fn announced(&mut self, head: &str) -> String {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        while self.buffer.len() < length {
            assert_ne!(self.stream.read_buf(&mut self.buffer).await.unwrap_or(0), 0, "cut off behind {head}");
        }
        self.take(length)
    }

    fn take(&mut self, length: usize) -> String {
        String::from_utf8(self.buffer.drain(..length).collect()).unwrap()
    }
}

/// A running gateway.
pub(super) struct Gateway {
    pub(super) addr: SocketAddr,
    pub(super) metrics: Arc<Metrics>,
    pub(super) worker: Rc<Worker>,
    lines: Arc<Mutex<Vec<u8>>>,
    writer: AccessWriter,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    H1,
    H2,
}

impl Gateway {
    /// HTTP/1.1 for `a.test` before `backend`.
    pub(super) async fn before(backend: &Backend) -> Self {
        Self::start(&format!("a.test {{\n proxy {}\n}}", backend.addr), Speaks::H1).await
    }

    pub(super) async fn start(text: &str, speaks: Speaks) -> Self {
        Self::at(text, speaks, 443).await
    }

    /// A gateway whose connections believe to have come to `port`; only those to 443 are behind TLS.
    pub(super) async fn at(text: &str, speaks: Speaks, port: u16) -> Self {
        let snapshot = snapshot(text, None);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let rules = Rules { enabled: true, form: Form::Json, hide: Redactor::new([]) };
        let (access, writer) = AccessLog::start(rules, Page(Arc::clone(&lines))).unwrap();
        let metrics = Arc::<Metrics>::default();
        let live = Arc::new(Live::from_pointee(snapshot));
        let shared = Shared { live, metrics: Arc::clone(&metrics), access };
        let worker = Worker::with_dice(shared, Rng::seeded(1));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        drop(task::spawn_local("gateway", accept(listener, Rc::clone(&worker), speaks, port)));
        Self { addr, metrics, worker, lines, writer }
    }

    /// Puts another configuration in force.
    pub(super) fn reload(&self, text: &str) {
        let live = &self.worker.live;
        let next = Arc::new(snapshot(text, Some(&live.load())));
        live.swap(Arc::clone(&next)).succeeded_by(&next);
    }

    /// The same; tunnels that have lost their place leave within `span`.
    pub(super) fn reload_over(&self, text: &str, span: Duration) {
        self.reload(text);
        self.worker.review_tunnels(span);
    }

    pub(super) async fn client(&self) -> Peer {
        Peer::of(TcpStream::connect(self.addr).await.unwrap())
    }

    /// Sends one request as it stands and gives everything that comes back until the gateway closes.
    pub(super) async fn ask(&self, request: &str) -> String {
        let mut client = self.client().await;
        client.send(request).await;
        client.answer().await
    }

    /// Stops logging, once every exchange is over, and gives the records.
    pub(super) async fn records(self) -> Vec<serde_json::Value> {
        let metrics = Arc::clone(&self.metrics);
        until(|| metrics.proxy.in_flight.read() == 0).await;
        drop(self.writer);
        let lines = self.lines.lock().unwrap();
        String::from_utf8_lossy(&lines).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn snapshot(text: &str, before: Option<&Snapshot>) -> Snapshot {
    let resolved = from_text("test.conf", text, &Environment::default()).unwrap_or_else(|r| panic!("{}", r.render(false)));
    let trust = TlsTrust::new(Arc::new(rustls::crypto::aws_lc_rs::default_provider())).sealing(CookieSigner::new(&[7; 32]));
    Snapshot::build(&resolved.settings, before, &trust).unwrap()
}

async fn accept(listener: TcpListener, worker: Rc<Worker>, speaks: Speaks, port: u16) {
    let ticks = Arc::<Ticks>::default();
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        let tls = (port == 443).then_some(TlsFacts { server_name: None, client_cert: None, is_stand_in: false });
        let connection = Rc::new(Connection::new(peer, SocketAddr::new(peer.ip(), port), tls));
        let worker = Rc::clone(&worker);
        let io = ClientIo::plain(stream, Activity::new(Arc::clone(&ticks)));
        let serve = move |request| serve(Rc::clone(&worker), Rc::clone(&connection), request);
        drop(task::spawn_local("connection", async move {
            match speaks {
                Speaks::H1 => {
                    let io = TokioIo::new(io);
                    let service = service_fn(move |request: Request<Incoming>| serve(with_handover(request).map(Body::client)));
                    drop(hyper::server::conn::http1::Builder::new().serve_connection(io, service).with_upgrades().await)
                }
                Speaks::H2 => {
                    let mut connection = h2::server::Builder::new().enable_connect_protocol().handshake(io).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let date = || HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT");
                        drop(task::spawn_local("stream", exchange(request, respond, serve.clone(), date)));
                    }
                }
            }
        }));
    }
}

/// The request as the gateway's own connection makes it: what hyper will give away becomes a [`Handover`](crate::proxy::handover::Handover).
fn with_handover(mut request: Request<Incoming>) -> Request<Incoming> {
    if let Some(on) = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>() {
        let (giver, taker) = handover();
        request.extensions_mut().insert(taker);
        drop(task::spawn_local("handover", async move {
            let Ok(upgraded) = on.await else { return };
            let parts = upgraded.downcast::<TokioIo<ClientIo>>().expect("it is the stream that was served");
            drop(giver.send(HandedOver { io: parts.io.into_inner(), leftover: parts.read_buf }));
        }));
    }
    request
}

/// Runs HTTP/2's streams here.
#[derive(Clone, Copy)]
pub(super) struct Local;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        drop(task::spawn_local("stream", future));
    }
}

struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
