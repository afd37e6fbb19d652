//! Every word of the language: where it may stand, how many values it takes, what may stand in its braces.
//! A table, so that a word is added by a line; what the values mean is `resolve`'s concern.

/// Where words stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Context {
    Top,
    Acme,
    Site,
    Path,
    Upstream,
    Health,
    Sticky,
    GatewayLog,
    SiteLog,
    Timeouts,
    GatewayLimits,
    Limits,
    Headers,
    UpstreamTimeouts,
    UpstreamTls,
    Files,
    Auth,
    ForwardAuth,
    Jwt,
    /// Names of the user's own choice, each with its values.
    Free,
}

/// What may stand behind a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectiveKind {
    /// Values only, at least and at most so many.
    Values(usize, usize),
    /// Parts in braces, or one part on the line: `log { level info }` and `log level info` are the same.
    Parts(Context),
    /// Values, then perhaps braces.
    Block {
        /// At least so many values.
        least: usize,
        /// At most so many.
        most: usize,
        /// What stands in the braces.
        inside: Context,
        /// Whether the braces may be left out.
        optional: bool,
    },
}

/// One word of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectiveSpec {
    /// The word.
    pub name: &'static str,
    /// What may stand behind it.
    pub form: DirectiveKind,
    /// Whether it may be written more than once in one place.
    pub repeats: bool,
    /// How it is written, for messages.
    pub usage: &'static str,
}

impl DirectiveSpec {
    const fn new(name: &'static str, form: DirectiveKind, usage: &'static str) -> Self {
        Self { name, form, repeats: false, usage }
    }

    const fn repeated(self) -> Self {
        Self { repeats: true, ..self }
    }
}

const MANY: usize = usize::MAX;

const fn flag(name: &'static str) -> DirectiveSpec {
    DirectiveSpec::new(name, DirectiveKind::Values(0, 0), name)
}

const fn one(name: &'static str, usage: &'static str) -> DirectiveSpec {
    DirectiveSpec::new(name, DirectiveKind::Values(1, 1), usage)
}

const fn values(name: &'static str, least: usize, most: usize, usage: &'static str) -> DirectiveSpec {
    DirectiveSpec::new(name, DirectiveKind::Values(least, most), usage)
}

const fn parts(name: &'static str, inside: Context, usage: &'static str) -> DirectiveSpec {
    DirectiveSpec::new(name, DirectiveKind::Parts(inside), usage)
}

const fn block(
    name: &'static str,
    least: usize,
    most: usize,
    inside: Context,
    optional: bool,
    usage: &'static str,
) -> DirectiveSpec {
    DirectiveSpec::new(name, DirectiveKind::Block { least, most, inside, optional }, usage)
}

const TOP: &[DirectiveSpec] = &[
    one("email", "email ADDRESS"),
    one("state", "state FOLDER"),
    values("bind", 1, MANY, "bind ADDRESS..."),
    one("http-port", "http-port PORT"),
    one("https-port", "https-port PORT"),
    one("public-http-port", "public-http-port PORT"),
    one("public-https-port", "public-https-port PORT"),
    one("admin", "admin unix/PATH, or admin off"),
    values("protocols", 1, 3, "protocols h1 h2 h3"),
    values("tls-versions", 1, 2, "tls-versions 1.2 1.3"),
    values("ciphers", 1, MANY, "ciphers NAME..."),
    values("default-certificate", 1, 2, "default-certificate HOST, or default-certificate CERT KEY"),
    values("trusted-proxies", 1, MANY, "trusted-proxies CIDR... or names such as cloudflare"),
    values("proxy-protocol", 2, MANY, "proxy-protocol from CIDR..."),
    one("drain", "drain 30s"),
    parts("acme", Context::Acme, "acme { ... }, or acme staging"),
    block("upstream", 1, 1, Context::Upstream, false, "upstream NAME { ... }").repeated(),
    parts("log", Context::GatewayLog, "log { ... }, or log level info"),
    parts("timeouts", Context::Timeouts, "timeouts { ... }, or timeouts idle 5min"),
    parts("limit", Context::GatewayLimits, "limit connections 20000"),
    values("ban", 7, MANY, "ban after 20 refusals within 1min for 10min [except CIDR...]"),
    values("import", 1, 1, "import PATH").repeated(),
];

