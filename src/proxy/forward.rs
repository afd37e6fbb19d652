//! Header rules of a gateway, both ways (RFC 9110 section 7.6): what belongs to one hop only is taken out, what a backend
//! must know of the client is put in, and nothing a stranger wrote about itself is believed. Pure.
//!
//! One walk over the names finds what there is to do, so that a request without oddities costs one walk.

use std::net::IpAddr;

use http::Version;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

pub use told::Told;

mod told;

/// Names of the de-facto forwarding fields.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The scheme the client used.
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The Host the client used.
pub const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// The port the client used.
pub const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
/// The client's address alone.
pub const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// The exchange's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const ALT_SVC: HeaderName = HeaderName::from_static("alt-svc");

/// Fields we add to a request; most are the same for every request of a connection.
const ADDED: usize = 8;

/// `Via` of what came by each version (RFC 9110 section 7.6.3). Made once, because to make a value reads it.
static VIA_10: HeaderValue = HeaderValue::from_static("1.0 doorward");
static VIA_11: HeaderValue = HeaderValue::from_static("1.1 doorward");
static VIA_2: HeaderValue = HeaderValue::from_static("2.0 doorward");
static VIA_3: HeaderValue = HeaderValue::from_static("3.0 doorward");

/// What the backend is told of the client.
#[derive(Clone, Debug)]
pub struct Lines {
    /// The socket's peer, for `X-Forwarded-For`.
    pub peer: HeaderValue,
    /// The client by the trust rule, for `X-Real-IP`.
    pub client: HeaderValue,
    /// `https` or `http`.
    pub proto: HeaderValue,
    /// The port the client came to.
    pub port: HeaderValue,
    /// The authority as the client wrote it.
    pub host: HeaderValue,
    /// One element of `Forwarded` (RFC 7239).
    pub forwarded: HeaderValue,
    /// The exchange's id.
    pub id: HeaderValue,
    /// Whether what the peer says of the hops before it is believed.
    pub trusted: bool,
}

/// One element of `Forwarded` (RFC 7239 section 4): whoever came, to whom and how.
pub fn element(client: IpAddr, authority: &[u8], scheme: &str) -> HeaderValue {
    let client = match client {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("\"[{ip}]\""),
    };
    // A port's colon and an address's brackets are no token characters (RFC 7239 section 6).
    let host = String::from_utf8_lossy(authority);
    let host = if host.contains([':', '[']) { format!("\"{host}\"") } else { host.into_owned() };
    HeaderValue::try_from(format!("for={client};host={host};proto={scheme}"))
        .expect("an authority that was read holds no control characters")
}

/// How the client framed its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By its length, by HTTP/2 or 3 itself, or there is none.
    AsSent,
    /// By chunks, whatever length the header says as well.
    Chunked,
}

/// What of the hop's own fields lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// Nothing.
    Ends,
    /// `Connection` and `Upgrade`, as they were sent.
    Upgrades,
}

/// Makes a client's header the one the backend gets. `version` is the client's.
pub fn towards_backend(headers: &mut HeaderMap, lines: Lines, version: Version, framing: Framing, hop: Hop) {
    let found = clean(headers, (&lines.host, lines.trusted), version, framing, hop);
    add(headers, &found, lines, version);
}

