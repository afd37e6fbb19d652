//! The head of a request: its line and its fields, read in exactly one way or refused (RFC 9112 sections 2 to 6). Pure.
//!
//! The values of a head share one piece of memory, which lives as long as the last of them.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri, Version};

use super::unreadable;
use crate::proxy::forward::lists;
use crate::proxy::h1::framing::Framing;
use crate::proxy::h1::length;
use crate::proxy::refusal::{BadField, Malformed, Refusal};
use crate::proxy::target;

/// Fields that are read without memory of their own.
const USUAL_FIELDS: usize = 256;
/// Longest target that `http::Uri` holds, in bytes.
const MAX_TARGET: usize = 65_534;

/// What a head may take.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes at which reading ends: more than the configuration allows, so that what is a little too long is read, and
    /// refused with all that can be known of it.
    pub room: usize,
    /// Bytes that the configuration allows.
    pub size: usize,
    /// Fields that the configuration allows.
    pub count: usize,
    /// Bytes of a target that the configuration allows.
    pub url: usize,
}

/// What lies at the beginning of the bytes.
#[derive(Debug)]
pub enum Found {
    /// Not yet a whole head.
    Part,
    /// A head, which was taken out of the bytes.
    Head(Head),
    /// No head that can be read; the bytes have no further use.
    RejectedHello(Unreadable),
}

/// A request's head, and what it says of its body and of the connection.
#[derive(Debug)]
pub struct Head {
    /// The head itself.
    pub request: Request<()>,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether another request may follow (RFC 9112 section 9.3).
    pub persistent: bool,
    /// Whether the client waits for 100 before it sends the body (RFC 9110 section 10.1.1).
    pub expects_continue: bool,
    /// Whether it has an `Upgrade` field that means something.
    pub asks_upgrade: bool,
}

/// A head that cannot be read, and what could be read of it.
#[derive(Debug)]
pub struct Unreadable {
    /// Why.
    pub refusal: Refusal,
    /// Method, target, version and `Host`, as far as they are there.
    pub request: Request<()>,
}

/// Takes a head from the beginning of `bytes`. Its fields are put into what `spare` has.
pub fn read(bytes: &mut BytesMut, limits: &HeadLimits, spare: &mut HeaderMap) -> Found {
    let block = std::mem::take(bytes).freeze();
    let refused = |refusal| Found::RejectedHello(Unreadable { refusal, request: unreadable::shown(&block) });
    match parse(&block, limits, spare) {
        Ok(Some((head, length))) => {
            if length < block.len() {
                bytes.extend_from_slice(&block[length..]);
            }
            Found::Head(head)
        }
        Ok(None) if block.len() < limits.room => {
            *bytes = block.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
            Found::Part
        }
        Ok(None) => refused(too_large(&block, limits)),
        Err(Bad::Refusal(refusal)) => refused(refusal),
        Err(Bad::Syntax(httparse::Error::TooManyHeaders)) => {
            let seen = block.iter().filter(|byte| **byte == b'\n').count().saturating_sub(1);
            refused(Refusal::TooManyHeaders { seen: seen.max(limits.count + 1), limit: limits.count })
        }
        Err(Bad::Syntax(error)) => match unreadable::with_encoded_target(&block) {
            Some(encoded) if error == httparse::Error::Token => {
                *bytes = encoded;
                read(bytes, limits, spare)
            }
            Some(_) | None => refused(Refusal::Malformed(malformed(&block, error))),
        },
    }
}

/// Why there is no head.
enum Bad {
    Syntax(httparse::Error),
    Refusal(Refusal),
}

impl From<Malformed> for Bad {
    fn from(malformed: Malformed) -> Self {
        Self::Refusal(Refusal::Malformed(malformed))
    }
}

