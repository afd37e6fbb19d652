//! Every default in one place, each with its reason. `config/doorward.conf` documents them; a test holds the two together.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::env_values::EnvValues;
use super::environment::Environment;
use super::settings::{
    Acme, At, Balance, ChallengeKind, CircuitBreaker, GatewayLimits, Health, KeyKind, Level, Log, LogFormat, MaxFails,
    MemoryLimit, Propagation, Protocols, PublicPorts, Settings, StatusRange, Timeouts, Tls, TlsVersions, Upstream,
    UpstreamProtocols, UpstreamTimeouts, UpstreamTls,
};
use crate::base::size::ByteSize;

/// Let's Encrypt: free, without an account made by hand, and asked for by nearly everybody.
pub const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Its staging directory: wide limits, certificates nobody trusts.
pub const STAGING_DIRECTORY: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// Where HTTP-01 is asked (RFC 8555 section 8.3) and browsers go first.
pub const HTTP_PORT: u16 = 80;
/// Where TLS-ALPN-01 is asked (RFC 8737 section 3) and `https:` and `wss:` mean.
pub const HTTPS_PORT: u16 = 443;

/// The state folder of a machine-wide gateway: what systemd's `StateDirectory=doorward` makes.
pub const STATE: &str = "/var/lib/doorward";
/// The state folder of a trial in some folder, taken when it is there.
const STATE_HERE: &str = "state";
/// The operator's socket, in the runtime folder or beside the state.
pub const ADMIN: &str = "admin.sock";

/// Long enough for a request to end, short enough for a deploy: supervisors lose patience at 60 to 90 s, and an
/// eternal wait lets one tunnel block every restart.
const DRAIN: Duration = Duration::from_secs(30);

const TIMEOUTS: Timeouts = Timeouts {
    // A handshake takes two round trips; 10 s leaves room for three lost packets on a mobile network.
    handshake: Duration::from_secs(10),
    // A header comes in one packet or two. Slow-header attacks hold a connection this long, and no longer.
    header: Duration::from_secs(60),
    // Starts anew with each piece: a slow upload lives, a stopped one ends.
    body: Duration::from_secs(60),
    // Starts anew with each piece the client takes; a sleeping phone wakes up well within it.
    send: Duration::from_secs(60),
    // Browsers keep connections about this long; a shorter limit costs a handshake for each page read slowly.
    idle: Duration::from_secs(300),
};

const LIMITS: GatewayLimits = GatewayLimits {
    // At some 12 KiB for an idle connection this is 240 MB: what a small machine can bear, and far above what one needs.
    connections: 20_000,
    // Tokens in cookies and URLs reach 32 KiB; twice that passes without a word, and a connection cannot hold more.
    header_size: ByteSize(64 << 10),
    // Browsers send 20 to 40, programs with a field for each item up to 150. Thousands are an attack on whatever compares names.
    header_count: 200,
    // As the header: the longest request line that fits is allowed to be all of it.
    url_size: ByteSize(64 << 10),
    // A page loads about 100 files at once; RFC 9113 section 6.5.2 asks for no less. Each costs memory before it is authorised.
    streams: 128,
    // What would end the process is known to the system; to close new connections before that keeps the open ones.
    memory: MemoryLimit::Auto,
};

const UPSTREAM_TIMEOUTS: UpstreamTimeouts = UpstreamTimeouts {
    // The system repeats a lost SYN after 1 s and after 3 s; both get their chance, and nobody looks at a blank page for long.
    connect: Duration::from_secs(5),
    // Answers of models and reports take minutes. The usual 60 s is the most hated default of proxies; who wants one writes it.
    first_byte: None,
    // Event streams are silent between events; a client that is gone is noticed without a clock.
    idle: None,
    // Uvicorn and Node close an unused connection after 5 s. Closing first means that our next request never meets their close.
    keep_alive: Duration::from_secs(4),
};

/// One more try, on another target where there is one, and only for what is safe to send twice: a backend that has just
/// been restarted costs no 502.
const RETRY: u32 = 1;

/// Enough for one target of five that is gone, and too little to bring down those that are left.
pub const RETRY_BUDGET: u32 = 20;

/// One failure may be a coincidence, three within ten seconds are a dead target; and so long is soon enough to look whether
/// it has come back, at the price of one failed attempt.
pub const MAX_FAILS: MaxFails = MaxFails { count: 3, within: Duration::from_secs(10), out: Duration::from_secs(10) };

/// A share of a handful of requests says nothing: twenty are little for a site that needs a breaker. Fifteen seconds let a
/// backend work off what it has, and one request is the price of looking whether it has.
pub const CIRCUIT_BREAKER: CircuitBreaker =
    CircuitBreaker { percent: 50, least: 20, within: Duration::from_secs(10), out: Duration::from_secs(15) };

/// Who asks more often has a name server for a bottleneck.
pub const RESOLVE_EVERY_LEAST: Duration = Duration::from_secs(1);

