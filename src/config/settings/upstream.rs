//! Backends: where they are, how one is chosen, how long they may take.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::At;
use super::health::{CircuitBreaker, Health, Hold, MaxFails};
use super::status::StatusRange;
use crate::base::name::HostName;

/// Index into [`Settings::upstreams`](super::Settings::upstreams).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub usize);

/// A group of backends that answer alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// Its name, or the text of the one target written in place.
    pub name: String,
    /// At least one.
    pub targets: Vec<Target>,
    /// How the names among them are looked up beforehand, so that each address is a target of its own; `None` means that a name
    /// is looked up for each connection and is one target.
    pub resolve: Option<Resolve>,
    /// How one is chosen.
    pub balance: Balance,
    /// The cookie by which a client comes to the same target again.
    pub sticky: Option<Sticky>,
    /// Active health check.
    pub health: Option<Health>,
    /// When a target whose requests fail is left out; `None` means never.
    pub max_fails: Option<MaxFails>,
    /// When nothing is sent to a target for a while, even if there is no other one; `None` means never.
    pub circuit_breaker: Option<CircuitBreaker>,
    /// Answers that count as failures of the target, as a refused connection does.
    pub fail_status: Vec<StatusRange>,
    /// How long the share of a target that came back grows; zero means that it has all of it at once.
    pub slow_start: Duration,
    /// Further tries after the first.
    pub retry: u32,
    /// The share of the requests that is tried again at most, in percent; from 1 to 100.
    pub retry_budget: u32,
    /// How requests wait while no target can take them; `None` means not at all.
    pub hold: Option<Hold>,
    /// Most requests and tunnels open on one target; `None` is no limit.
    pub max_connections: Option<u32>,
    /// Limits on a backend's slowness.
    pub timeouts: UpstreamTimeouts,
    /// Versions of HTTP that an https target may choose of.
    pub protocols: UpstreamProtocols,
    /// TLS towards https and wss targets.
    pub tls: UpstreamTls,
    /// PROXY protocol towards the targets.
    pub proxy_protocol: Option<ProxyProtocol>,
}

impl Upstream {
    /// Whether it has a name of its own: a name has neither of these, and every target has one.
    pub fn is_named(&self) -> bool {
        !self.name.contains([':', '/'])
    }
}

/// One backend.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Where it is.
    pub address: TargetAddress,
    /// How it is spoken to.
    pub scheme: TargetScheme,
    /// Its share among its like; at least 1.
    pub weight: u32,
    /// Whether it is only for when no other target is up.
    pub backup: bool,
    /// Where it was written.
    pub at: At,
}

impl Target {
    /// The word of the configuration that reads back to it; weight and rank are written elsewhere.
    pub fn word(&self) -> String {
        match &self.address {
            TargetAddress::Loopback(port) => port.to_string(),
            TargetAddress::Socket(_) | TargetAddress::Name(..) | TargetAddress::Unix(_) => self.to_string(),
        }
    }
}

/// As it is named in the log, in metrics and in reports.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            TargetScheme::Http => "",
            TargetScheme::Https => "https://",
            TargetScheme::H2c => "h2c://",
        };
        write!(f, "{scheme}{}", self.address)
    }
}

/// Where a backend is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetAddress {
    /// An address and port.
    Socket(SocketAddr),
    /// A port of this machine, written without a host: 127.0.0.1, else ::1.
    Loopback(u16),
    /// A name to resolve, and a port.
    Name(HostName, u16),
    /// A Unix socket's path.
    Unix(PathBuf),
}

impl TargetAddress {
    /// The port, where the address stands for this machine and not for one of its addresses: a bare port, and `localhost`,
    /// which is always loopback (RFC 6761 section 6.3).
    pub fn loopback_port(&self) -> Option<u16> {
        match self {
            Self::Loopback(port) => Some(*port),
            Self::Name(name, port) if name.as_str() == "localhost" => Some(*port),
            Self::Socket(_) | Self::Name(..) | Self::Unix(_) => None,
        }
    }
}

