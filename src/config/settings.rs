//! What a configuration means. Total types: whoever holds a [`Settings`] holds a valid one, with every default filled
//! in. How it was typed is `raw`'s concern, and where a value stood is kept only where a later complaint needs it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::env_values::EnvValues;
use crate::base::addr::IpNet;
use crate::base::size::ByteSize;

mod acme;
mod dns;
mod health;
mod place;
mod policy;
mod ports;
mod secret;
mod site;
mod status;
mod tls;
mod upstream;

pub use acme::{Acme, Alert, ChallengeKind, Eab, KeyKind, Propagation};
pub use dns::{DnsProvider, Rfc2136, TsigAlgorithm, TsigKey};
pub use health::{CircuitBreaker, Health, Hold, MaxFails};
pub use place::{At, Place};
pub use policy::{
    Auth, ForwardAuth, HeaderEdit, Jwt, JwtKeys, LimitKey, MessageLimit, Origins, Policy, RequestLimit, TokenPlace,
};
pub use ports::{PortMap, PublicPorts};
pub use secret::{Credential, REDACTED, SecretSource};
pub use site::{Block, Cache, End, Files, PathPattern, Site, SiteHost, SiteRefusals, SiteTls};
pub use status::{StatusRange, in_words};
pub use tls::{Cipher, ClientCertificates, DefaultCertificate, Tls, TlsVersions};
pub use upstream::{
    Balance, HashOf, ProxyProtocol, Resolve, SameSite, Sticky, Target, TargetAddress, TargetScheme, Upstream, UpstreamId,
    UpstreamProtocols, UpstreamTimeouts, UpstreamTls,
};

/// The whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Contact for the authority's account; optional everywhere.
    pub email: Option<String>,
    /// The folder that survives restarts.
    pub state: PathBuf,
    /// The operator's Unix socket; `None` when switched off.
    pub admin: Option<PathBuf>,
    /// Addresses to listen on. `::` alone takes IPv4 as well.
    pub bind: Vec<IpAddr>,
    /// Where challenges are answered and plain requests are sent on to https.
    pub http_port: u16,
    /// Where https and wss are served.
    pub https_port: u16,
    /// Where clients reach these two ports.
    pub public_ports: PublicPorts,
    /// HTTP versions offered to clients.
    pub protocols: Protocols,
    /// TLS with clients.
    pub tls: Tls,
    /// Whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Who must say by the PROXY protocol whose connection it is.
    pub proxy_protocol_from: Vec<IpNet>,
    /// How long open requests and tunnels may last once the gateway is told to stop.
    pub drain: Duration,
    /// Limits on a client's slowness.
    pub timeouts: Timeouts,
    /// Limits for the gateway as a whole.
    pub limits: GatewayLimits,
    /// Who is shut out for a while; nobody where there is none.
    pub ban: Option<Ban>,
    /// The authority for sites that name none.
    pub acme: Arc<Acme>,
    /// Where and how is logged.
    pub log: Log,
    /// Every backend group, named or written in place.
    pub upstreams: Vec<Upstream>,
    /// Sites in the order of the text.
    pub sites: Vec<Site>,
    /// Files that all this was read from: the configuration, what it imports, and files with secrets.
    pub sources: Vec<PathBuf>,
    /// What of it came from the environment.
    pub env_values: EnvValues,
}

impl Settings {
    /// Which public port leads to which port that is listened on.
    pub const fn port_map(&self) -> PortMap {
        PortMap::new(PublicPorts { plain: self.http_port, tls: self.https_port }, self.public_ports)
    }
}

impl Settings {
    /// Files that hold secrets or say where they are, and are never served by `files`: sources and private keys. The state
    /// folder is another.
    pub fn private_files(&self) -> BTreeSet<&Path> {
        let sites = self.sites.iter().filter_map(|site| match &site.tls {
            SiteTls::Files { key, .. } => Some(key),
            SiteTls::Acme(_) | SiteTls::Internal | SiteTls::Off => None,
        });
        let default = self.tls.default_certificate.iter().filter_map(|default| match default {
            DefaultCertificate::Files { key, .. } => Some(key),
            DefaultCertificate::Host(_) => None,
        });
        let upstreams = self.upstreams.iter().filter_map(|group| group.tls.client.as_ref().map(|(_, key)| key));
        self.sources.iter().chain(sites).chain(default).chain(upstreams).map(PathBuf::as_path).collect()
    }
}

/// HTTP versions offered to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    /// HTTP/1.1, RFC 9112.
    pub h1: bool,
    /// HTTP/2, RFC 9113.
    pub h2: bool,
    /// HTTP/3, RFC 9114.
    pub h3: bool,
}

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

/// Where and how is logged.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Human lines or JSON; `Auto` is human on a terminal.
    pub format: LogFormat,
    /// Whether requests are logged.
    pub access: bool,
    /// Least level of other events: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Level,
    /// Query keys hidden besides the built-in patterns; `*` matches any run of characters.
    pub hide: Vec<String>,
}

/// DirectiveKind of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// One readable line.
    Human,
    /// One JSON object a line.
    Json,
}

/// Least level of events that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}