const ACME: &[DirectiveSpec] = &[
    one("directory", "directory URL"),
    flag("staging"),
    one("ca-file", "ca-file PATH"),
    one("profile", "profile NAME"),
    values("eab", 2, 2, "eab KEY-ID HMAC-KEY, or eab file PATH"),
    values("challenges", 1, 4, "challenges http-01 tls-alpn-01 dns-01"),
    block("dns", 1, 1, Context::Free, true, "dns PROVIDER { ... }"),
    one("dns-hook", "dns-hook PATH"),
    values("propagation", 1, 2, "propagation wait 60s, or propagation off"),
    one("preferred-root", "preferred-root NAME"),
    values("resolvers", 1, MANY, "resolvers ADDRESS..."),
    one("key", "key p256"),
    block("fallback", 1, 1, Context::Acme, true, "fallback URL { ... }").repeated(),
    values("on-demand", 2, 2, "on-demand ask URL"),
    one("hook", "hook PATH"),
    one("alert", "alert URL, or alert PATH"),
];

const SITE: &[DirectiveSpec] = &[
    block("tls", 1, 2, Context::Acme, true, "tls CERT KEY, tls internal, or tls acme { ... }"),
    one("canonical", "canonical HOST"),
    one("certificate", "certificate shared"),
    values("client-certificates", 1, 3, "client-certificates CA-FILE [optional] [headers]"),
];

const BLOCK: &[DirectiveSpec] = &[
    values("proxy", 1, MANY, "proxy TARGET..."),
    values("redirect", 1, 2, "redirect TARGET [CODE]"),
    block("files", 1, 1, Context::Files, true, "files FOLDER, or files FOLDER { ... }"),
    values("respond", 1, 2, "respond CODE [TEXT]"),
    parts("headers", Context::Headers, "headers { ... }, or headers set NAME VALUE"),
    parts("request-headers", Context::Headers, "request-headers { ... }, or request-headers set NAME VALUE"),
    values("keep-headers", 1, MANY, "keep-headers NAME..."),
    flag("security-headers"),
    flag("hsts"),
    flag("compress"),
    parts("limit", Context::Limits, "limit body 10MiB"),
    one("buffer-requests", "buffer-requests 1MiB"),
    values("origin", 1, MANY, "origin URL... [none]"),
    parts("auth", Context::Auth, "auth basic { ... }, auth forward URL, or auth jwt { ... }"),
    values("allow", 1, MANY, "allow CIDR..."),
    values("deny", 1, MANY, "deny CIDR..."),
    values("cors", 1, MANY, "cors ORIGIN..."),
    one("rewrite", "rewrite PATH"),
    one("strip-prefix", "strip-prefix PATH"),
    one("ping", "ping 30s"),
    one("idle", "idle 24h, or idle off"),
    one("max-age", "max-age 24h, or max-age off"),
    parts("log", Context::SiteLog, "log access off"),
    values("maintenance", 0, 1, "maintenance [5min]"),
    one("errors", "errors FOLDER"),
];

