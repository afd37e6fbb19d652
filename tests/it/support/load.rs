//! ClientCertPolicy who never stop: they ask, reconnect and talk until they are told to end, and remember every failure.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::{client, server, wait};

/// What the visitors saw.
#[derive(Default, Debug)]
pub struct BatchedCounters {
    /// Answers on connections of their own.
    pub visits: usize,
    /// Answers on the one connection that is kept.
    pub requests: usize,
    /// Messages that came back through the one tunnel.
    pub messages: usize,
    /// Serial numbers of the certificates shown.
    pub serials: BTreeSet<String>,
    /// What went wrong.
    pub failures: Vec<String>,
}

/// ClientCertPolicy at work: one who opens a new connection for each request, one who keeps his, one in a WebSocket.
pub struct Load {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    tally: Arc<Mutex<BatchedCounters>>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Sends them to `name` at `port`.
    pub fn start(name: &str, port: u16, roots: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let rounds = Arc::new(AtomicUsize::new(0));
        let tally = Arc::new(Mutex::new(BatchedCounters::default()));
        let visitor = ClientCert {
            name: name.to_owned(),
            port,
            roots: std::fs::read_to_string(roots).unwrap(),
            stop: Arc::clone(&stop),
            rounds: Arc::clone(&rounds),
            tally: Arc::clone(&tally),
        };
        let thread = thread::spawn(move || server::runtime().block_on(visitor.all()));
        let load = Self { stop, rounds, tally, thread: Some(thread) };
        load.until_more();
        load
    }

    /// Waits until each of them has been answered again several times.
    pub fn until_more(&self) {
        let least = self.rounds.load(Ordering::Relaxed) + 30;
        wait::until_true("the visitors are answered", wait::LIMIT, || {
            self.rounds.load(Ordering::Relaxed) >= least || !self.failures().is_empty()
        });
    }

    /// What went wrong so far.
    pub fn failures(&self) -> Vec<String> {
        self.tally.lock().expect("no visitor panics").failures.clone()
    }

    /// Sends them home.
    pub fn finish(mut self) -> BatchedCounters {
        self.end();
        std::mem::take(&mut self.tally.lock().expect("no visitor panics"))
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

struct ClientCert {
    name: String,
    port: u16,
    roots: String,
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    tally: Arc<Mutex<BatchedCounters>>,
}

/// The longest that one answer may take.
const PATIENCE: Duration = wait::LIMIT;

impl ClientCert {
    async fn all(self) {
        let this = Rc::new(self);
        let (visits, requests, messages) = tokio::join!(this.visit(), this.keep_asking(), this.talk());
        for (who, result) in [("a new connection", visits), ("the kept connection", requests), ("the tunnel", messages)] {
            if let Err(error) = result {
                this.note(|tally| tally.failures.push(format!("{who}: {error}")));
            }
        }
    }

    async fn visit(&self) -> io::Result<()> {
        while self.goes_on() {
            let seen = self.soon(client::get_once(&self.name, self.port, "/", &self.roots)).await?;
            self.note(|tally| {
                tally.visits += 1;
                tally.serials.insert(seen.serial());
                if seen.response.status() != 200 {
                    tally.failures.push(format!("a new connection: {}", seen.response.status()));
                }
            });
        }
        Ok(())
    }

    async fn keep_asking(&self) -> io::Result<()> {
        let stream = self.soon(self.connect()).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let asking = async move {
            while self.goes_on() {
                let request =
                    Request::get("/").header("host", self.authority()).body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
                let exchange = async {
                    let response = sender.send_request(request).await.map_err(io::Error::other)?;
                    let status = response.status();
                    response.into_body().collect().await.map_err(io::Error::other)?;
                    Ok(status)
                };
                let status = self.soon(exchange).await?;
                self.note(|tally| {
                    tally.requests += 1;
                    if status != 200 {
                        tally.failures.push(format!("the kept connection: {status}"));
                    }
                });
            }
            Ok(())
        };
        let (asked, _) = tokio::join!(asking, connection);
        asked
    }

    async fn talk(&self) -> io::Result<()> {
        let stream = self.soon(self.connect()).await?;
        let opening = Box::pin(tokio_tungstenite::client_async(format!("wss://{}/ws", self.authority()), stream));
        let (mut socket, _) = self.soon(async { opening.await.map_err(io::Error::other) }).await?;
        let mut number = 0;
        while self.goes_on() {
            let text = format!("message {number}");
            let exchange = async {
                socket.send(Message::text(text.clone())).await.map_err(io::Error::other)?;
                match socket.next().await {
                    Some(Ok(Message::Text(back))) if back.as_str() == text => Ok(()),
                    other => Err(io::Error::other(format!("for {text:?} came {other:?}"))),
                }
            };
            self.soon(exchange).await?;
            number += 1;
            self.note(|tally| tally.messages += 1);
        }
        socket.close(None).await.map_err(io::Error::other)
    }

    async fn connect(&self) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await?;
        client::handshake(socket, &self.name, &self.roots, &[b"http/1.1"]).await
    }

    async fn soon<T>(&self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        // The pace of each: the machine is to have time for the gateway as well.
        tokio::time::sleep(Duration::from_millis(4)).await;
        tokio::time::timeout(PATIENCE, work).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    fn authority(&self) -> String {
        format!("{}:{}", self.name, self.port)
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn note(&self, change: impl FnOnce(&mut BatchedCounters)) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        change(&mut self.tally.lock().expect("no visitor panics"));
    }
}