/// The head and its length in bytes; `None` where it is not whole.
fn parse(block: &Bytes, limits: &HeadLimits, spare: &mut HeaderMap) -> Result<Option<(Head, usize)>, Bad> {
    let mut usual = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    let mut unusual = Vec::new();
    // A few more than are allowed, so that they are counted and refused with their number.
    let count = limits.count + limits.count / 4;
    let room = if count <= USUAL_FIELDS {
        &mut usual[..count]
    } else {
        unusual.resize_with(count, MaybeUninit::uninit);
        &mut unusual[..]
    };
    let mut parsed = httparse::Request::new(&mut []);
    let config = httparse::ParserConfig::default();
    let httparse::Status::Complete(length) =
        config.parse_request_with_uninit_headers(&mut parsed, block, room).map_err(Bad::Syntax)?
    else {
        return Ok(None);
    };
    if length > limits.room {
        return Err(Bad::Refusal(too_large(block, limits)));
    }
    let (Some(method), Some(path), Some(version)) = (parsed.method, parsed.path, parsed.version) else { return Ok(None) };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Malformed::RequestLine)?;
    if path.len() > MAX_TARGET {
        return Err(Bad::Refusal(Refusal::UrlTooLong { seen: path.len(), limit: limits.url.min(MAX_TARGET) }));
    }
    let uri = match Uri::from_maybe_shared(block.slice_ref(path.as_bytes())) {
        Ok(uri) => uri,
        Err(_) => unusual_target(path.as_bytes())?,
    };
    let version = if version == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    let mut said = Said::default();
    let mut headers = std::mem::take(spare);
    let outcome = fill(&mut headers, block, parsed.headers, &mut said, version);
    *request.headers_mut() = headers;
    outcome?;
    let framing = match said.length {
        _ if said.has(CODING) => Framing::chunked(),
        length => Framing::Sized(length.unwrap_or(0)),
    };
    let head = Head {
        request,
        // Two lengths: the coding is the truth, and what follows is not trusted (RFC 9112 section 6.3).
        persistent: said.persists(version) && !said.has(TWO_FRAMINGS),
        expects_continue: said.has(EXPECT) && !framing.is_over(),
        framing,
        asks_upgrade: said.has(UPGRADE) && version == Version::HTTP_11,
    };
    Ok(Some((head, length)))
}

/// A target that `http::Uri` does not hold as it stands.
fn unusual_target(path: &[u8]) -> Result<Uri, Malformed> {
    let encoded = target::encoded(path).map_err(Malformed::Character)?;
    Uri::from_maybe_shared(Bytes::from(encoded.into_owned())).map_err(|_| Malformed::Target)
}

/// What a request's fields say of framing and connection.
#[derive(Default)]
struct Said {
    bits: u8,
    length: Option<u64>,
}

const CODING: u8 = 1;
const CLOSE: u8 = 1 << 1;
const KEEP: u8 = 1 << 2;
const EXPECT: u8 = 1 << 3;
const UPGRADE: u8 = 1 << 4;
const TWO_FRAMINGS: u8 = 1 << 5;

impl Said {
    const fn has(&self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    fn persists(&self, version: Version) -> bool {
        !self.has(CLOSE) && (version == Version::HTTP_11 || self.has(KEEP))
    }
}

fn fill(
    headers: &mut HeaderMap,
    block: &Bytes,
    fields: &[httparse::Header<'_>],
    said: &mut Said,
    version: Version,
) -> Result<(), Malformed> {
    headers.clear();
    headers.reserve(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed::Field(BadField::Name))?;
        let value = HeaderValue::from_maybe_shared(block.slice_ref(field.value));
        let value = value.map_err(|_| Malformed::Field(BadField::Value))?;
        match name {
            header::TRANSFER_ENCODING => {
                // One coding, and of HTTP/1.1 only (RFC 9112 section 6.1).
                let is_chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
                if !is_chunked || said.has(CODING) || version == Version::HTTP_10 {
                    return Err(Malformed::Framing);
                }
                if said.length.is_some() {
                    said.bits |= TWO_FRAMINGS;
                    headers.remove(header::CONTENT_LENGTH);
                }
                said.bits |= CODING;
            }
            header::CONTENT_LENGTH => {
                let length = length::read(field.value).ok_or(Malformed::Length)?;
                let before = said.length.replace(length);
                if before.is_some_and(|before| before != length) {
                    return Err(Malformed::Length);
                }
                if said.has(CODING) {
                    said.bits |= TWO_FRAMINGS;
                }
                // The same twice is that length (RFC 9112 section 6.3), said once.
                if before.is_some() || said.has(CODING) {
                    continue;
                }
            }
            header::CONNECTION => {
                let bit = |option, bit| if lists(&value, option) { bit } else { 0 };
                said.bits |= bit("close", CLOSE) | bit("keep-alive", KEEP);
            }
            header::EXPECT if value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
                // To be ignored (RFC 9110 section 10.1.1): such a client would not read an interim answer.
                if version == Version::HTTP_10 {
                    continue;
                }
                said.bits |= EXPECT;
            }
            header::UPGRADE => said.bits |= UPGRADE,
            _ => (),
        }
        headers.append(name, value);
    }
    Ok(())
}