/// The first half of [`towards_backend`]: what belongs to the client's hop is out, and so is what a stranger wrote about
/// itself, where it is not overwritten by `add`. `host` is the authority for a header without one.
pub(super) fn clean(
    headers: &mut HeaderMap,
    (host, trusted): (&HeaderValue, bool),
    version: Version,
    framing: Framing,
    hop: Hop,
) -> Found {
    let found = Found::walk(headers, trusted);
    found.take_out(headers, hop);
    if framing == Framing::Chunked {
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if found.has(COOKIE) && version > Version::HTTP_11 {
        join_cookies(headers);
    }
    if !found.has(HOST) {
        headers.insert(header::HOST, host.clone());
    }
    found
}

/// The second half: the facts of the client are in.
pub(super) fn add(headers: &mut HeaderMap, found: &Found, lines: Lines, version: Version) {
    headers.reserve(ADDED);
    if found.has(VIA) {
        headers.append(header::VIA, via(version).clone());
    } else {
        headers.insert(header::VIA, via(version).clone());
    }
    if found.has(FORWARDING) && lines.trusted {
        add_hop(headers, lines);
    } else {
        tell(headers, lines);
    }
}

/// The peer is a stranger or says nothing of hops before it: whatever it wrote is gone, these are the facts.
fn tell(headers: &mut HeaderMap, lines: Lines) {
    headers.insert(FORWARDED_FOR, lines.peer);
    headers.insert(FORWARDED_PROTO, lines.proto);
    headers.insert(FORWARDED_HOST, lines.host);
    headers.insert(FORWARDED_PORT, lines.port);
    headers.insert(REAL_IP, lines.client);
    headers.insert(header::FORWARDED, lines.forwarded);
    headers.insert(REQUEST_ID, lines.id);
}

/// The peer is trusted and told of hops before it: they stay, and it is added as one more.
fn add_hop(headers: &mut HeaderMap, lines: Lines) {
    extend_list(headers, FORWARDED_FOR, &lines.peer);
    extend_list(headers, header::FORWARDED, &lines.forwarded);
    headers.entry(FORWARDED_PROTO).or_insert(lines.proto);
    headers.entry(FORWARDED_HOST).or_insert(lines.host);
    headers.entry(FORWARDED_PORT).or_insert(lines.port);
    headers.insert(REAL_IP, lines.client);
    headers.insert(REQUEST_ID, lines.id);
}

/// One field with one list, because some backends read only the first field of a name.
fn extend_list(headers: &mut HeaderMap, name: HeaderName, element: &HeaderValue) {
    headers.append(&name, element.clone());
    join(headers, name, b", ");
}

/// HTTP/2 clients send a cookie in pieces, which HTTP/1.1 must see as one (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    join(headers, header::COOKIE, b"; ");
}

fn join(headers: &mut HeaderMap, name: HeaderName, by: &[u8]) {
    let pieces: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
    if pieces.len() > 1 {
        let joined = HeaderValue::from_bytes(&pieces.join(by)).expect("header values joined by text are one");
        headers.insert(name, joined);
    }
}

/// Makes a backend's header the one the client gets. `version` is the backend's.
pub fn towards_client(headers: &mut HeaderMap, version: Version, hop: Hop) {
    let found = Found::walk_answer(headers);
    found.take_out(headers, hop);
    let via = via(version).clone();
    if found.has(VIA) {
        headers.append(header::VIA, via);
    } else {
        headers.insert(header::VIA, via);
    }
}

fn via(version: Version) -> &'static HeaderValue {
    match version {
        Version::HTTP_2 => &VIA_2,
        Version::HTTP_3 => &VIA_3,
        Version::HTTP_10 => &VIA_10,
        _ => &VIA_11,
    }
}

/// What a walk over the names found.
pub(super) struct Found {
    bits: u32,
    /// Names that go without having a bit of their own: other `x-forwarded-*` and their like, and those that could pass for another.
    others: Vec<HeaderName>,
}

const CONNECTION: u32 = 1;
const UPGRADE: u32 = 1 << 1;
const TE: u32 = 1 << 2;
const CODING: u32 = 1 << 3;
const RARE_HOP: u32 = 1 << 4;
const VIA: u32 = 1 << 5;
const FORWARDING: u32 = 1 << 6;
const ALTERNATIVE: u32 = 1 << 7;
const COOKIE: u32 = 1 << 8;
const HOST: u32 = 1 << 9;
const ID: u32 = 1 << 10;
const SOCKET_KEY: u32 = 1 << 11;

impl Found {
    fn walk(headers: &HeaderMap, trusted: bool) -> Self {
        let mut found = Self { bits: 0, others: Vec::new() };
        for name in headers.keys() {
            let text = name.as_str();
            let bit = match text {
                "host" => HOST,
                "cookie" => COOKIE,
                "x-request-id" => ID,
                "sec-websocket-key" => SOCKET_KEY,
                "forwarded" | "x-real-ip" | "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" | "x-forwarded-port" => {
                    FORWARDING
                }
                other => hop_bit(other),
            };
            found.bits |= bit;
            if bit == 0 && ((!trusted && is_a_proxys(text)) || is_ambiguous(text)) {
                found.others.push(name.clone());
            }
        }
        found
    }