impl TargetAddress {
    /// Whether both lead to the same program: they are equal, or one is a port of this machine and the other one of its two
    /// loopback addresses. A configuration that writes one for the other has not given the backend up.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let leads_to = |port: &Self, socket: &Self| match (port.loopback_port(), socket) {
            (Some(port), Self::Socket(addr)) => addr.port() == port && addr.ip().is_loopback(),
            (Some(port), other) => other.loopback_port() == Some(port),
            (None, _) => false,
        };
        self == other || leads_to(self, other) || leads_to(other, self)
    }
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(addr) => write!(f, "{addr}"),
            // The address that is tried first. Metrics, cookies and the log have always named a bare port so.
            Self::Loopback(port) => write!(f, "{}:{port}", Ipv4Addr::LOCALHOST),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "unix/{}", path.display()),
        }
    }
}

/// How a name is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// As any program of this machine does, again after so long.
    Every(Duration),
    /// By DNS, again when its answer says so; at these name servers, or at the system's where there are none.
    Dns(Vec<SocketAddr>),
    /// The same by SRV records, which have ports, weights and ranks as well (RFC 2782).
    Srv(Vec<SocketAddr>),
}

/// How a backend is spoken to. `ws://` and `wss://` targets mean `Http` and `Https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetScheme {
    /// HTTP/1.1 in the clear.
    Http,
    /// HTTP/1.1 over TLS, verified.
    Https,
    /// HTTP/2 in the clear with prior knowledge.
    H2c,
}

/// Versions of HTTP offered in the TLS handshake with a backend (ALPN).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamProtocols {
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone.
    Http2,
    /// HTTP/2 where the backend knows it, and HTTP/1.1 for what asks for an upgrade.
    Both,
}

/// How a target is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// In turn, smoothly by weight.
    RoundRobin,
    /// The one with the fewest open exchanges for its weight.
    LeastConnections,
    /// The less busy of two at random.
    Random,
    /// Requests that are alike in something go to the same target.
    Hash(HashOf),
}

/// A cookie that names a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// Its name.
    pub cookie: String,
    /// How long a browser keeps it; `None` is until it is closed.
    pub max_age: Option<Duration>,
    /// For which pages' requests a browser sends it.
    pub same_site: SameSite,
}

/// The attribute `SameSite` of a cookie (RFC 6265bis section 5.4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Those of the site itself, and links to it.
    Lax,
    /// Those of the site itself.
    Strict,
    /// All; over https only.
    None,
}

impl SameSite {
    /// Its name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "lax",
            Self::Strict => "strict",
            Self::None => "none",
        }
    }
}

/// In what requests are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashOf {
    /// The client.
    Ip,
    /// The value of a header.
    Header(String),
    /// The value of a cookie.
    Cookie(String),
    /// Path and query.
    Uri,
}

/// Limits on a backend's slowness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// Until the connection stands, TLS included.
    pub connect: Duration,
    /// From the request's last byte to the answer's first; `None` is no limit.
    pub first_byte: Option<Duration>,
    /// Between two pieces of an answer's body; `None` is no limit. Tunnels have their own.
    pub idle: Option<Duration>,
    /// How long an unused connection is kept. Below Uvicorn's and Node's 5 s, or their close races our request.
    pub keep_alive: Duration,
}

/// TLS towards a backend.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct UpstreamTls {
    /// Roots instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Name sent and verified instead of the target's.
    pub server_name: Option<HostName>,
    /// Client certificate and key files.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Verification switched off, in so many words.
    pub insecure: bool,
}

/// Version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ProxyProtocol {
    V1,
    V2,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_this_machine_is_the_same_place_at_its_loopback_addresses() {
        let socket = |text: &str| TargetAddress::Socket(text.parse().unwrap());
        let localhost = TargetAddress::Name(HostName::parse("localhost").unwrap(), 80);
        let port = TargetAddress::Loopback(80);
        for same in [socket("127.0.0.1:80"), socket("[::1]:80"), localhost, TargetAddress::Loopback(80)] {
            assert!(same.is_same_place(&port) && port.is_same_place(&same), "{same:?}");
        }
        for other in [socket("127.0.0.1:81"), socket("192.0.2.1:80"), TargetAddress::Loopback(81)] {
            assert!(!other.is_same_place(&port) && !port.is_same_place(&other), "{other:?}");
        }
        assert!(!socket("127.0.0.1:80").is_same_place(&socket("[::1]:80")));
    }
}