const UPSTREAM: &[DirectiveSpec] = &[
    values("to", 1, MANY, "to TARGET... [weight N] [backup]").repeated(),
    values("resolve", 1, MANY, "resolve dns [ADDRESS...], resolve srv [ADDRESS...], or resolve every 30s"),
    values("balance", 1, 3, "balance round-robin"),
    block("sticky", 2, 2, Context::Sticky, true, "sticky cookie NAME, or sticky cookie NAME { ... }"),
    block("health", 1, 3, Context::Health, true, "health PATH every 10s, or health PATH every 10s { ... }"),
    values("max-fails", 1, 5, "max-fails 3 within 10s out 10s, or max-fails off"),
    values("circuit-breaker", 1, 7, "circuit-breaker 50% of 20 within 10s out 15s"),
    values("fail-status", 1, MANY, "fail-status 502 503"),
    one("slow-start", "slow-start 30s"),
    values("retry", 1, 3, "retry N [budget 20%]"),
    values("hold", 1, 2, "hold 10s [1000]"),
    one("max-connections", "max-connections 100"),
    parts("timeout", Context::UpstreamTimeouts, "timeout connect 5s"),
    values("protocols", 1, 2, "protocols h1 h2"),
    parts("tls", Context::UpstreamTls, "tls { ... }, or tls ca-file PATH"),
    one("proxy-protocol", "proxy-protocol v2"),
];

const STICKY: &[DirectiveSpec] = &[one("max-age", "max-age 1d"), one("same-site", "same-site lax")];

const HEALTH: &[DirectiveSpec] = &[
    one("timeout", "timeout 5s"),
    values("status", 1, MANY, "status 2xx 3xx"),
    one("rise", "rise 1"),
    one("fall", "fall 2"),
    one("host", "host NAME"),
];

const GATEWAY_LOG: &[DirectiveSpec] = &[
    one("format", "format human"),
    one("access", "access off"),
    one("level", "level info"),
    values("hide", 1, MANY, "hide QUERY-KEY..."),
];

const SITE_LOG: &[DirectiveSpec] = &[one("access", "access off")];

const TIMEOUTS: &[DirectiveSpec] = &[
    one("handshake", "handshake 10s"),
    one("header", "header 60s"),
    one("body", "body 60s"),
    one("send", "send 60s"),
    one("idle", "idle 5min"),
];

const GATEWAY_LIMITS: &[DirectiveSpec] = &[
    one("connections", "connections 20000"),
    one("header-size", "header-size 64KiB"),
    one("header-count", "header-count 200"),
    one("url-size", "url-size 64KiB"),
    one("streams", "streams 128"),
    one("memory", "memory auto, memory 512MiB, or memory off"),
];

const LIMITS: &[DirectiveSpec] = &[
    values("requests", 1, 6, "requests 10/s [burst 20] [by ip]"),
    one("connections", "connections N"),
    one("body", "body 10MiB"),
    one("bandwidth", "bandwidth 1MiB/s"),
    values("message", 1, 2, "message 64KiB [100/min]"),
];

const HEADERS: &[DirectiveSpec] = &[
    values("set", 2, 2, "set NAME VALUE").repeated(),
    values("add", 2, 2, "add NAME VALUE").repeated(),
    one("remove", "remove NAME").repeated(),
];

const UPSTREAM_TIMEOUTS: &[DirectiveSpec] = &[
    one("connect", "connect 5s"),
    one("first-byte", "first-byte 60s, or first-byte off"),
    one("idle", "idle 60s, or idle off"),
    one("keep-alive", "keep-alive 4s"),
];

const UPSTREAM_TLS: &[DirectiveSpec] = &[
    one("ca-file", "ca-file PATH"),
    one("server-name", "server-name NAME"),
    values("client", 2, 2, "client CERT KEY"),
    flag("insecure"),
];

const AUTH: &[DirectiveSpec] = &[
    block("basic", 0, 0, Context::Free, false, "basic { NAME HASH }"),
    block("forward", 1, 1, Context::ForwardAuth, true, "forward URL, or forward URL { ... }"),
    block("jwt", 0, 0, Context::Jwt, false, "jwt { ... }"),
];

const FILES: &[DirectiveSpec] = &[
    values("cache", 1, 2, "cache 30d [immutable]"),
    one("fallback", "fallback /index.html"),
    one("links", "links inside, or links follow"),
    flag("list"),
];

const FORWARD_AUTH: &[DirectiveSpec] = &[values("copy", 1, MANY, "copy HEADER...")];