/// Which limit a head is over that does not end in time.
fn too_large(block: &[u8], limits: &HeadLimits) -> Refusal {
    let line = block.iter().position(|byte| *byte == b'\n').unwrap_or(block.len());
    if line > limits.url.min(MAX_TARGET) || line == block.len() {
        Refusal::UrlTooLong { seen: line, limit: limits.url.min(MAX_TARGET) }
    } else {
        Refusal::HeaderTooLong { seen: block.len(), limit: limits.size }
    }
}

fn malformed(block: &[u8], error: httparse::Error) -> Malformed {
    match error {
        httparse::Error::HeaderName => Malformed::Field(BadField::Name),
        httparse::Error::HeaderValue => Malformed::Field(BadField::Value),
        httparse::Error::NewLine => Malformed::Field(BadField::LineEnd),
        httparse::Error::Token | httparse::Error::Version | httparse::Error::Status | httparse::Error::TooManyHeaders => {
            unreadable::of_line(block)
        }
    }
}

/// Whether a head may have become whole by what came behind its first `seen` bytes: an empty line ends in them.
pub fn may_be_whole(bytes: &[u8], seen: usize) -> bool {
    let new = &bytes[seen.saturating_sub(3).min(bytes.len())..];
    new.windows(2).any(|two| two == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { room: 1_000, size: 800, count: 8, url: 100 };

    /// The request in words, or why there is none.
    fn shown(text: &[u8]) -> String {
        let mut bytes = BytesMut::from(text);
        match read(&mut bytes, &LIMITS, &mut HeaderMap::new()) {
            Found::Part => "part".to_owned(),
            Found::Head(head) => {
                let Head { request, framing, persistent, expects_continue, asks_upgrade } = head;
                let fields: Vec<_> =
                    request.headers().iter().map(|(name, value)| format!("{name}={}", value.as_bytes().escape_ascii())).collect();
                let framing = match framing {
                    Framing::Sized(length) => length.to_string(),
                    Framing::Chunks(_) => "chunks".to_owned(),
                    Framing::UntilClose => "close".to_owned(),
                };
                let flags = [(persistent, "on"), (expects_continue, "100"), (asks_upgrade, "up")];
                let flags: Vec<_> = flags.into_iter().filter_map(|(is, word)| is.then_some(word)).collect();
                format!(
                    "{} {} {:?} [{}] {framing} {} |{}",
                    request.method(),
                    request.uri(),
                    request.version(),
                    fields.join(" "),
                    flags.join(" "),
                    bytes.escape_ascii()
                )
            }
            Found::RejectedHello(Unreadable { refusal, .. }) => refusal.reason().to_owned(),
        }
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(shown(text.replace('|', "\r\n").as_bytes()), expected, "{text:?}");
    }

    #[test]
    fn a_head_says_what_it_asks_for_and_how_its_body_is_framed() {
        check("GET /a?b HTTP/1.1|Host: a|X: y||GET", "GET /a?b HTTP/1.1 [host=a x=y] 0 on |GET");
        check("|POST / HTTP/1.1|Content-Length: 5|Content-Length: 5||", "POST / HTTP/1.1 [content-length=5] 5 on |");
        check("PUT / HTTP/1.1|Transfer-Encoding: Chunked||", "PUT / HTTP/1.1 [transfer-encoding=Chunked] chunks on |");
        check(
            "PUT / HTTP/1.1|Content-Length: 5|Transfer-Encoding: chunked||",
            "PUT / HTTP/1.1 [transfer-encoding=chunked] chunks  |",
        );
        check(
            "PUT / HTTP/1.1|Transfer-Encoding: chunked|Content-Length: 5||",
            "PUT / HTTP/1.1 [transfer-encoding=chunked] chunks  |",
        );
        check("GET / HTTP/1.0|Connection: keep-alive||", "GET / HTTP/1.0 [connection=keep-alive] 0 on |");
        check("GET / HTTP/1.0|Host: a||", "GET / HTTP/1.0 [host=a] 0  |");
        check("GET / HTTP/1.1|Connection: x, Close||", "GET / HTTP/1.1 [connection=x, Close] 0  |");
        check(
            "PUT / HTTP/1.1|Expect: 100-Continue|Content-Length: 1||",
            "PUT / HTTP/1.1 [expect=100-Continue content-length=1] 1 on 100 |",
        );
        check("PUT / HTTP/1.0|Expect: 100-continue|Content-Length: 1||", "PUT / HTTP/1.0 [content-length=1] 1  |");
        check("PUT / HTTP/1.0|Expect: miracles|Content-Length: 1||", "PUT / HTTP/1.0 [expect=miracles content-length=1] 1  |");
        check("GET / HTTP/1.1|Upgrade: websocket||", "GET / HTTP/1.1 [upgrade=websocket] 0 on up |");
        check("GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1 [host=a] 0 on |");
        check("GET / HT", "part");
        check("", "part");
    }

    #[test]
    fn odd_characters_in_a_target_are_passed_on() {
        check("GET /a\"b<c>`?q=\"<>` HTTP/1.1||", "GET /a\"b%3Cc%3E%60?q=%22%3C%3E` HTTP/1.1 [] 0 on |");
        assert_eq!(shown(b"GET /caf\xe9 HTTP/1.1\r\n\r\nx"), "GET /caf%E9 HTTP/1.1 [] 0 on |x");
        assert_eq!(shown(b"GET /caf\xc3\xa9 HTTP/1.1\r\n\r\n"), "GET /caf\u{e9} HTTP/1.1 [] 0 on |");
        assert_eq!(shown(b"GET /caf\xe9 HTTP/1.1\r\nHo"), "part");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused_by_its_reason() {
        check("GET /\u{b} HTTP/1.1||", "bad-character");
        check("GET /\u{7f} HTTP/1.1||", "bad-character");
        check("GET / x HTTP/1.1||", "bad-request-line");
        check("GET  / HTTP/1.1||", "bad-request-line");
        check("GET /||", "bad-request-line");
        check(" GET / HTTP/1.1||", "bad-request-line");
        check("G(T / HTTP/1.1||", "bad-request-line");
        check("GET / HTTP/1.2||", "bad-version");
        check("PRI * HTTP/2.0||", "bad-version");
        check("GET / http/1.1||", "bad-request-line");
        check("GET / HTTP/1.1|A: b| folded||", "bad-field");
        check("GET / HTTP/1.1|Host : a||", "bad-field");
        check("GET / HTTP/1.1|X: a\0b||", "bad-field");
        check("GET / HTTP/1.1|X: a\rb||", "bad-field");
        check("GET / HTTP/1.1|X y||", "bad-field");
        check("GET / HTTP/1.0|Transfer-Encoding: chunked||", "bad-framing");
        check("GET / HTTP/1.1|Transfer-Encoding: gzip, chunked||", "bad-framing");
        check("GET / HTTP/1.1|Transfer-Encoding: chunked|Transfer-Encoding: chunked||", "bad-framing");
        check("GET / HTTP/1.1|Content-Length: 1|Content-Length: 2||", "bad-length");
        check("GET / HTTP/1.1|Content-Length: 9223372036854775808||", "bad-length");
        check("GET / HTTP/1.1|Transfer-Encoding: chunked|Content-Length: x||", "bad-length");
        check("GET a b||", "bad-request-line");
    }

    #[test]
    fn each_limit_is_named() {
        check(&format!("GET / HTTP/1.1|{}|", "X: y|".repeat(11)), "too-many-headers");
        check(&format!("GET / HTTP/1.1|X: {}", "y".repeat(1_000)), "header-too-long");
        check(&format!("GET /{}", "y".repeat(1_000)), "url-too-long");
        check(&format!("GET /{} HTTP/1.1|X: {}||", "y".repeat(900), "y".repeat(200)), "url-too-long");
        check(&format!("GET / HTTP/1.1|X: {}", "y".repeat(500)), "part");
    }

    #[test]
    fn an_empty_line_is_seen_however_it_comes() {
        let head = b"GET / HTTP/1.1\r\nA: b\r\n\r\n";
        for seen in 0..head.len() {
            assert!(may_be_whole(head, seen), "{seen}");
        }
        assert!(may_be_whole(b"GET / HTTP/1.1\n\n", 15));
        assert!(!may_be_whole(b"GET / HTTP/1.1\r\nA: b\r\nC: d", 16));
    }
}