    fn walk_answer(headers: &HeaderMap) -> Self {
        let bits = headers.keys().fold(0, |bits, name| bits | hop_bit(name.as_str()));
        Self { bits, others: Vec::new() }
    }

    /// Whether the header says nothing of what `add` adds, so that [`Told`] may stand behind it.
    pub(super) const fn is_ordinary(&self) -> bool {
        self.bits & (VIA | FORWARDING | ID) == 0
    }

    /// Whether there is a WebSocket's key, and whether there is `Upgrade` as well.
    pub(super) const fn socket_key(&self) -> (bool, bool) {
        (self.has(SOCKET_KEY), self.has(UPGRADE))
    }

    const fn has(&self, bit: u32) -> bool {
        self.bits & bit != 0
    }

    fn take_out(&self, headers: &mut HeaderMap, hop: Hop) {
        if self.has(CONNECTION) {
            take_out_listed(headers, hop);
        }
        if self.has(UPGRADE) && hop == Hop::Ends {
            headers.remove(header::UPGRADE);
        }
        if self.has(TE) {
            keep_only_trailers(headers);
        }
        if self.has(CODING) {
            headers.remove(header::TRANSFER_ENCODING);
        }
        if self.has(ALTERNATIVE) {
            headers.remove(ALT_SVC);
        }
        if self.has(RARE_HOP) {
            for name in [KEEP_ALIVE, PROXY_CONNECTION, header::PROXY_AUTHENTICATE, header::PROXY_AUTHORIZATION, HTTP2_SETTINGS] {
                headers.remove(name);
            }
        }
        for name in &self.others {
            headers.remove(name);
        }
    }
}

/// Whether a name could pass for another: CGI and what is like it read `-`, `_`, `.` and other signs alike, so `x_real_ip` and
/// `x.real.ip` would pass for ours. Honest names have letters, digits and hyphens.
fn is_ambiguous(name: &str) -> bool {
    !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What only a proxy says of the client: hops before it, and the certificate it showed (RFC 9440 section 2.4).
fn is_a_proxys(name: &str) -> bool {
    name.starts_with("x-forwarded-") || name.starts_with("client-cert") || name.starts_with("x-client-cert")
}

fn hop_bit(name: &str) -> u32 {
    match name {
        "connection" => CONNECTION,
        "upgrade" => UPGRADE,
        "te" => TE,
        "transfer-encoding" => CODING,
        "via" => VIA,
        "alt-svc" => ALTERNATIVE,
        "keep-alive" | "proxy-connection" | "proxy-authenticate" | "proxy-authorization" | "http2-settings" => RARE_HOP,
        _ => 0,
    }
}

/// Takes out what `Connection` lists. What a message cannot do without is not taken out by listing it.
fn take_out_listed(headers: &mut HeaderMap, hop: Hop) {
    let mut listed = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        for option in value.as_bytes().split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            let common = [&b"close"[..], b"keep-alive", b"upgrade", b"te"].iter().any(|known| option.eq_ignore_ascii_case(known));
            if !common && let Ok(name) = HeaderName::from_bytes(option) {
                listed.push(name);
            }
        }
    }
    for name in listed {
        if ![header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(&name) {
            headers.remove(name);
        }
    }
    if hop == Hop::Ends {
        headers.remove(header::CONNECTION);
    }
}

/// Of `TE` only `trailers` has a meaning behind this hop: we pass trailers on, and no transfer coding.
fn keep_only_trailers(headers: &mut HeaderMap) {
    let trailers = headers.get_all(header::TE).iter().any(|value| lists(value, "trailers"));
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    } else {
        headers.remove(header::TE);
    }
}

/// Whether a comma-separated value has this element, parameters aside.
pub fn lists(value: &HeaderValue, element: &str) -> bool {
    value.as_bytes().split(|byte| *byte == b',').any(|item| {
        let item = item.split(|byte| *byte == b';').next().unwrap_or(item);
        item.trim_ascii().eq_ignore_ascii_case(element.as_bytes())
    })
}

#[cfg(test)]
mod tests;