/// A check of this path, where its braces say nothing else.
pub fn health(path: String, every: Duration) -> Health {
    Health {
        path,
        every,
        // An answer that takes longer does not mean `well`; the next check must not be held up.
        timeout: every.min(Duration::from_secs(5)),
        status: vec![StatusRange::class(2), StatusRange::class(3)],
        // One good answer is proof enough; one bad one may be a packet that was lost.
        rise: 1,
        fall: 2,
        host: None,
    }
}

/// Requests that wait for one group at a time: at some 12 KiB each this is 12 MB.
pub const MAX_HELD: u32 = 1000;

/// Every ten seconds: a dead target is out within twenty, and a check costs nothing at that pace.
pub const HEALTH_EVERY: Duration = Duration::from_secs(10);

/// The gateway without any site.
pub fn settings(surroundings: &Environment) -> Settings {
    let state = state(surroundings);
    Settings {
        // Authorities ask for no contact any more; Let's Encrypt ended its expiry mails in 2025.
        email: None,
        admin: Some(admin(surroundings, &state)),
        state,
        // Every address of both families.
        bind: vec![IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
        http_port: HTTP_PORT,
        https_port: HTTPS_PORT,
        // Nothing in between forwards one port to another.
        public_ports: PublicPorts { plain: HTTP_PORT, tls: HTTPS_PORT },
        // All of them: a client that cannot speak the newest loses nothing, and where UDP is blocked browsers stay with TCP.
        protocols: Protocols { h1: true, h2: true, h3: true },
        // Whoever cannot speak 1.2 has not been updated since 2014. Strangers get an alert: a certificate would be the wrong one.
        tls: Tls { versions: TlsVersions { tls12: true, tls13: true }, ciphers: Vec::new(), default_certificate: None },
        // Nobody: an address in a header is believed only from whom the operator names.
        trusted_proxies: Vec::new(),
        // Nobody, as above.
        proxy_protocol_from: Vec::new(),
        drain: DRAIN,
        timeouts: TIMEOUTS,
        limits: LIMITS,
        // Nobody: behind one address of an office or a phone network stand many.
        ban: None,
        acme: Arc::new(acme()),
        log: log(),
        upstreams: Vec::new(),
        sites: Vec::new(),
        sources: Vec::new(),
        env_values: EnvValues::default(),
    }
}

fn state(surroundings: &Environment) -> PathBuf {
    if surroundings.has_state_folder { surroundings.folder.join(STATE_HERE) } else { STATE.into() }
}

/// The operator's socket when the configuration names none.
pub fn admin(surroundings: &Environment, state: &std::path::Path) -> PathBuf {
    surroundings.runtime_folder.as_deref().unwrap_or(state).join(ADMIN)
}

/// The authority when the configuration names none.
pub fn acme() -> Acme {
    Acme {
        directory: DIRECTORY.into(),
        staging: false,
        at: At::default(),
        ca_file: None,
        // The authority's own default profile.
        profile: None,
        eab: None,
        // Both need no account elsewhere. HTTP-01 first: it passes through CDNs and other people's port-443 boxes.
        challenges: vec![ChallengeKind::Http01, ChallengeKind::TlsAlpn01],
        dns: None,
        propagation: Propagation::Check,
        preferred_root: None,
        resolvers: Vec::new(),
        // A signature costs a tenth of RSA's, and every client since 2012 knows the curve.
        key: KeyKind::P256,
        rehearsal: Some(STAGING_DIRECTORY.into()),
        fallback: Vec::new(),
        on_demand_ask: None,
        hook: None,
        alert: None,
    }
}

/// How is logged when the configuration does not say.
pub const fn log() -> Log {
    // Requests are logged: what was not logged cannot be looked up afterwards, and secrets in queries are hidden by pattern.
    Log { format: LogFormat::Auto, access: true, level: Level::Info, hide: Vec::new() }
}

/// A backend group of this name before its first target.
pub fn upstream(name: String) -> Upstream {
    Upstream {
        name,
        targets: Vec::new(),
        // A name is looked up for each connection: `localhost` has two addresses and listens at one.
        resolve: None,
        // In turn: the only choice whose outcome a person can predict.
        balance: Balance::RoundRobin,
        sticky: None,
        health: None,
        max_fails: Some(MAX_FAILS),
        // It refuses requests that a backend might still have answered: who wants that says so.
        circuit_breaker: None,
        fail_status: Vec::new(),
        slow_start: Duration::ZERO,
        retry: RETRY,
        retry_budget: RETRY_BUDGET,
        hold: None,
        max_connections: None,
        timeouts: UPSTREAM_TIMEOUTS,
        // A WebSocket can come at any path, and takes HTTP/1.1 everywhere.
        protocols: UpstreamProtocols::Http1,
        tls: UpstreamTls::default(),
        proxy_protocol: None,
    }
}

/// `maintenance` without a time: soon enough for who waits, seldom enough for a site that is down.
pub const MAINTENANCE: Duration = Duration::from_secs(300);

/// A redirect without a code: permanent, and the method stays (RFC 9110 section 15.4.9).
pub const REDIRECT_CODE: u16 = 308;
