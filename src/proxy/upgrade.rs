//! Who may leave HTTP: what a client asks for, what a backend is asked, and whether its 101 is one. Pure.
//!
//! A WebSocket's key is checked here, because the answer to it is; `Sec-WebSocket-Version` is the backend's, which negotiates it
//! by 426 (RFC 6455 section 4.4), as behind nginx, HAProxy and Caddy.
//!
//! A WebSocket over HTTP/2 (RFC 8441) is asked of the backend as an HTTP/1.1 upgrade (RFC 6455), with a key of ours.

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::ext::Protocol;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::client_io::OpenTunnel;
use super::forward::lists;
use super::h2_stream::OnStream;
use super::handover::Handover;
use super::refusal::{Failed, Malformed, Refusal};

pub use request::{is_asked, is_extended_connect, is_websocket};

use request::WEBSOCKET;

mod request;

/// An upgrade that a client asks for.
#[derive(Debug)]
pub struct Wanted {
    /// Yields the client's stream once the answer that grants it is sent.
    pub on: On,
    /// Whether its bytes will be WebSocket frames.
    pub websocket: bool,
    /// How the client asked.
    pub by: By,
    /// Keeps the client's connection in use for as long as the tunnel stands; `None` where it is the tunnel's alone.
    pub open: Option<OpenTunnel>,
    /// The value of `Upgrade`.
    protocol: HeaderValue,
    /// What a WebSocket's backend must answer to the key; `None` where there is no key.
    accept: Option<String>,
}

/// What yields the client's side of a tunnel.
#[derive(Debug)]
pub enum On {
    /// A whole HTTP/1.1 connection.
    Connection(Handover),
    /// A stream of an HTTP/2 connection.
    Stream(OnStream),
}

/// How a client asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// `Connection: Upgrade`; granted by 101.
    Upgrade,
    /// Extended CONNECT; granted by 200.
    Connect,
}

/// Finds what the client asks for, and makes the request one that asks an HTTP/1.1 backend for it. HTTP/2 in the clear is
/// not passed on: it would carry requests past every rule here.
pub fn take(parts: &mut Parts) -> Result<Option<Wanted>, Refusal> {
    if is_extended_connect(&parts.method, &parts.extensions) {
        return connect_to_get(parts).map(Some);
    }
    if !parts.headers.contains_key(header::UPGRADE) || !is_asked(&parts.headers) {
        return Ok(None);
    }
    let mut protocols = parts.headers.get_all(header::UPGRADE).iter();
    let (Some(protocol), None) = (protocols.next(), protocols.next()) else { return Ok(None) };
    if lists(protocol, "h2c") {
        return Ok(None);
    }
    let protocol = protocol.clone();
    let websocket = protocol.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes());
    let accept = if websocket { Some(derive_accept_key(key(&parts.headers)?)) } else { None };
    let Some(on) = parts.extensions.remove::<Handover>() else { return Ok(None) };
    Ok(Some(Wanted { on: On::Connection(on), websocket, by: By::Upgrade, open: None, protocol, accept }))
}

/// The key of a WebSocket's handshake: one, and 16 bytes in base64 (RFC 6455 section 4.2.1). Without it a backend's failure to
/// answer to it would look like the backend's fault.
fn key(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key.as_bytes()) => Ok(key.as_bytes()),
        _ => Err(Refusal::Malformed(Malformed::WebSocketKey)),
    }
}

/// Whether it is 16 bytes in base64: 22 characters and two for padding.
fn is_key(key: &[u8]) -> bool {
    let Some(digits) = key.strip_suffix(b"==") else { return false };
    digits.len() == 22 && digits.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

fn connect_to_get(parts: &mut Parts) -> Result<Wanted, Refusal> {
    let websocket = parts.extensions.remove::<Protocol>().is_some_and(|protocol| protocol.as_str() == WEBSOCKET);
    let on = parts.extensions.remove::<OnStream>();
    let open = parts.extensions.remove::<OpenTunnel>();
    let (true, Some(on)) = (websocket, on) else { return Err(Refusal::UnknownProtocol) };
    let key = generate_key();
    let accept = Some(derive_accept_key(key.as_bytes()));
    parts.method = Method::GET;
    let headers = &mut parts.headers;
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(WEBSOCKET));
    headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::try_from(key).expect("base64 is a header value"));
    headers.entry(header::SEC_WEBSOCKET_VERSION).or_insert(HeaderValue::from_static("13"));
    Ok(Wanted { on: On::Stream(on), websocket, by: By::Connect, open, protocol: HeaderValue::from_static(WEBSOCKET), accept })
}