const JWT: &[DirectiveSpec] = &[
    values("keys", 1, 2, "keys file PATH, or keys URL"),
    values("algorithms", 1, MANY, "algorithms RS256 ES256"),
    values("issuer", 1, MANY, "issuer NAME..."),
    values("audience", 1, MANY, "audience NAME..."),
    values("token", 1, 2, "token bearer, token header NAME, token cookie NAME, or token query NAME").repeated(),
    flag("strip"),
];

/// Whether a word stands alone wherever it stands, so that its value in JSON is `true` or `false`.
pub fn is_flag(name: &str) -> bool {
    const ALL: [&[DirectiveSpec]; 6] = [ACME, BLOCK, UPSTREAM_TLS, SITE, JWT, FILES];
    ALL.iter().any(|specs| specs.iter().any(|spec| spec.name == name && spec.form == DirectiveKind::Values(0, 0)))
}

impl Context {
    /// The words that may stand here.
    pub fn words(self) -> impl Iterator<Item = &'static DirectiveSpec> {
        let (own, shared): (&'static [DirectiveSpec], &'static [DirectiveSpec]) = match self {
            Self::Top => (TOP, &[]),
            Self::Acme => (ACME, &[]),
            Self::Site => (SITE, BLOCK),
            Self::Path => (BLOCK, &[]),
            Self::Upstream => (UPSTREAM, &[]),
            Self::Health => (HEALTH, &[]),
            Self::Sticky => (STICKY, &[]),
            Self::GatewayLog => (GATEWAY_LOG, &[]),
            Self::SiteLog => (SITE_LOG, &[]),
            Self::Timeouts => (TIMEOUTS, &[]),
            Self::GatewayLimits => (GATEWAY_LIMITS, &[]),
            Self::Limits => (LIMITS, &[]),
            Self::Headers => (HEADERS, &[]),
            Self::UpstreamTimeouts => (UPSTREAM_TIMEOUTS, &[]),
            Self::UpstreamTls => (UPSTREAM_TLS, &[]),
            Self::Files => (FILES, &[]),
            Self::Auth => (AUTH, &[]),
            Self::ForwardAuth => (FORWARD_AUTH, &[]),
            Self::Jwt => (JWT, &[]),
            Self::Free => (&[], &[]),
        };
        own.iter().chain(shared)
    }

    /// The word of this name, if it may stand here.
    pub fn find(self, name: &str) -> Option<&'static DirectiveSpec> {
        self.words().find(|spec| spec.name == name)
    }

    /// Where a word may stand that cannot stand here, for a hint.
    pub fn elsewhere(self, name: &str) -> Option<&'static str> {
        const PLACES: [(Context, &str); 4] = [
            (Context::Top, "outside of all braces"),
            (Context::Acme, "in `acme { }`"),
            (Context::Site, "in a site's braces"),
            (Context::Upstream, "in `upstream NAME { }`"),
        ];
        PLACES.iter().find(|(context, _)| *context != self && context.find(name).is_some()).map(|(_, place)| *place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_in_the_text_that_has_every_word() {
        let text = include_str!("json/everything.conf");
        let words: Vec<&str> = text.split_whitespace().collect();
        let contexts = [
            Context::Top,
            Context::Acme,
            Context::Site,
            Context::Upstream,
            Context::Health,
            Context::Sticky,
            Context::GatewayLog,
            Context::SiteLog,
            Context::Timeouts,
            Context::GatewayLimits,
            Context::Limits,
            Context::Headers,
            Context::UpstreamTimeouts,
            Context::UpstreamTls,
            Context::Files,
            Context::Auth,
            Context::ForwardAuth,
            Context::Jwt,
        ];
        // An import is a file's matter, and staging excludes a directory of one's own.
        let missing: Vec<&str> = contexts
            .iter()
            .flat_map(|context| context.words())
            .map(|spec| spec.name)
            .filter(|name| !words.contains(name) && !matches!(*name, "import" | "staging"))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
