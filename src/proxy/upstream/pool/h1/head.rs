//! The header of a request as it is written, and that of an answer as it is read (RFC 9112 sections 2 to 5). Pure.

use std::mem::MaybeUninit;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode, Uri, Version};

use crate::proxy::forward::{self, PrebuiltHeaders};
use crate::proxy::h1::framing::Framing;
use crate::proxy::h1::length;
use crate::proxy::h1::reason::Reason;
use crate::proxy::h1::spelling::Spelling;
use crate::proxy::upstream::pool::SendError;

/// Fields that a table on the stack has room for: more than nearly every answer has.
const USUAL_FIELDS: usize = 128;
/// Most fields of an answer, and most bytes of its header: far more than any backend sends on purpose.
const MAX_FIELDS: usize = 1024;
const MAX_BYTES: usize = 256 * 1024;

/// Room for what surrounds a request's fields: method, version, ends of lines.
const AROUND: usize = 64;

/// A backend's header cannot be made sense of.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeadError {
    #[error("its header does not follow RFC 9112: {0}")]
    Malformed(#[from] httparse::Error),
    #[error("its header is longer than {MAX_BYTES} bytes, the most that is taken from a backend")]
    TooLong,
    #[error("its header has more than {MAX_FIELDS} fields, the most that are taken from a backend")]
    TooManyFields,
    #[error("its Content-Length is no number up to 2^63-1, or says two")]
    Length,
    #[error("it uses Transfer-Encoding with HTTP/1.0")]
    OldCoding,
}

impl From<HeadError> for SendError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::TooLong | HeadError::TooManyFields => Self::HeaderTooLarge(error.into()),
            HeadError::Malformed(_) | HeadError::Length | HeadError::OldCoding => Self::BadAnswer(error.into()),
        }
    }
}

/// What lies at the beginning of the bytes.
pub(super) enum Found {
    /// Not yet a whole header.
    Part,
    /// A 1xx answer; another one follows (RFC 9110 section 15.2).
    Interim { status: StatusCode, length: usize },
    /// The answer's header.
    Head { head: Head, length: usize },
}

/// An answer's header, and what it says of the connection.
pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) framing: Framing,
    /// Whether another request may follow on the connection (RFC 9112 section 9.3).
    pub(super) persistent: bool,
}

/// How a request's body is framed. What the fields say of it is not written, so that nothing but this is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// There is none.
    None,
    /// By its length.
    Length(u64),
    /// By chunks.
    Chunked,
}

/// Writes the header of a request.
pub(super) fn write(
    out: &mut Vec<u8>,
    (method, uri): (&Method, &Uri),
    headers: &HeaderMap,
    prebuilt: Option<PrebuiltHeaders<'_>>,
    coding: Coding,
) {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let beside = prebuilt.map_or(0, |prebuilt| prebuilt.lines.len() + PrebuiltHeaders::AROUND);
    out.reserve(method.as_str().len() + target.len() + fields + beside + AROUND);
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let begin = out.len();
    let mut found = write_fields(out, headers, Spelling::Lower);
    if found.is_handshake {
        out.truncate(begin);
        found = write_fields(out, headers, Spelling::Canonical);
    }
    if let Some(prebuilt) = prebuilt {
        prebuilt.write(out);
    }
    match coding {
        Coding::None if found.has_length => out.extend_from_slice(b"content-length: 0\r\n\r\n"),
        Coding::None => out.extend_from_slice(b"\r\n"),
        Coding::Length(length) => out.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes()),
        Coding::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n"),
    }
}

/// What a request's fields say of themselves.
struct Written {
    has_length: bool,
    /// Whether it asks to leave HTTP.
    is_handshake: bool,
}

