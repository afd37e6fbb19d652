//! What a configuration means. Total types: whoever holds a [`Settings`] holds a valid one, with every default filled
//! in. How it was typed is `raw`'s concern, and where a value stood is kept only where a later complaint needs it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::addr::IpNet;
use crate::base::name::{HostName, HostPattern};
use crate::base::secret::Secret;
use crate::base::size::ByteSize;

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
    /// HTTP versions offered to clients.
    pub protocols: Protocols,
    /// Whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long open requests and tunnels may last once the gateway is told to stop.
    pub drain: Duration,
    /// Limits on a client's slowness.
    pub timeouts: Timeouts,
    /// Limits for the gateway as a whole.
    pub limits: GatewayLimits,
    /// The authority for sites that name none.
    pub acme: Arc<Acme>,
    /// Where and how is logged.
    pub log: Log,
    /// Every backend group, named or written in place.
    pub upstreams: Vec<Upstream>,
    /// Sites in the order of the text.
    pub sites: Vec<Site>,
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
}

/// An authority that speaks ACME (RFC 8555), and how we deal with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Acme {
    /// The directory's URL.
    pub directory: String,
    /// Whether `directory` is an authority's staging one, so that people are told.
    pub staging: bool,
    /// PEM file of roots trusted for the directory's own TLS, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Certificate profile (draft-ietf-acme-profiles).
    pub profile: Option<String>,
    /// External account binding (RFC 8555 section 7.3.4).
    pub eab: Option<Eab>,
    /// Challenge types in the order of preference; never empty.
    pub challenges: Vec<ChallengeKind>,
    /// How dns-01 sets its record.
    pub dns: Option<DnsProvider>,
    /// Common name of the root whose chain is preferred.
    pub preferred_root: Option<String>,
    /// Resolvers asked for propagation and preflight; empty means the system's.
    pub resolvers: Vec<SocketAddr>,
    /// Kind of the certificates' keys.
    pub key: KeyKind,
    /// The authorities to try next, in order.
    pub fallback: Vec<Arc<Self>>,
    /// Guard of on-demand issuance; `None` means off.
    pub on_demand_ask: Option<String>,
    /// Program run after each issuance.
    pub hook: Option<PathBuf>,
    /// Told when a certificate is in danger.
    pub alert: Option<Alert>,
}

/// External account binding's key.
#[derive(Clone, Debug, PartialEq)]
pub struct Eab {
    /// The authority's name for the key.
    pub key_id: String,
    /// The MAC key, decoded from base64url.
    pub hmac_key: Secret<Vec<u8>>,
    /// Where both were written.
    pub from: SecretSource,
}

/// Where a secret was written, so that a configuration can be printed without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file of its own.
    File(PathBuf),
    /// In this variable of the environment.
    Variable(String),
    /// In the configuration itself.
    InPlace,
}

/// What is printed in the place of a secret that was written in the configuration itself; refused when it is read.
pub const REDACTED: &str = "(redacted)";

/// A secret text and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// The secret.
    pub value: Secret<String>,
    /// Where it was written.
    pub from: SecretSource,
}

/// How a name is proved (RFC 8555 section 8, RFC 8737).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChallengeKind {
    /// A file on port 80.
    Http01,
    /// A certificate on port 443.
    TlsAlpn01,
    /// A TXT record.
    Dns01,
    /// A standing TXT record.
    DnsPersist01,
}

impl ChallengeKind {
    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
            Self::DnsPersist01 => "dns-persist-01",
        }
    }
}

impl fmt::Display for ChallengeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How dns-01 sets its record.
#[derive(Clone, Debug, PartialEq)]
pub enum DnsProvider {
    /// A program: `PATH set FQDN VALUE`, `PATH unset FQDN VALUE`.
    Hook(PathBuf),
    /// A provider by name with its parameters.
    Named {
        /// The provider's name.
        name: String,
        /// Its parameters in the order of the text; values may be secret.
        parameters: Vec<(String, Credential)>,
    },
}

/// Kind of a certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// ECDSA on P-256: the default, small and fast.
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA of 2048 bits, for clients that know nothing else.
    Rsa2048,
}

/// Where an alarm goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Alert {
    /// POST as JSON.
    Url(String),
    /// A program with the alarm as JSON on its standard input.
    Program(PathBuf),
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

/// Form of a log line.
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

/// Index into [`Settings::upstreams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub usize);

/// A group of backends that answer alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// Its name, or the text of the one target written in place.
    pub name: String,
    /// At least one.
    pub targets: Vec<Target>,
    /// How one is chosen.
    pub balance: Balance,
    /// Sticky cookie's name.
    pub sticky: Option<String>,
    /// Active health check.
    pub health: Option<Health>,
    /// Further tries after the first.
    pub retry: u32,
    /// How long a request waits while no target is up; zero means not at all.
    pub hold: Duration,
    /// Limits on a backend's slowness.
    pub timeouts: UpstreamTimeouts,
    /// TLS towards https, wss and grpcs targets.
    pub tls: UpstreamTls,
    /// PROXY protocol towards the targets.
    pub proxy_protocol: Option<ProxyProtocol>,
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
}

/// Where a backend is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetAddress {
    /// An address and port.
    Socket(SocketAddr),
    /// A name to resolve, and a port.
    Name(HostName, u16),
    /// A Unix socket's path.
    Unix(PathBuf),
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(addr) => write!(f, "{addr}"),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "unix/{}", path.display()),
        }
    }
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

