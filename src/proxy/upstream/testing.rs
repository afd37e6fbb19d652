//! What this folder's tests share: a worker's runtime, clusters, bodies, and backends that do as they are prebuilt.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::lease::Lease;
use super::sticky::CookieSigner;
use super::tls::TlsTrust;
use super::{PickContext, UpstreamGroup};
use crate::base::task;
use crate::config::settings::{
    At, Balance, Target, TargetAddress, TargetScheme, Upstream, UpstreamProtocols, UpstreamTimeouts, UpstreamTls,
};

const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test as on a worker: one thread, local tasks, and never for long.
pub(super) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
    runtime.block_on(async { timeout(LIMIT, test).await.expect("done in time") });
}

/// Lets other tasks run until `state` holds.
pub(super) async fn until(mut state: impl FnMut() -> bool) {
    while !state() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(super) fn trust() -> TlsTrust {
    TlsTrust::new(Arc::new(rustls::crypto::aws_lc_rs::default_provider())).sealing(CookieSigner::new(&[7; 32]))
}

pub(super) fn target(address: TargetAddress, scheme: TargetScheme, weight: u32) -> Target {
    Target { address, scheme, weight, backup: false, at: At::default() }
}

pub(super) fn upstream(targets: Vec<Target>) -> Upstream {
    let timeouts =
        UpstreamTimeouts { connect: Duration::from_secs(10), first_byte: None, idle: None, keep_alive: Duration::from_secs(4) };
    Upstream {
        name: "test".to_owned(),
        targets,
        resolve: None,
        balance: Balance::RoundRobin,
        sticky: None,
        health: None,
        max_fails: None,
        circuit_breaker: None,
        fail_status: Vec::new(),
        slow_start: Duration::ZERO,
        retry: 0,
        retry_budget: 20,
        hold: None,
        max_connections: None,
        timeouts,
        protocols: UpstreamProtocols::Http1,
        tls: UpstreamTls::default(),
        proxy_protocol: None,
    }
}

pub(super) fn build(settings: &Upstream) -> Arc<UpstreamGroup> {
    UpstreamGroup::build(settings, None, &trust()).unwrap()
}

/// A lease on the one target at `addr`.
pub(super) fn lease_on(addr: SocketAddr, change: impl FnOnce(&mut Upstream)) -> Lease {
    let mut settings = upstream(vec![target(TargetAddress::Socket(addr), TargetScheme::Http, 1)]);
    change(&mut settings);
    build(&settings).pick(PickContext::default()).unwrap()
}

/// A request's body, sent piece by piece by the test.
#[derive(Debug)]
pub(super) struct TestBody {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    empty: bool,
}

impl TestBody {
    pub(super) fn empty() -> Self {
        Self { pieces: mpsc::channel(1).1, empty: true }
    }

    pub(super) fn channel() -> (mpsc::Sender<io::Result<Bytes>>, Self) {
        let (sender, pieces) = mpsc::channel(1);
        (sender, Self { pieces, empty: false })
    }
}

impl Body for TestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.pieces.poll_recv(cx).map(|piece| piece.map(|result| result.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.empty
    }
}

pub(super) fn get(path: &str) -> Request<TestBody> {
    Request::get(path).header("host", "test.example").body(TestBody::empty()).unwrap()
}

/// A backend whose every connection is served by one script.
pub(super) struct Backend {
    pub(super) addr: SocketAddr,
    /// Connections taken so far.
    pub(super) connections: Rc<Cell<usize>>,
    /// What the scripts noted.
    pub(super) notes: Notes,
}

/// What a backend's scripts saw.
#[derive(Clone, Default)]
pub(super) struct Notes(Rc<RefCell<Vec<String>>>);

impl Notes {
    pub(super) fn add(&self, note: impl Into<String>) {
        self.0.borrow_mut().push(note.into());
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

impl Backend {
    pub(super) async fn start<S, F>(script: S) -> Self
    where
        S: Fn(TcpStream, Notes) -> F + 'static,
        F: Future<Output = io::Result<()>> + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = Self { addr: listener.local_addr().unwrap(), connections: Rc::default(), notes: Notes::default() };
        let (connections, notes) = (Rc::clone(&backend.connections), backend.notes.clone());
        let accept = async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.set(connections.get() + 1);
                let _its_own = task::spawn_local("backend connection", script(stream, notes.clone()));
            }
        };
        let _its_own = task::spawn_local("backend", accept);
        backend
    }

    /// Answers every request with the same bytes, after its header.
    pub(super) async fn answering(answer: &'static str) -> Self {
        Self::start(move |mut stream, notes| async move {
            loop {
                let head = read_head(&mut stream).await?;
                notes.add(head.lines().next().unwrap_or_default());
                stream.write_all(answer.as_bytes()).await?;
            }
        })
        .await
    }
}

/// Reads up to the empty line behind a header. An error at the end of the stream.
pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(head).unwrap())
}
