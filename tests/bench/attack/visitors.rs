//! Those who have nothing to do with an attack: each asks at a steady pace, and what it waits counts from the moment when it
//! wanted to ask.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior};

use doorward::base::task;

use super::support::h3::{ClientCert, trusting};
use super::support::{client, server};

/// Fifty times a second; new connections a fifth of that.
const PACE: Duration = Duration::from_millis(20);
const PACE_OF_NEW: Duration = Duration::from_millis(100);
/// Who waits longer counts as not served.
const LONGEST: Duration = Duration::from_secs(10);

/// ClientCertPolicy at work.
pub struct ClientCertPolicy {
    stop: Arc<AtomicBool>,
    books: [Arc<Inventory>; 4],
    threads: Vec<thread::JoinHandle<()>>,
}

/// What one of them waited.
#[derive(Default)]
struct Inventory {
    served: AtomicUsize,
    waits: Mutex<Vec<Duration>>,
    failures: AtomicUsize,
}

/// The waits of all four, in a word each.
pub struct Waits([String; 4]);

/// How one asks.
#[derive(Clone, Copy)]
enum Way {
    H1,
    H2,
    H3,
    New,
}

impl ClientCertPolicy {
    /// Sends them to localhost at `port`.
    pub fn start(port: u16, root: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let books: [Arc<Inventory>; 4] = Default::default();
        let start = |(way, book): (Way, &Arc<Inventory>)| {
            let one = One { way, port, root: root.to_owned(), stop: Arc::clone(&stop), book: Arc::clone(book) };
            thread::spawn(move || server::runtime().block_on(one.visit()))
        };
        let threads = [Way::H1, Way::H2, Way::H3, Way::New].into_iter().zip(&books).map(start).collect();
        Self { stop, threads, books }
    }

    /// Whether each was answered already.
    pub fn are_served(&self) -> bool {
        self.books.iter().all(|book| book.served.load(Ordering::Relaxed) > 20)
    }

    /// Counts from now on.
    pub fn begin(&self) {
        for book in &self.books {
            book.waits.lock().expect("no visitor panics").clear();
            book.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Sends them home.
    pub fn finish(self) -> Waits {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("no visitor panics"));
        Waits(self.books.map(|book| book.words()))
    }
}

impl Inventory {
    fn words(&self) -> String {
        let mut waits = std::mem::take(&mut *self.waits.lock().expect("no visitor panics"));
        waits.sort_unstable();
        let at = |share: f64| waits.get(((waits.len() as f64 - 1.0) * share) as usize).map_or(0, Duration::as_millis);
        let failures = match self.failures.load(Ordering::Relaxed) {
            0 => String::new(),
            count => format!(" ({count} failed)"),
        };
        format!("{}/{}/{}{failures}", at(0.5), at(0.99), at(1.0))
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.join(", "))
    }
}

struct One {
    way: Way,
    port: u16,
    root: std::path::PathBuf,
    stop: Arc<AtomicBool>,
    book: Arc<Inventory>,
}

impl One {
    /// Asks until it is told to stop; whoever loses its connection takes a new one.
    async fn visit(self) {
        let pace = if matches!(self.way, Way::New) { PACE_OF_NEW } else { PACE };
        let mut ticks = tokio::time::interval(pace);
        // Who had to wait asks all that it wanted to ask meanwhile.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut connection = None;
        while !self.stop.load(Ordering::Relaxed) {
            let wanted = ticks.tick().await;
            match tokio::time::timeout(LONGEST, self.ask(&mut connection)).await {
                Ok(Ok(())) => {
                    self.book.served.fetch_add(1, Ordering::Relaxed);
                    self.book.waits.lock().expect("no visitor panics").push(Instant::now() - wanted);
                }
                Ok(Err(_)) | Err(_) => {
                    connection = None;
                    self.book.failures.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    async fn ask(&self, kept: &mut Option<Kept>) -> Result<(), String> {
        if kept.is_none() || matches!(self.way, Way::New) {
            *kept = Some(self.connect().await?);
        }
        let Some(kept) = kept else { return Err("no connection".to_owned()) };
        let status = match kept {
            Kept::H1(sender) => {
                sender.ready().await.map_err(words)?;
                let answer = sender.send_request(self.request("/small/x")).await.map_err(words)?;
                let status = answer.status();
                answer.into_body().collect().await.map_err(words)?;
                status
            }
            Kept::H2(sender) => {
                let answer = sender.send_request(self.request("")).await.map_err(words)?;
                let status = answer.status();
                answer.into_body().collect().await.map_err(words)?;
                status
            }
            Kept::H3(visitor) => visitor.try_ask(self.request("").map(drop)).await?.status(),
        };
        if status == 200 { Ok(()) } else { Err(status.to_string()) }
    }

    /// HTTP/1.1 names its path, the others the whole address.
    fn request(&self, path: &str) -> Request<Empty<Bytes>> {
        let host = format!("localhost:{}", self.port);
        let uri = if path.is_empty() { format!("https://{host}/small/x") } else { path.to_owned() };
        let request = Request::get(uri);
        let request = if path.is_empty() { request } else { request.header("host", host) };
        request.body(Empty::new()).expect("its parts are valid")
    }

    async fn connect(&self) -> Result<Kept, String> {
        if matches!(self.way, Way::H3) {
            let visitor = ClientCert::connect_as("localhost", self.port, trusting(&self.root)).await?;
            return Ok(Kept::H3(Box::new(visitor)));
        }
        let roots = std::fs::read_to_string(&self.root).map_err(words)?;
        let alpn: &[u8] = if matches!(self.way, Way::H2) { b"h2" } else { b"http/1.1" };
        let socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await.map_err(words)?;
        let io = TokioIo::new(client::handshake(socket, "localhost", &roots, &[alpn]).await.map_err(words)?);
        if matches!(self.way, Way::H2) {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(words)?;
            drop(task::spawn("visitor's connection", connection));
            Ok(Kept::H2(sender))
        } else {
            let (sender, connection) = http1::handshake(io).await.map_err(words)?;
            drop(task::spawn("visitor's connection", connection));
            Ok(Kept::H1(sender))
        }
    }
}

enum Kept {
    H1(http1::SendRequest<Empty<Bytes>>),
    H2(http2::SendRequest<Empty<Bytes>>),
    H3(Box<ClientCert>),
}

fn words(error: impl fmt::Display) -> String {
    error.to_string()
}
