//! A proxy between the gateway and Pebble that fails in named ways. It ends TLS and passes the Host header on, from
//! which Pebble makes all its URLs, so that every request of the ACME protocol comes through here.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use doorward::base::task;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::pebble::Pebble;
use super::server::Server;
use super::{client, wait};

/// What is asked of the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    NewNonce,
    NewAccount,
    NewOrder,
    Authorization,
    Challenge,
    Finalize,
    Order,
    Certificate,
    /// A chain to another root.
    Alternate,
    RenewalInfo,
    Other,
}

impl Kind {
    fn of(path: &str) -> Self {
        const PATHS: &[(&str, Kind)] = &[
            ("/dir", Kind::Directory),
            ("/nonce-plz", Kind::NewNonce),
            ("/sign-me-up", Kind::NewAccount),
            ("/order-plz", Kind::NewOrder),
            ("/authZ/", Kind::Authorization),
            ("/chalZ/", Kind::Challenge),
            ("/finalize-order/", Kind::Finalize),
            ("/my-order/", Kind::Order),
            ("/certZ/", Kind::Certificate),
            ("/draft-ietf-acme-ari-03/renewalInfo", Kind::RenewalInfo),
        ];
        match PATHS.iter().find(|(prefix, _)| path.starts_with(prefix)) {
            Some((_, Self::Certificate)) if path.contains("/alternate/") => Self::Alternate,
            Some((_, kind)) => *kind,
            None => Self::Other,
        }
    }
}

