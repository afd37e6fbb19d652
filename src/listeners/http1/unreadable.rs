//! What can be said of bytes that are no head of a request: what is wrong with their first line, and what of them the access
//! log shows. Pure.

use bytes::BytesMut;
use http::header::{self, HeaderValue};
use http::{Method, Request, Uri, Version};

use crate::proxy::exchange::ShownTarget;
use crate::proxy::refusal::Malformed;
use crate::proxy::target;

/// Longest method that is shown, in bytes.
const MAX_METHOD: usize = 32;
/// What of a target is shown, in bytes.
const MAX_SHOWN: usize = 4 * 1024;

/// The parts of a first line.
#[derive(Clone, Copy, Default)]
struct Line<'a> {
    method: &'a [u8],
    target: &'a [u8],
    /// Empty where there is none.
    version: &'a [u8],
}

impl<'a> Line<'a> {
    fn of(block: &'a [u8]) -> Self {
        let begin = block.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(block.len());
        let block = &block[begin..];
        let line = block.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(space) = line.iter().position(|byte| *byte == b' ') else {
            return Self { method: line, ..Self::default() };
        };
        let (method, rest) = (&line[..space], &line[space + 1..]);
        match rest.iter().rposition(|byte| *byte == b' ') {
            Some(space) => Self { method, target: &rest[..space], version: &rest[space + 1..] },
            None => Self { method, target: rest, version: b"" },
        }
    }

    fn has_method(&self) -> bool {
        (1..=MAX_METHOD).contains(&self.method.len()) && Method::from_bytes(self.method).is_ok()
    }
}

/// What is wrong with the first line.
pub(super) fn of_line(block: &[u8]) -> Malformed {
    let line = Line::of(block);
    if !line.has_method() || line.target.is_empty() || line.target.contains(&b' ') {
        return Malformed::RequestLine;
    }
    if let Err(byte) = target::encoded(line.target) {
        return Malformed::Character(byte);
    }
    if line.version.starts_with(b"HTTP/") && line.version != b"HTTP/1.1" && line.version != b"HTTP/1.0" {
        return Malformed::Version;
    }
    Malformed::RequestLine
}

/// The same bytes with a target that is text: bytes that are none are percent-encoded. `None` where that changes nothing.
pub(super) fn with_encoded_target(block: &[u8]) -> Option<BytesMut> {
    let line = Line::of(block);
    if line.version.is_empty() || std::str::from_utf8(line.target).is_ok() {
        return None;
    }
    let encoded = target::encoded(line.target).ok()?;
    let at = line.target.as_ptr().addr() - block.as_ptr().addr();
    let mut bytes = BytesMut::with_capacity(block.len() + encoded.len());
    bytes.extend_from_slice(&block[..at]);
    bytes.extend_from_slice(&encoded);
    bytes.extend_from_slice(&block[at + line.target.len()..]);
    Some(bytes)
}

/// A request with as much as can be shown of one: its method, or `-`, its target, its version and its only `Host`.
pub(super) fn shown(block: &[u8]) -> Request<()> {
    let line = Line::of(block);
    let mut request = Request::new(());
    let known = line.has_method().then(|| Method::from_bytes(line.method).ok()).flatten();
    *request.method_mut() = known.unwrap_or_else(|| Method::from_bytes(b"-").expect("a hyphen is a token"));
    *request.version_mut() = if line.version == b"HTTP/1.0" { Version::HTTP_10 } else { Version::HTTP_11 };
    if let Some(uri) = target::encoded(line.target).ok().and_then(|text| Uri::try_from(&*text).ok()) {
        *request.uri_mut() = uri;
    }
    request.extensions_mut().insert(ShownTarget(escaped(line.target)));
    let mut hosts = block.split(|byte| *byte == b'\n').skip(1).filter_map(host);
    if let (Some(host), None) = (hosts.next(), hosts.next()) {
        request.headers_mut().insert(header::HOST, host);
    }
    request
}

/// The value of a line that is a `Host` field.
fn host(line: &[u8]) -> Option<HeaderValue> {
    const NAME: &[u8] = b"host:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    name.eq_ignore_ascii_case(NAME).then(|| HeaderValue::from_bytes(value.trim_ascii()).ok()).flatten()
}

/// The beginning of a target, harmless wherever it is printed; `-` for none.
fn escaped(target: &[u8]) -> Box<str> {
    if target.is_empty() {
        return "-".into();
    }
    let mut text = String::new();
    for byte in target.iter().take(MAX_SHOWN) {
        match byte {
            b'"' | b'\\' | ..=b' ' | 0x7f.. => text.push_str(&format!("%{byte:02X}")),
            plain => text.push(char::from(*plain)),
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_as_there_is_of_a_request_is_shown() {
        let check = |block: &[u8], expected: &str| {
            let request = shown(block);
            let ShownTarget(target) = request.extensions().get().unwrap();
            let host = request.headers().get(header::HOST).map_or("", |host| host.to_str().unwrap());
            assert_eq!(format!("{} {target} {:?} {host}", request.method(), request.version()), expected);
        };
        check(b"GET /a\x0bb\"\xe9 HTTP/1.0\r\nX: y\r\nhOsT:  a.test \r\n\r\n", "GET /a%0Bb%22%E9 HTTP/1.0 a.test");
        check(b"\r\nGET /a b HTTP/1.1\r\nHost: a\r\nHost: b\r\n", "GET /a%20b HTTP/1.1 ");
        check(b"\x16\x03\x01\x00", "- - HTTP/1.1 ");
        check(b"", "- - HTTP/1.1 ");
        check(b"G(T / HTTP/1.1\r\n", "- / HTTP/1.1 ");
    }
}
