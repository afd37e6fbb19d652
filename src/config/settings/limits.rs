//! Limits for the gateway as a whole.

use std::fmt;
use std::time::Duration;

use crate::base::addr::IpNet;
use crate::base::size::ByteSize;

/// Limits on a client's slowness. Each starts anew with progress where it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From accept to the end of the TLS handshake.
    pub handshake: Duration,
    /// From a request's first byte (or the connection's start) to the end of its header.
    pub header: Duration,
    /// Between two pieces of a request body.
    pub body: Duration,
    /// Between two pieces of an answer that the client takes off us.
    pub send: Duration,
    /// A kept-alive connection without a request.
    pub idle: Duration,
}

/// Limits for the gateway as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayLimits {
    /// Client connections at a time, over all listeners.
    pub connections: u32,
    /// A request's whole header section, request line included.
    pub header_size: ByteSize,
    /// Header fields of one request.
    pub header_count: u32,
    /// A request target's length; longer gets 414.
    pub url_size: ByteSize,
    /// Concurrent streams of one HTTP/2 connection.
    pub streams: u32,
    /// Memory from which on no new connection is taken.
    pub memory: MemoryLimit,
}

/// Memory from which on no new connection is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// Fifteen sixteenths of what the control group allows, and of what the machine has.
    Auto,
    /// This much of our own.
    Bytes(ByteSize),
    /// However much.
    Off,
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Bytes(size) => size.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

/// When a client is shut out, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// So many refusals; at least 2.
    pub refusals: u32,
    /// In this time.
    pub within: Duration,
    /// How long it stays out.
    pub span: Duration,
    /// Who is never shut out.
    pub except: Vec<IpNet>,
}
