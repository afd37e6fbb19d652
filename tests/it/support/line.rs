//! A connection one speaks on by hand, byte for byte.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::{client, server};

/// How long any one answer may take.
const PATIENCE: Duration = super::wait::LIMIT;

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// An open connection.
pub struct Line {
    stream: Box<dyn Stream>,
    runtime: Runtime,
    /// Came already, and belongs to what is read next.
    kept: Vec<u8>,
}

impl Line {
    /// TLS to `name` at 127.0.0.1, without HTTP/2.
    pub fn open(name: &str, port: u16, root: &Path) -> Self {
        Self::open_for(name, port, root, &[b"http/1.1"])
    }

    /// As [`open`](Self::open), for the protocols of `alpn`.
    pub fn open_for(name: &str, port: u16, root: &Path, alpn: &[&[u8]]) -> Self {
        Self::try_open(name, port, root, alpn).unwrap()
    }

    /// As [`open_for`](Self::open_for), where the other side may not want it.
    pub fn try_open(name: &str, port: u16, root: &Path, alpn: &[&[u8]]) -> io::Result<Self> {
        let roots = std::fs::read_to_string(root)?;
        let runtime = server::runtime();
        let stream = runtime.block_on(async {
            let socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
            client::handshake(socket, name, &roots, alpn).await
        })?;
        Ok(Self { stream: Box::new(stream), runtime, kept: Vec::new() })
    }

    /// TCP to 127.0.0.1.
    pub fn open_plain(port: u16) -> Self {
        let runtime = server::runtime();
        let stream = runtime.block_on(TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))).unwrap();
        Self { stream: Box::new(stream), runtime, kept: Vec::new() }
    }

    /// Sends bytes. Whether the other side still wants them is told by what it answers.
    pub fn say(&mut self, bytes: &[u8]) {
        let Self { stream, runtime, .. } = self;
        let _ = runtime.block_on(async {
            stream.write_all(bytes).await?;
            stream.flush().await
        });
    }

    /// Sends bytes, as long as they are taken within `limit`. Whether all were.
    pub fn say_within(&mut self, bytes: &[u8], limit: Duration) -> bool {
        let Self { stream, runtime, .. } = self;
        runtime.block_on(async {
            let saying = async {
                stream.write_all(bytes).await?;
                stream.flush().await
            };
            matches!(tokio::time::timeout(limit, saying).await, Ok(Ok(())))
        })
    }

    /// The next header section, with its blank line; what came before the end, where it ends earlier.
    pub fn head(&mut self) -> String {
        while !self.kept.windows(4).any(|four| four == b"\r\n\r\n") {
            if self.more(PATIENCE).expect("an answer comes in time") == 0 {
                return String::from_utf8_lossy(&std::mem::take(&mut self.kept)).into_owned();
            }
        }
        let end = self.kept.windows(4).position(|four| four == b"\r\n\r\n").expect("it was seen") + 4;
        String::from_utf8_lossy(&self.take(end)).into_owned()
    }

    /// An answer with its body, as its length or its chunks say.
    pub fn answer(&mut self) -> String {
        let head = self.head();
        let lower = head.to_lowercase();
        let body = if lower.contains("transfer-encoding: chunked") {
            self.until(b"0\r\n\r\n")
        } else {
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
            self.exactly(length.unwrap_or(0))
        };
        head + &String::from_utf8_lossy(&body)
    }

    /// The next `count` bytes, or fewer where it ends earlier.
    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.kept.len() < count && self.more(PATIENCE).expect("an answer comes in time") > 0 {}
        self.take(count)
    }

    /// Everything to the end of the connection; `None` when there is no end within `limit`.
    pub fn rest(&mut self, limit: Duration) -> Option<Vec<u8>> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            match self.more(left) {
                Some(0) => return Some(std::mem::take(&mut self.kept)),
                Some(_) => (),
                None => return None,
            }
        }
    }

    fn until(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.kept.windows(mark.len()).position(|seen| seen == mark) {
                return self.take(at + mark.len());
            }
            if self.more(PATIENCE).expect("an answer comes in time") == 0 {
                return std::mem::take(&mut self.kept);
            }
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.kept.split_off(count.min(self.kept.len()));
        std::mem::replace(&mut self.kept, rest)
    }

    /// Reads once: how much came, 0 at the end, `None` when nothing came in time. A reset is an end too.
    fn more(&mut self, limit: Duration) -> Option<usize> {
        let Self { stream, runtime, kept } = self;
        let read: io::Result<usize> =
            runtime.block_on(async { tokio::time::timeout(limit, stream.read_buf(kept)).await }).ok()?;
        Some(read.unwrap_or(0))
    }
}
