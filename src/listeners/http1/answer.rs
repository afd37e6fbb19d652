//! The head of an answer as it is written, and how its body is framed (RFC 9112 sections 4 and 6). Pure.

use http::header::{self, HeaderMap, HeaderValue};
use http::{StatusCode, Version, response};

use crate::proxy::forward::lists;
use crate::proxy::h1::length;
use crate::proxy::h1::reason::Reason;
use crate::proxy::h1::spelling::Spelling;

/// Room for what surrounds an answer's fields: version, status and reason, framing and `Date`.
const AROUND: usize = 192;

/// What of the request an answer depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Whether the method is HEAD.
    pub is_head: bool,
    /// The client's version.
    pub version: Version,
    /// Whether the connection may go on behind the answer, for all that is known before it.
    pub persistent: bool,
}

/// How an answer's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// There is none, whatever the fields say (RFC 9112 section 6.3).
    None,
    /// So many bytes more.
    Length(u64),
    /// By chunks.
    Chunked,
    /// By the connection's end: for clients of HTTP/1.0, which know no chunks.
    UntilClose,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// How the body follows.
    pub coding: Coding,
    /// Whether another request may follow.
    pub persistent: bool,
}

/// Writes the head of an answer whose body is `size` bytes long, where that is known. `date` is written where the answer has
/// none.
pub fn write(out: &mut Vec<u8>, parts: &response::Parts, size: Option<u64>, asked: Asked, date: &HeaderValue) -> Written {
    let fields: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    out.reserve(fields + AROUND);
    status_line(out, parts, asked.version);
    let is_switch = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    let said = write_fields(out, &parts.headers, if is_switch { Spelling::Canonical } else { Spelling::Lower });
    if !said.has_date {
        line(out, b"date: ", date.as_bytes());
    }
    if is_switch {
        out.extend_from_slice(b"\r\n");
        return Written { coding: Coding::None, persistent: false };
    }
    let length = said.length.or(size);
    let (coding, shown) = match parts.status {
        status if status.is_informational() || status == StatusCode::NO_CONTENT => (Coding::None, None),
        StatusCode::NOT_MODIFIED => (Coding::None, said.length),
        _ if asked.is_head => (Coding::None, said.length),
        _ => match length {
            Some(length) => (Coding::Length(length), Some(length)),
            None if asked.version == Version::HTTP_10 => (Coding::UntilClose, None),
            None => (Coding::Chunked, None),
        },
    };
    if let Some(length) = shown {
        put_length(out, length);
    }
    if coding == Coding::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    let persistent = asked.persistent && !said.closes && coding != Coding::UntilClose;
    match (persistent, asked.version) {
        (false, _) if !said.closes => out.extend_from_slice(b"connection: close\r\n"),
        (true, Version::HTTP_10) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        _ => (),
    }
    out.extend_from_slice(b"\r\n");
    Written { coding, persistent }
}