impl Wanted {
    /// Whether a 101 grants what was asked for (RFC 6455 section 4.1, RFC 9110 section 7.8).
    pub fn is_granted_by(&self, headers: &HeaderMap) -> Result<(), Failed> {
        granted(headers, &self.protocol, self.websocket, self.accept.as_deref())
    }

    /// Whether the client could take another answer for the upgrade it asked for: any success to a CONNECT.
    pub fn mistakes(&self, status: StatusCode) -> bool {
        self.by == By::Connect && status.is_success()
    }

    /// Makes the backend's granting header the one the client gets, and says with which status.
    pub fn grant(&self, headers: &mut HeaderMap) -> StatusCode {
        match self.by {
            By::Upgrade => StatusCode::SWITCHING_PROTOCOLS,
            By::Connect => {
                for name in [header::CONNECTION, header::UPGRADE, header::SEC_WEBSOCKET_ACCEPT, header::CONTENT_LENGTH] {
                    headers.remove(name);
                }
                StatusCode::OK
            }
        }
    }
}

fn granted(headers: &HeaderMap, protocol: &HeaderValue, websocket: bool, accept: Option<&str>) -> Result<(), Failed> {
    let mut named = headers.get_all(header::UPGRADE).iter();
    let fits = match (named.next(), named.next()) {
        (Some(named), None) if websocket => named.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes()),
        // Other protocols come as lists, of which the backend takes one.
        (Some(named), None) => named.to_str().is_ok_and(|named| lists(protocol, named.trim())),
        (None, _) | (_, Some(_)) => false,
    };
    if !fits || !headers.get_all(header::CONNECTION).iter().any(|value| lists(value, "upgrade")) {
        return Err(Failed::WrongUpgrade);
    }
    if !websocket {
        return Ok(());
    }
    let mut given = headers.get_all(header::SEC_WEBSOCKET_ACCEPT).iter();
    match (given.next(), given.next(), accept) {
        (Some(given), None, Some(expected)) if given.as_bytes() == expected.as_bytes() => Ok(()),
        _ => Err(Failed::BadAccept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    /// Key and answer of RFC 6455 section 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    #[test]
    fn only_the_protocol_that_was_asked_for_and_the_right_key_make_a_tunnel() {
        let check = |fields: &[(&'static str, &'static str)], expected: Result<(), Failed>| {
            let accept = derive_accept_key(KEY.as_bytes());
            let seen = granted(&headers(fields), &HeaderValue::from_static("WebSocket"), true, Some(&accept));
            assert_eq!(seen, expected, "for {fields:?}");
        };
        let good = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", ACCEPT)];
        check(&good, Ok(()));
        check(&good[1..], Err(Failed::WrongUpgrade));
        check(&[good[0], ("upgrade", "h2c"), good[2]], Err(Failed::WrongUpgrade));
        check(&[good[0], good[1], good[1], good[2]], Err(Failed::WrongUpgrade));
        check(&good[..2], Err(Failed::BadAccept));
        check(&[good[0], good[1], ("sec-websocket-accept", "nonsense")], Err(Failed::BadAccept));
    }

    #[test]
    fn a_key_is_16_bytes_in_base64_and_stands_there_once() {
        assert_eq!(key(&headers(&[("sec-websocket-key", KEY)])), Ok(KEY.as_bytes()));
        for bad in [
            "",
            "x",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZ===",
            "dGhlIHNhbXBsZSBub25jZQ= =",
            "dGhl IHNhbXBsZSBub25jZ==",
        ] {
            let refused = Err(Refusal::Malformed(Malformed::WebSocketKey));
            assert_eq!(key(&headers(&[("sec-websocket-key", bad)])), refused, "{bad:?}");
        }
        assert!(key(&headers(&[])).is_err());
        assert!(key(&headers(&[("sec-websocket-key", KEY), ("sec-websocket-key", KEY)])).is_err());
    }

    #[test]
    fn other_protocols_need_no_key() {
        let check = |asked: &'static str, given: &'static str, expected: Result<(), Failed>| {
            let fields = headers(&[("connection", "upgrade"), ("upgrade", given)]);
            assert_eq!(granted(&fields, &HeaderValue::from_static(asked), false, None), expected);
        };
        check("tcp", "tcp", Ok(()));
        check("tls/1.2, foo/2", "foo/2", Ok(()));
        check("tcp", "websocket", Err(Failed::WrongUpgrade));
    }

    #[test]
    fn an_upgrade_is_asked_for_by_both_fields() {
        assert!(is_asked(&headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")])));
        assert!(!is_asked(&headers(&[("connection", "keep-alive"), ("upgrade", "websocket")])));
        assert!(!is_asked(&headers(&[("connection", "upgrade")])));
    }
}