/// How one request fails.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It never reaches the authority; the connection is cut.
    LoseRequest,
    /// The authority has acted on it; the connection is cut without its answer.
    LoseAnswer,
    /// It stands here for ever, before the authority sees it.
    HoldRequest,
    /// The authority has acted on it; its answer stands here for ever.
    HoldAnswer,
    /// Answered here with this status and `Retry-After` in seconds.
    Status(u16, Option<u32>),
    /// Answered here with this status and a problem document of this type, whose common prefix is added.
    Problem(u16, &'static str),
    /// Answered here with this JSON and 200.
    Json(&'static str),
    /// Answered here with a page of HTML and 200.
    Html,
    /// The authority's answer without its last certificate and with half of the one before.
    CutChain,
    /// The authority's answer with this `Retry-After`.
    RetryAfter(&'static str),
    /// Ten megabytes of white space before the authority's answer.
    Huge,
}

struct Rule {
    kind: Kind,
    fault: Fault,
    /// It strikes every request, not only one.
    stays: bool,
}

#[derive(Default)]
struct Inventory {
    rules: VecDeque<Rule>,
    seen: Vec<Kind>,
    /// Requests whose fault has had its effect.
    struck: Vec<Kind>,
    /// What the authority itself answered.
    answers: Vec<(Kind, u16)>,
}

/// The running proxy.
pub struct FaultProxy {
    server: Server,
    book: Arc<Mutex<Inventory>>,
    ahead: Arc<Mutex<Ahead>>,
    root: PathBuf,
}

/// The authority behind the proxy.
#[derive(Clone)]
struct Ahead {
    pebble: SocketAddr,
    roots: String,
}

impl Ahead {
    fn of(pebble: &Pebble) -> Self {
        Self { pebble: pebble.address(), roots: pebble.authority().root_pem() }
    }
}

impl FaultProxy {
    /// Starts one before `pebble`.
    pub fn start(pebble: &Pebble) -> Self {
        let book = Arc::new(Mutex::new(Inventory::default()));
        let (chain, key) = pebble.authority().sign(&[]);
        let acceptor = TlsAcceptor::from(Arc::new(client::server_config(&chain, &key, &[b"http/1.1"])));
        let ahead = Arc::new(Mutex::new(Ahead::of(pebble)));
        let road = Road { ahead: Arc::clone(&ahead), book: Arc::clone(&book) };
        let server =
            Server::start("fault proxy", (Ipv4Addr::LOCALHOST, 0).into(), move |listener| listen(listener, acceptor, road));
        Self { server, book, ahead, root: pebble.authority().root_file() }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// The lines that make a gateway use it, to stand in an `acme` block.
    pub fn acme_lines(&self) -> String {
        format!("directory https://localhost:{}/dir\nca-file {}\n", self.port(), self.root.display())
    }

    /// The next request of `kind` without a fault so far fails so. Several for one kind are taken in turn.
    pub fn fail(&self, kind: Kind, fault: Fault) {
        self.book().rules.push_back(Rule { kind, fault, stays: false });
    }

    /// All requests of `kind` fail so from now on.
    pub fn fail_always(&self, kind: Kind, fault: Fault) {
        self.book().rules.push_back(Rule { kind, fault, stays: true });
    }

    /// Leads to another Pebble from now on, as when an authority lost all it knew.
    pub fn lead_to(&self, pebble: &Pebble) {
        *self.ahead.lock().expect("nothing panics under this lock") = Ahead::of(pebble);
    }

    /// No request fails any more; what is held stays held.
    pub fn heal(&self) {
        self.book().rules.clear();
    }

    /// How many requests of `kind` have come.
    pub fn count(&self, kind: Kind) -> usize {
        self.book().seen.iter().filter(|seen| **seen == kind).count()
    }

    /// How many requests have come in all.
    pub fn count_all(&self) -> usize {
        self.book().seen.len()
    }

    /// How many requests of `kind` the authority answered with this status, whether or not that answer got through.
    pub fn answered(&self, kind: Kind, status: u16) -> usize {
        self.book().answers.iter().filter(|answer| **answer == (kind, status)).count()
    }

    /// Waits until a fault of `kind` has struck, from which moment on the authority has or has not acted, as the fault says.
    pub fn until_struck(&self, kind: Kind, limit: Duration) {
        wait::until_true(&format!("a fault strikes {kind:?}"), limit, || self.has_struck(kind));
    }

    /// Whether a fault of `kind` has struck.
    pub fn has_struck(&self, kind: Kind) -> bool {
        self.book().struck.contains(&kind)
    }

    /// Waits until `count` requests of `kind` have come.
    pub fn until_seen(&self, kind: Kind, count: usize, limit: Duration) {
        wait::until_true(&format!("{count} requests of {kind:?}"), limit, || self.count(kind) >= count);
    }

    fn book(&self) -> MutexGuard<'_, Inventory> {
        lock(&self.book)
    }
}

#[derive(Clone)]
struct Road {
    ahead: Arc<Mutex<Ahead>>,
    book: Arc<Mutex<Inventory>>,
}

async fn listen(listener: TcpListener, acceptor: TlsAcceptor, road: Road) {
    while let Ok((socket, _)) = listener.accept().await {
        let (acceptor, road) = (acceptor.clone(), road.clone());
        task::spawn("fault proxy connection", async move {
            let Ok(stream) = acceptor.accept(socket).await else { return };
            let service = service_fn(|request| pass(&road, request));
            // A connection that is cut on purpose ends in an error.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn pass(road: &Road, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let kind = Kind::of(request.uri().path());
    let fault = road.note(kind);
    match &fault {
        Some(Fault::LoseRequest) => return Err(road.strike(kind)),
        Some(Fault::HoldRequest) => return Ok(road.hold(kind).await),
        Some(Fault::Status(status, retry_after)) => return Ok(road.answer(kind, refusal(*status, "rateLimited", *retry_after))),
        Some(Fault::Problem(status, short)) => return Ok(road.answer(kind, refusal(*status, short, None))),
        Some(Fault::Json(text)) => return Ok(road.answer(kind, Response::new(Full::from(*text)))),
        Some(Fault::Html) => return Ok(road.answer(kind, Response::new(Full::from("<html><body>Be right back</body></html>")))),
        Some(Fault::LoseAnswer | Fault::HoldAnswer | Fault::CutChain | Fault::Huge | Fault::RetryAfter(_)) | None => (),
    }
    let answer = road.ask(request).await?;
    lock(&road.book).answers.push((kind, answer.status().as_u16()));
    match fault {
        None => Ok(answer.map(Full::new)),
        Some(Fault::LoseAnswer) => Err(road.strike(kind)),
        Some(Fault::HoldAnswer) => Ok(road.hold(kind).await),
        Some(Fault::CutChain) => Ok(road.answer(kind, resized(answer, |body| cut(&body)))),
        Some(Fault::RetryAfter(value)) => {
            let mut answer = answer.map(Full::new);
            answer.headers_mut().insert("retry-after", http::HeaderValue::from_static(value));
            Ok(road.answer(kind, answer))
        }
        Some(Fault::Huge) => {
            Ok(road.answer(kind, resized(answer, |body| [vec![b' '; 10 << 20].as_slice(), &body].concat().into())))
        }
        Some(Fault::LoseRequest | Fault::HoldRequest | Fault::Status(..)) => unreachable!("answered above"),
        Some(Fault::Problem(..) | Fault::Json(_) | Fault::Html) => unreachable!("answered above"),
    }
}

impl Road {
    fn note(&self, kind: Kind) -> Option<Fault> {
        let mut book = lock(&self.book);
        book.seen.push(kind);
        let at = book.rules.iter().position(|rule| rule.kind == kind)?;
        if book.rules[at].stays {
            return Some(book.rules[at].fault.clone());
        }
        book.rules.remove(at).map(|rule| rule.fault)
    }

    fn strike(&self, kind: Kind) -> io::Error {
        lock(&self.book).struck.push(kind);
        io::Error::other("cut on purpose")
    }

    async fn hold(&self, kind: Kind) -> Response<Full<Bytes>> {
        let _ = self.strike(kind);
        match std::future::pending::<Infallible>().await {}
    }

    fn answer(&self, kind: Kind, response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
        let _ = self.strike(kind);
        response
    }

    async fn ask(&self, request: Request<Incoming>) -> io::Result<Response<Bytes>> {
        let Ahead { pebble, roots } = self.ahead.lock().expect("nothing panics under this lock").clone();
        let socket = TcpStream::connect(pebble).await?;
        let stream = client::handshake(socket, "localhost", &roots, &[b"http/1.1"]).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        task::spawn("fault proxy to pebble", connection);
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }
}

fn refusal(status: u16, short: &str, retry_after: Option<u32>) -> Response<Full<Bytes>> {
    let body = format!(r#"{{"type":"urn:ietf:params:acme:error:{short}","detail":"by order of the test"}}"#);
    let mut response = Response::builder().status(status).header("content-type", "application/problem+json");
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    response.body(Full::from(body)).expect("its parts are valid")
}

fn resized(answer: Response<Bytes>, change: impl FnOnce(Bytes) -> Bytes) -> Response<Full<Bytes>> {
    let mut response = answer.map(|body| Full::new(change(body)));
    response.headers_mut().remove(http::header::CONTENT_LENGTH);
    response
}

/// The leaf whole, and half of the certificate after it.
fn cut(chain: &Bytes) -> Bytes {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let second = chain.windows(BEGIN.len()).skip(1).position(|window| window == BEGIN).map_or(chain.len() / 2, |at| at + 1);
    chain.slice(..second + (chain.len() - second) / 2)
}

fn lock(book: &Mutex<Inventory>) -> MutexGuard<'_, Inventory> {
    book.lock().expect("nothing panics under this lock")
}