/// Writes the fields that do not frame the body.
fn write_fields(out: &mut Vec<u8>, headers: &HeaderMap, spelling: Spelling) -> Written {
    let mut written = Written { has_length: false, is_handshake: false };
    for (name, value) in headers {
        if name == header::CONTENT_LENGTH || name == header::TRANSFER_ENCODING {
            written.has_length |= name == header::CONTENT_LENGTH;
            continue;
        }
        written.is_handshake |= name == header::UPGRADE;
        spelling.write(name, out);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    written
}

/// Reads the header of an answer to a request by `HEAD` or another method. Its fields are put into what `spare` gives,
/// which is called for a whole header only.
pub(super) fn read(bytes: &[u8], is_head: bool, spare: impl FnOnce() -> HeaderMap) -> Result<Found, HeadError> {
    let mut room = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    let mut large = Vec::new();
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let mut outcome = config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut room);
    if matches!(outcome, Err(httparse::Error::TooManyHeaders)) {
        large.resize(MAX_FIELDS, MaybeUninit::uninit());
        outcome = config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut large);
    }
    let length = match outcome {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() <= MAX_BYTES => return Ok(Found::Part),
        Ok(httparse::Status::Partial) => return Err(HeadError::TooLong),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyFields),
        Err(error) => return Err(error.into()),
    };
    let status = StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(|_| httparse::Error::Status)?;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Found::Interim { status, length });
    }
    let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = version;
    if let Some(reason) = Reason::of(status, parsed.reason.unwrap_or_default().as_bytes()) {
        response.extensions_mut().insert(reason);
    }
    let mut headers = spare();
    let said = fill(&mut headers, parsed.headers)?;
    let framing = framing(&mut headers, &said, version, is_head || bodiless(status))?;
    // Two lengths in one answer: the next one's beginning is not certain enough (RFC 9112 section 6.3). Nor is it behind a 204
    // that has any, which it must not (RFC 9112 section 6.1, RFC 9110 section 8.6): it may be followed by what it announces.
    let is_doubtful = match status {
        StatusCode::NO_CONTENT => said.has(CODING) || said.length.is_some_and(|length| length > 0),
        _ => said.has(CODING) && said.length.is_some(),
    };
    let persistent = said.persists(version) && !is_doubtful && !matches!(framing, Framing::UntilClose);
    *response.headers_mut() = headers;
    Ok(Found::Head { head: Head { response, framing, persistent }, length })
}

/// The `Link` fields of an interim answer that was read already.
pub(super) fn links(bytes: &[u8]) -> Vec<HeaderValue> {
    let mut room = vec![httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut room);
    if parsed.parse(bytes).is_err() {
        return Vec::new();
    }
    let links = parsed.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("link"));
    links.filter_map(|field| HeaderValue::from_bytes(field.value).ok()).collect()
}

/// Statuses without a body, whatever the header says (RFC 9112 section 6.3).
fn bodiless(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// What an answer's fields say of framing and connection.
#[derive(Default)]
struct Said {
    bits: u8,
    length: Option<u64>,
}

const CODING: u8 = 1;
const CLOSE: u8 = 1 << 1;
const KEEP: u8 = 1 << 2;
/// The length is said more than once.
const AGAIN: u8 = 1 << 3;

impl Said {
    const fn has(&self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    fn persists(&self, version: Version) -> bool {
        !self.has(CLOSE) && (version == Version::HTTP_11 || self.has(KEEP))
    }

    /// One length, though it may be said twice; by digits alone, without sign or blank (RFC 9110 section 8.6).
    fn length(&mut self, value: &[u8]) -> Result<(), HeadError> {
        for number in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            let number = length::read(number).ok_or(HeadError::Length)?;
            match self.length.replace(number) {
                Some(other) if other != number => return Err(HeadError::Length),
                Some(_) => self.bits |= AGAIN,
                None => (),
            }
        }
        Ok(())
    }
}

fn fill(headers: &mut HeaderMap, fields: &[httparse::Header<'_>]) -> Result<Said, HeadError> {
    let mut said = Said::default();
    headers.reserve(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| httparse::Error::HeaderName)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| httparse::Error::HeaderValue)?;
        match name {
            header::TRANSFER_ENCODING => said.bits |= CODING,
            header::CONTENT_LENGTH => said.length(field.value)?,
            header::CONNECTION => said.bits |= connection(&value),
            _ => (),
        }
        headers.append(name, value);
    }
    Ok(said)
}