fn status_line(out: &mut Vec<u8>, parts: &response::Parts, version: Version) {
    out.extend_from_slice(if version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(parts.status.as_str().as_bytes());
    out.push(b' ');
    let own = parts.extensions.get::<Reason>().and_then(|reason| reason.for_status(parts.status));
    let standard = || parts.status.canonical_reason().unwrap_or_default().as_bytes();
    line(out, own.unwrap_or_else(standard), b"");
}

fn line(out: &mut Vec<u8>, begin: &[u8], end: &[u8]) {
    out.extend_from_slice(begin);
    out.extend_from_slice(end);
    out.extend_from_slice(b"\r\n");
}

/// What the fields of an answer say of it.
#[derive(Default)]
struct Said {
    length: Option<u64>,
    has_date: bool,
    closes: bool,
}

/// Writes the fields that do not frame the body.
fn write_fields(out: &mut Vec<u8>, headers: &HeaderMap, spelling: Spelling) -> Said {
    let mut said = Said::default();
    for (name, value) in headers {
        match *name {
            header::CONTENT_LENGTH => {
                said.length = length::read(value.as_bytes());
                continue;
            }
            header::TRANSFER_ENCODING => continue,
            header::DATE => said.has_date = true,
            header::CONNECTION => said.closes |= lists(value, "close"),
            _ => (),
        }
        spelling.write(name, out);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    said
}

fn put_length(out: &mut Vec<u8>, length: u64) {
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), length);
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    line(out, b"content-length: ", &digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;

    const ASKED: Asked = Asked { is_head: false, version: Version::HTTP_11, persistent: true };

    fn written(status: u16, fields: &[(&'static str, &'static str)], size: Option<u64>, asked: Asked) -> (String, Written) {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in fields {
            response.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        let (parts, ()) = response.into_parts();
        let mut out = Vec::new();
        let written = write(&mut out, &parts, size, asked, &HeaderValue::from_static("now"));
        (String::from_utf8(out).unwrap().replace("\r\n", "|"), written)
    }

    #[track_caller]
    fn check(status: u16, fields: &[(&'static str, &'static str)], size: Option<u64>, asked: Asked, head: &str, coding: Coding) {
        let (text, written) = written(status, fields, size, asked);
        assert_eq!((text.as_str(), written.coding), (head, coding));
        assert_eq!(written.persistent, !text.contains("close") && status != 101);
    }

    #[test]
    fn an_answer_is_framed_by_status_method_and_version() {
        let length = [("content-length", "7")];
        let (head, old) = (Asked { is_head: true, ..ASKED }, Asked { version: Version::HTTP_10, ..ASKED });
        check(200, &length, None, ASKED, "HTTP/1.1 200 OK|date: now|content-length: 7||", Coding::Length(7));
        check(200, &[], Some(0), ASKED, "HTTP/1.1 200 OK|date: now|content-length: 0||", Coding::Length(0));
        check(200, &[], None, ASKED, "HTTP/1.1 200 OK|date: now|transfer-encoding: chunked||", Coding::Chunked);
        check(200, &[], None, old, "HTTP/1.0 200 OK|date: now|connection: close||", Coding::UntilClose);
        check(200, &length, None, old, "HTTP/1.0 200 OK|date: now|content-length: 7|connection: keep-alive||", Coding::Length(7));
        check(200, &length, Some(0), head, "HTTP/1.1 200 OK|date: now|content-length: 7||", Coding::None);
        check(200, &[], Some(0), head, "HTTP/1.1 200 OK|date: now||", Coding::None);
        check(204, &length, Some(0), ASKED, "HTTP/1.1 204 No Content|date: now||", Coding::None);
        check(304, &length, Some(0), ASKED, "HTTP/1.1 304 Not Modified|date: now|content-length: 7||", Coding::None);
        check(304, &[("date", "then")], Some(0), ASKED, "HTTP/1.1 304 Not Modified|date: then||", Coding::None);
    }

    #[test]
    fn a_connection_that_ends_says_so_once() {
        let last = Asked { persistent: false, ..ASKED };
        let close = [("connection", "close")];
        check(200, &[], Some(1), last, "HTTP/1.1 200 OK|date: now|content-length: 1|connection: close||", Coding::Length(1));
        for asked in [ASKED, last] {
            check(
                200,
                &close,
                Some(1),
                asked,
                "HTTP/1.1 200 OK|connection: close|date: now|content-length: 1||",
                Coding::Length(1),
            );
        }
    }

    #[test]
    fn a_switch_is_spelled_as_its_rfc_spells_it_and_frames_nothing() {
        let fields =
            [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", "x"), ("content-length", "0")];
        let text = "HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: websocket|Sec-WebSocket-Accept: x|date: now||";
        check(101, &fields, Some(0), ASKED, text, Coding::None);
    }

    #[test]
    fn a_status_without_a_reason_has_none_and_a_backends_reason_is_kept() {
        assert!(written(460, &[], Some(0), ASKED).0.starts_with("HTTP/1.1 460 |"));
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(460).unwrap();
        let reason = Reason::of(response.status(), b"Checksum Mismatch").unwrap();
        response.extensions_mut().insert(reason);
        let mut out = Vec::new();
        write(&mut out, &response.into_parts().0, Some(0), ASKED, &HeaderValue::from_static("now"));
        assert!(out.starts_with(b"HTTP/1.1 460 Checksum Mismatch\r\n"));
    }
}
