//! Header rules of a gateway, both ways (RFC 9110 section 7.6): what belongs to one hop only is taken out, what a backend
//! must know of the client is put in, and nothing a stranger wrote about itself is believed. Pure.
//!
//! One walk over the names finds what there is to do, so that a request without oddities costs one walk.

use std::net::IpAddr;

use http::Version;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use names::{
    ALTERNATIVE, CODING, CONNECTION, COOKIE, FORWARDING, HOST, ID, RARE_HOP, SOCKET_KEY, TE, UPGRADE, VIA, bit, hop_bit,
    is_a_proxys,
};

pub use guard::Guard;
pub use prebuilt::PrebuiltHeaders;

use crate::base::client_fact::ClientFact;

pub mod changes;
mod guard;
mod names;
mod prebuilt;
pub mod reported;
pub mod trailers;

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
/// No field of HTTP; CGI programs read it as the variable `HTTP_PROXY`, which names their own proxy (httpoxy,
/// CVE-2016-5385). nginx and Apache advise to remove it, Go's CGI ignores it.
const PROXY: HeaderName = HeaderName::from_static("proxy");

/// Fields we add to a request; most are the same for every request of a connection.
const ADDED: usize = 8;

/// `Via` of what came by each version (RFC 9110 section 7.6.3). Made once, because to make a value reads it.
static VIA_10: HeaderValue = HeaderValue::from_static("1.0 doorward");
static VIA_11: HeaderValue = HeaderValue::from_static("1.1 doorward");
static VIA_2: HeaderValue = HeaderValue::from_static("2.0 doorward");
static VIA_3: HeaderValue = HeaderValue::from_static("3.0 doorward");

/// What the backend is prebuilt of the client.
#[derive(Clone, Debug)]
pub struct HeaderLines {
    /// The client and the hops behind it, for `X-Forwarded-For`.
    pub chain: HeaderValue,
    /// The client by the trust rule, for `X-Real-IP`.
    pub client: HeaderValue,
    /// `https` or `http`.
    pub proto: HeaderValue,
    /// The port the client came to.
    pub port: HeaderValue,
    /// The authority the client asked for.
    pub host: HeaderValue,
    /// The value of `Forwarded` (RFC 7239).
    pub forwarded: HeaderValue,
    /// The exchange's id.
    pub id: HeaderValue,
    /// Who sent the request.
    pub peer: Peer,
}

/// Who sent a request, as far as its fields are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Nobody whose word on a client counts.
    Untrusted,
    /// A proxy of `trusted-proxies`, and what follows from its fields.
    Proxy {
        /// The client's address.
        client: IpAddr,
        /// Whether the client came by https.
        is_secure: bool,
    },
}

impl Peer {
    /// Whether a field that states a fact may pass: a trusted proxy may pass on what its own client sent, and two fields that
    /// contradict each other are two truths (gunicorn answers 400 to them).
    fn may_state(self, fact: ClientFact, value: &HeaderValue) -> bool {
        let Self::Proxy { client, is_secure } = self else { return false };
        let text = value.to_str().unwrap_or_default().trim();
        match fact {
            ClientFact::Address => text.parse().is_ok_and(|address: IpAddr| address.to_canonical() == client.to_canonical()),
            ClientFact::Scheme => {
                let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
                if is_secure { is(&["https", "wss", "on", "ssl", "1"]) } else { is(&["http", "ws", "off", "0"]) }
            }
        }
    }
}

/// `Forwarded` of the client and the hops behind it (RFC 7239 section 4). Its first element says how the client came, to
/// whom and by what scheme.
pub fn forwarded(hops: &[IpAddr], authority: &[u8], scheme: &str) -> HeaderValue {
    let node = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => format!("for={ip}"),
        IpAddr::V6(ip) => format!("for=\"[{ip}]\""),
    };
    let mut nodes = hops.iter().map(node);
    // A port's colon and an address's brackets are no token characters (RFC 7239 section 6).
    let host = String::from_utf8_lossy(authority);
    let host = if host.contains([':', '[']) { format!("\"{host}\"") } else { host.into_owned() };
    let first = format!("{};host={host};proto={scheme}", nodes.next().unwrap_or_else(|| "for=unknown".to_owned()));
    let all = nodes.fold(first, |all, node| format!("{all}, {node}"));
    HeaderValue::try_from(all).expect("an authority that was read holds no control characters")
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
pub fn towards_backend(headers: &mut HeaderMap, lines: HeaderLines, version: Version, framing: Framing, hop: Hop) {
    let found = clean(headers, (&lines.host, lines.peer), (version, framing), hop, &Guard::default());
    add(headers, found.is, lines, version);
}