fn connection(value: &HeaderValue) -> u8 {
    let said = |option, bit| if forward::lists(value, option) { bit } else { 0 };
    said("close", CLOSE) | said("keep-alive", KEEP)
}

/// How the body is framed (RFC 9112 section 6.3). Of two lengths the weaker is taken out, and of one length said twice the
/// second.
fn framing(headers: &mut HeaderMap, said: &Said, version: Version, bodiless: bool) -> Result<Framing, HeadError> {
    if said.has(CODING) {
        if version == Version::HTTP_10 {
            return Err(HeadError::OldCoding);
        }
        headers.remove(header::CONTENT_LENGTH);
    } else if let Some(length) = said.length.filter(|_| said.has(AGAIN)) {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    Ok(match said.length {
        _ if bodiless => Framing::Sized(0),
        _ if said.has(CODING) && is_chunked(headers) => Framing::chunked(),
        Some(length) if !said.has(CODING) => Framing::Sized(length),
        Some(_) | None => Framing::UntilClose,
    })
}

fn is_chunked(headers: &HeaderMap) -> bool {
    let last = headers.get_all(header::TRANSFER_ENCODING).iter().next_back();
    let last = last.and_then(|value| value.as_bytes().rsplit(|byte| *byte == b',').next());
    last.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_as_its_fields_stand_and_framed_in_one_way() {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("a.example"));
        headers.append("cookie", HeaderValue::from_static("a=1"));
        headers.append("cookie", HeaderValue::from_static("b=2"));
        let check = |headers: &HeaderMap, method: Method, uri: &'static str, coding: Coding, expected: &str| {
            let mut out = Vec::new();
            write(&mut out, (&method, &Uri::from_static(uri)), headers, None, coding);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        let fields = "host: a.example\r\ncookie: a=1\r\ncookie: b=2\r\n";
        check(&headers, Method::GET, "/a%20b?c=d&e", Coding::None, &format!("GET /a%20b?c=d&e HTTP/1.1\r\n{fields}\r\n"));
        check(&headers, Method::OPTIONS, "*", Coding::None, &format!("OPTIONS * HTTP/1.1\r\n{fields}\r\n"));
        let mut asks = headers.clone();
        asks.insert("upgrade", HeaderValue::from_static("websocket"));
        asks.insert("sec-websocket-key", HeaderValue::from_static("x"));
        let spelled = "Host: a.example\r\nCookie: a=1\r\nCookie: b=2\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n";
        check(&asks, Method::GET, "/", Coding::None, &format!("GET / HTTP/1.1\r\n{spelled}\r\n"));
        headers.insert("content-length", HeaderValue::from_static("7"));
        headers.insert("transfer-encoding", HeaderValue::from_static("gzip"));
        for (coding, line) in [
            (Coding::None, "content-length: 0"),
            (Coding::Length(5), "content-length: 5"),
            (Coding::Chunked, "transfer-encoding: chunked"),
        ] {
            check(&headers, Method::PUT, "/", coding, &format!("PUT / HTTP/1.1\r\n{fields}{line}\r\n\r\n"));
        }
    }

    /// An answer's framing, whether the connection goes on, and its lengths; or what is wrong with it.
    fn read_as(lines: &str, is_head: bool) -> String {
        let bytes = format!("{lines}\r\n\r\nbody").replace('|', "\r\n");
        match read(bytes.as_bytes(), is_head, HeaderMap::new) {
            Ok(Found::Part) => "part".to_owned(),
            Ok(Found::Interim { status, .. }) => format!("interim {}", status.as_u16()),
            Ok(Found::Head { head, length }) => {
                assert_eq!(&bytes[length..], "body");
                let lengths: Vec<_> = head.response.headers().get_all("content-length").iter().collect();
                let goes_on = if head.persistent { "on" } else { "closes" };
                let framing = match head.framing {
                    Framing::Sized(length) => format!("Sized({length})"),
                    Framing::Chunks(_) => "Chunks".to_owned(),
                    Framing::UntilClose => "UntilClose".to_owned(),
                };
                format!("{} {framing} {goes_on} {lengths:?}", head.response.status().as_u16())
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_answer_is_framed_in_one_way_only() {
        let check = |lines: &str, expected: &str| assert_eq!(read_as(lines, false), expected, "{lines}");
        check("HTTP/1.1 200 OK|content-length: 5", r#"200 Sized(5) on ["5"]"#);
        check("HTTP/1.1 200 OK|content-length: 5|Content-Length: 5", r#"200 Sized(5) on ["5"]"#);
        check("HTTP/1.1 200 OK|content-length: 5, 5", r#"200 Sized(5) on ["5"]"#);
        check("HTTP/1.1 200 OK|Transfer-Encoding: gzip, Chunked", "200 Chunks on []");
        check("HTTP/1.1 200 OK|transfer-encoding: chunked|content-length: 5", "200 Chunks closes []");
        check("HTTP/1.1 200 OK|transfer-encoding: chunked, gzip", "200 UntilClose closes []");
        check("HTTP/1.1 200", "200 UntilClose closes []");
        check("HTTP/1.1 204 No Content|content-length: 5", r#"204 Sized(0) closes ["5"]"#);
        check("HTTP/1.1 204 No Content|transfer-encoding: chunked", "204 Sized(0) closes []");
        check("HTTP/1.1 204 No Content|content-length: 0", r#"204 Sized(0) on ["0"]"#);
        check("HTTP/1.1 304 Not Modified|content-length: 5", r#"304 Sized(0) on ["5"]"#);
        check("HTTP/1.1 304 Not Modified|transfer-encoding: chunked", "304 Sized(0) on []");
        check("HTTP/1.1 101 Switching Protocols|upgrade: websocket", "101 Sized(0) on []");
        check("HTTP/1.1 103 Early Hints|link: </a>", "interim 103");
        check("HTTP/1.1 200 OK|x", "its header does not follow RFC 9112: invalid header name");
        for length in ["5, 6", "", "+5", "-5", "5 5", "0x5", "99999999999999999999", "9223372036854775808"] {
            check(
                &format!("HTTP/1.1 200 OK|content-length: {length}"),
                "its Content-Length is no number up to 2^63-1, or says two",
            );
        }
        check("HTTP/1.1 200 OK|content-length: 5|content-length: 6", "its Content-Length is no number up to 2^63-1, or says two");
        check("HTTP/1.0 200 OK|transfer-encoding: chunked", "it uses Transfer-Encoding with HTTP/1.0");
        assert_eq!(read_as("HTTP/1.1 200 OK|content-length: 5", true), r#"200 Sized(0) on ["5"]"#);
    }

    #[test]
    fn a_connection_goes_on_by_version_and_word() {
        let goes_on = |lines: &str| read_as(&format!("{lines}|content-length: 0"), false).contains(" on ");
        assert!(goes_on("HTTP/1.1 200 OK"));
        assert!(goes_on("HTTP/1.0 200 OK|connection: Keep-Alive"));
        assert!(!goes_on("HTTP/1.0 200 OK"));
        assert!(!goes_on("HTTP/1.1 200 OK|connection: foo, Close"));
        assert!(!goes_on("HTTP/1.1 200 OK|connection: close|connection: keep-alive"));
    }

    #[test]
    fn a_header_is_bounded_in_bytes_and_fields() {
        let part = |length: usize| format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(length));
        assert!(matches!(read(part(1000).as_bytes(), false, HeaderMap::new), Ok(Found::Part)));
        assert!(matches!(read(part(MAX_BYTES).as_bytes(), false, HeaderMap::new), Err(HeadError::TooLong)));
        let many = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(count));
        for count in [USUAL_FIELDS, USUAL_FIELDS + 1, MAX_FIELDS] {
            let bytes = many(count);
            let Ok(Found::Head { head, length }) = read(bytes.as_bytes(), false, HeaderMap::new) else {
                panic!("{count} fields are taken");
            };
            assert_eq!((head.response.headers().len(), length), (count, bytes.len()));
            assert!(matches!(read(&bytes.as_bytes()[..length - 1], false, HeaderMap::new), Ok(Found::Part)));
        }
        assert!(matches!(read(many(MAX_FIELDS + 1).as_bytes(), false, HeaderMap::new), Err(HeadError::TooManyFields)));
    }
}
