//! Many WebSockets at once, each of which is asked whether it still lives.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{client, process, server};

/// Open tunnels through one gateway.
pub struct Tunnels {
    runtime: Runtime,
    sockets: Vec<Socket>,
    round: usize,
}

type Socket = WebSocketStream<TlsStream<TcpStream>>;

const EACH: Duration = super::wait::LIMIT;

impl Tunnels {
    /// Opens `count` of them to `wss://NAME:PORT/ws`.
    pub fn open(name: &str, port: u16, roots: &Path, count: usize) -> Self {
        let roots = fs::read_to_string(roots).unwrap();
        let runtime = server::runtime();
        let sockets = runtime.block_on(async {
            let mut sockets = Vec::with_capacity(count);
            for number in 0..count {
                let opening = Box::pin(open_one(name, port, &roots));
                let opened = tokio::time::timeout(EACH, opening).await;
                sockets.push(opened.unwrap_or_else(|_| panic!("tunnel {number} does not open within {EACH:?}")));
            }
            sockets
        });
        Self { runtime, sockets, round: 0 }
    }

    /// Sends a message through each and wants it back.
    pub fn echo_all(&mut self) {
        self.round += 1;
        let round = self.round;
        self.runtime.block_on(async {
            for (number, socket) in self.sockets.iter_mut().enumerate() {
                let text = format!("round {round}, tunnel {number}");
                socket.send(Message::text(text.clone())).await.unwrap_or_else(|error| panic!("{text}: {error}"));
            }
            for (number, socket) in self.sockets.iter_mut().enumerate() {
                let text = format!("round {round}, tunnel {number}");
                let back = tokio::time::timeout(EACH, said(socket)).await.unwrap_or_else(|_| panic!("{text}: no answer"));
                match back {
                    Some(Ok(Message::Text(back))) if back.as_str() == text => (),
                    other => panic!("{text}: {other:?}"),
                }
            }
        });
    }

    /// Waits until each was pinged so often, and nothing else came.
    pub fn until_pinged(&mut self, times: usize) {
        self.runtime.block_on(async {
            // In turn, for who is not listened to does not answer.
            for ping in 0..times {
                for (number, socket) in self.sockets.iter_mut().enumerate() {
                    match tokio::time::timeout(EACH, socket.next()).await {
                        Ok(Some(Ok(Message::Ping(_)))) => (),
                        other => panic!("tunnel {number} after {ping} pings: {other:?}"),
                    }
                }
            }
        });
    }

    /// Waits until each has got close 1001, and answers it.
    pub fn until_sent_away(self) {
        self.runtime.block_on(async {
            for (number, mut socket) in self.sockets.into_iter().enumerate() {
                match tokio::time::timeout(3 * EACH, socket.next()).await {
                    Ok(Some(Ok(Message::Close(Some(frame))))) if u16::from(frame.code) == 1001 => (),
                    other => panic!("tunnel {number} was not sent away: {other:?}"),
                }
                while let Some(Ok(_)) = socket.next().await {}
            }
        });
    }
}

/// What comes next but for the backend's pings.
async fn said(socket: &mut Socket) -> Option<Result<Message, Error>> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Ping(_))) => (),
            other => return other,
        }
    }
}

async fn open_one(name: &str, port: u16, roots: &str) -> Socket {
    let socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.unwrap();
    let stream = client::handshake(socket, name, roots, &[b"http/1.1"]).await.unwrap();
    let opening = tokio_tungstenite::client_async(format!("wss://{name}:{port}/ws"), stream);
    Box::pin(opening).await.unwrap().0
}

/// Raises this process's limit of open files as far as it may be raised; programs it starts inherit that.
pub fn allow_open_files() {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("Linux has this limit");
    let hard = line.split_whitespace().nth(4).expect("soft and hard follow the name");
    let mut command = process::command("prlimit");
    let output =
        process::run("prlimit", command.arg(format!("--pid={}", std::process::id())).arg(format!("--nofile={hard}:")), EACH);
    assert!(output.status.success(), "prlimit: {}", String::from_utf8_lossy(&output.stderr));
}
