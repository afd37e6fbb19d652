//! One record for each exchange, and its forms on the page. Values of query keys that look secret are hidden, also in
//! Referer; Cookie and Authorization never get here.

use std::net::IpAddr;
use std::time::Duration;

pub mod line;
pub mod redact;
pub mod writer;

pub use line::Form;
pub use redact::Redactor;
pub use writer::{AccessLog, AccessWriter, Rules};

/// The facts of one finished exchange. Everything is borrowed: a record lives for the length of one call.
#[derive(Debug)]
pub struct AccessRecord<'a> {
    /// Id of the exchange, as sent to the backend.
    pub id: &'a str,
    /// The client, by the trust rule.
    pub client: IpAddr,
    /// `GET`, `CONNECT`.
    pub method: &'a str,
    /// `https`, `http`, `wss`, `ws`.
    pub scheme: &'a str,
    /// The request's host, normalised; empty when it had none.
    pub host: &'a str,
    /// Path and query as received.
    pub target: &'a str,
    /// `HTTP/1.1`, `HTTP/2.0`, `HTTP/3.0`.
    pub version: &'a str,
    /// Status sent, 499 when the client left before one was.
    pub status: u16,
    /// Bytes of the request's body, or from client to backend in a tunnel.
    pub bytes_in: u64,
    /// Bytes of the answer's body, or from backend to client in a tunnel.
    pub bytes_out: u64,
    /// From the request's header to the last byte.
    pub duration: Duration,
    /// The backend asked, `None` when none was.
    pub upstream: Option<&'a str>,
    /// Time to connect, `None` on a reused connection.
    pub connect: Option<Duration>,
    /// From the request's start to the backend's answer.
    pub first_byte: Option<Duration>,
    /// Whether the gateway (`gateway`) or the backend (`backend`) chose the status.
    pub by: &'static str,
    /// Why it ended badly: a stable code, such as `connect-refused` or `client-left`; empty when it did not.
    pub reason: &'a str,
    /// Close code of a WebSocket, where one was seen.
    pub close_code: Option<u16>,
    /// The request's Referer.
    pub referer: Option<&'a str>,
    /// The request's User-Agent.
    pub user_agent: Option<&'a str>,
}