/// The first half of [`towards_backend`], done when a request arrives and before any step of its site adds a field: what
/// belongs to the client's hop is out, and so is what a stranger wrote about itself, where it is not overwritten by `add`.
/// Were it done later, a client could remove a field of a step by listing it in `Connection`. `host` is the authority for a
/// header without one.
pub(super) fn clean(
    headers: &mut HeaderMap,
    (host, peer): (&HeaderValue, Peer),
    (version, framing): (Version, Framing),
    hop: Hop,
    guard: &Guard,
) -> Cleaned {
    let found = Found::walk(headers, peer, guard);
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
    Cleaned { is: Is(found.bits), dropped: found.dropped }
}

/// What [`clean`] found.
pub(super) struct Cleaned {
    pub(super) is: Is,
    /// Names that went because they could pass for another field.
    pub(super) dropped: Vec<HeaderName>,
}

/// What a header says of the client and of hops before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Is(u32);

impl Is {
    /// Of a header that a step has added fields to since it was cleaned.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self(headers.keys().fold(0, |bits, name| bits | bit(name.as_str())))
    }

    /// Whether the header says nothing of what `add` adds, so that [`PrebuiltHeaders`] may stand behind it.
    pub(super) const fn is_ordinary(self) -> bool {
        self.0 & (VIA | FORWARDING | ID) == 0
    }

    const fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    /// Whether there is a WebSocket's key, and whether there is `Upgrade` as well.
    pub(super) const fn socket_key(self) -> (bool, bool) {
        (self.has(SOCKET_KEY), self.has(UPGRADE))
    }

    /// Takes out what was kept for an upgrade that is not asked of the backend after all.
    pub(super) fn without_upgrade(self, headers: &mut HeaderMap) {
        if self.has(CONNECTION) {
            headers.remove(header::CONNECTION);
        }
        if self.has(UPGRADE) {
            headers.remove(header::UPGRADE);
        }
    }
}

/// The second half: the facts of the client are in.
pub(super) fn add(headers: &mut HeaderMap, found: Is, lines: HeaderLines, version: Version) {
    headers.reserve(ADDED);
    if found.has(VIA) {
        headers.append(header::VIA, via(version).clone());
    } else {
        headers.insert(header::VIA, via(version).clone());
    }
    headers.insert(FORWARDED_FOR, lines.chain);
    headers.insert(FORWARDED_PROTO, lines.proto);
    headers.insert(FORWARDED_HOST, lines.host);
    headers.insert(FORWARDED_PORT, lines.port);
    headers.insert(REAL_IP, lines.client);
    headers.insert(header::FORWARDED, lines.forwarded);
    headers.insert(REQUEST_ID, lines.id);
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
struct Found {
    bits: u32,
    /// Names that go without having a bit of their own: other `x-forwarded-*` and their like.
    others: Vec<HeaderName>,
    /// Names that go because they could pass for another field.
    dropped: Vec<HeaderName>,
}

impl Found {
    fn walk(headers: &HeaderMap, peer: Peer, guard: &Guard) -> Self {
        let mut found = Self { bits: 0, others: Vec::new(), dropped: Vec::new() };
        for name in headers.keys() {
            let text = name.as_str();
            let bit = bit(text);
            found.bits |= bit;
            if bit == 0 && goes_no_further(headers, name, peer) && !guard.keeps(name) {
                found.others.push(name.clone());
            } else if bit == 0 && guard.drops(text, headers) {
                found.dropped.push(name.clone());
            }
        }
        found
    }

    fn walk_answer(headers: &HeaderMap) -> Self {
        let bits = headers.keys().fold(0, |bits, name| bits | hop_bit(name.as_str()));
        Self { bits, others: Vec::new(), dropped: Vec::new() }
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
            for name in
                [KEEP_ALIVE, PROXY_CONNECTION, header::PROXY_AUTHENTICATE, header::PROXY_AUTHORIZATION, HTTP2_SETTINGS, PROXY]
            {
                headers.remove(name);
            }
        }
        for name in self.others.iter().chain(&self.dropped) {
            headers.remove(name);
        }
    }
}

/// Whether a field that only proxies set is dropped: from anybody else always, and from a trusted proxy where it contradicts
/// what the gateway itself says of the client.
fn goes_no_further(headers: &HeaderMap, name: &HeaderName, peer: Peer) -> bool {
    match peer {
        Peer::Untrusted => is_a_proxys(name.as_str()),
        Peer::Proxy { .. } => ClientFact::of(name.as_str())
            .is_some_and(|fact| !headers.get_all(name).iter().all(|value| peer.may_state(fact, value))),
    }
}

/// Takes out what `Connection` lists. What a message cannot do without is not taken out by listing it. What stays of it for
/// an upgrade lists nothing else, for the backend would take out what is added to the request behind this.
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
    if hop == Hop::Upgrades && !listed.is_empty() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
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