/// How a target is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// In turn, smoothly by weight.
    RoundRobin,
    /// The one with the fewest open exchanges for its weight.
    LeastConnections,
    /// The less busy of two at random.
    Random,
    /// The same client goes to the same target.
    HashIp,
    /// The same value of a header goes to the same target.
    HashHeader(String),
    /// The same value of a cookie goes to the same target.
    HashCookie(String),
}

/// Active health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Asked by GET; 2xx and 3xx are well.
    pub path: String,
    /// Between two checks of one target.
    pub every: Duration,
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

/// One or several hosts answered alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// At least one.
    pub hosts: Vec<SiteHost>,
    /// Where its certificate comes from.
    pub tls: SiteTls,
    /// Whether all hosts share one certificate instead of one each.
    pub shared_certificate: bool,
    /// Longest path first; the first that matches answers. Never empty.
    pub blocks: Vec<Block>,
    /// Where it stood, for banners and `explain`.
    pub at: Place,
}

/// One head of a site.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SiteHost {
    /// What the request's host must be.
    pub pattern: HostPattern,
    /// Plain http asked for by `http://`.
    pub plain: bool,
    /// The port: the site's own, or the gateway's http or https port.
    pub port: u16,
}

/// Where a site's certificate comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum SiteTls {
    /// By ACME.
    Acme(Arc<Acme>),
    /// From the local authority.
    Internal,
    /// From files, watched.
    Files {
        /// PEM chain, leaf first.
        chain: PathBuf,
        /// PEM key.
        key: PathBuf,
    },
    /// None: every host is plain http.
    Off,
}

/// A place in a configuration file, 1-based.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Place {
    /// The file as it was named; empty when there was none.
    pub file: Arc<str>,
    /// Line.
    pub line: u32,
    /// Column in characters.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.is_empty() { f.write_str("the command line") } else { write!(f, "{}:{}", self.file, self.line) }
    }
}

/// What happens below one path of a site.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Which paths.
    pub path: PathPattern,
    /// What is done on the way in and out.
    pub policy: Policy,
    /// What answers.
    pub end: End,
    /// Where it stood.
    pub at: Place,
}

/// Which paths a block answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// Exactly this path.
    Exact(String),
    /// This prefix, which ends in `/`, and everything below: `/ws/*` is `Prefix("/ws/")`, `/*` is `Prefix("/")`.
    Prefix(String),
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// What answers in the end.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Backends.
    Proxy(UpstreamId),
    /// Another URL.
    Redirect {
        /// An absolute URL, or a path; path and query of the request are appended when it is a bare origin.
        target: String,
        /// 301, 302, 303, 307 or 308.
        code: u16,
    },
    /// A fixed text.
    Respond {
        /// 200 to 599.
        code: u16,
        /// The body, sent as text/plain.
        text: String,
    },
    /// Files below a folder.
    Files(PathBuf),
}

/// What is done to an exchange on the way in and out, in the documented order whatever the order of the text.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Policy {
    /// Edits of the request's header on its way to the backend.
    pub request_headers: Vec<HeaderEdit>,
    /// Edits of the answer's header.
    pub headers: Vec<HeaderEdit>,
    /// The four headers of the users' guides, also on errors.
    pub security_headers: bool,
    /// `Strict-Transport-Security` for a year.
    pub hsts: bool,
    /// Compress what gains by it.
    pub compress: bool,
    /// New path.
    pub rewrite: Option<String>,
    /// Prefix cut off the path, without its final slash.
    pub strip_prefix: Option<String>,
    /// Requests for each client and time.
    pub limit_requests: Option<RequestLimit>,
    /// Concurrent exchanges and tunnels for each client.
    pub limit_connections: Option<u32>,
    /// Request body.
    pub limit_body: Option<ByteSize>,
    /// WebSocket messages.
    pub limit_message: Option<MessageLimit>,
    /// Origins that may open a WebSocket; empty means any.
    pub origins: Vec<String>,
    /// Who may pass.
    pub auth: Option<Auth>,
    /// Only these clients; empty means all.
    pub allow: Vec<IpNet>,
    /// Never these clients.
    pub deny: Vec<IpNet>,
    /// Origins for cross-origin requests.
    pub cors: Vec<String>,
    /// Pings of ours on a quiet tunnel.
    pub ping: Option<Duration>,
    /// A tunnel without traffic is ended after this; `None` is never.
    pub idle: Option<Duration>,
    /// Whether this block's requests are logged.
    pub access_log: Option<bool>,
    /// Folder of error pages.
    pub errors: Option<PathBuf>,
}

/// One edit of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum HeaderEdit {
    Set { name: http::HeaderName, value: http::HeaderValue },
    Add { name: http::HeaderName, value: http::HeaderValue },
    Remove { name: http::HeaderName },
}

/// Requests for each client and time: a token bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLimit {
    /// Tokens that come back in `per`.
    pub count: u32,
    /// The time in which they come back.
    pub per: Duration,
    /// How many may come at once beyond the rate.
    pub burst: u32,
    /// Who counts as one client.
    pub by: LimitKey,
}

/// Who counts as one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitKey {
    /// Its address; IPv6 by /64.
    Ip,
    /// A header's value.
    Header(String),
    /// A query parameter's value.
    Query(String),
}

/// WebSocket messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimit {
    /// Largest message, counted as it is sent (compressed, where compression was agreed).
    pub size: ByteSize,
    /// Messages and the time in which they may come.
    pub rate: Option<(u32, Duration)>,
}

/// Who may pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Auth {
    /// Name and password hash of each user.
    Basic(Vec<(String, Credential)>),
    /// Another service decides.
    Forward(String),
    /// A signed token.
    Jwt(Vec<(String, Vec<String>)>),
}
