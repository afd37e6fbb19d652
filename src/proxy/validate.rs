//! What a request asks for, read in exactly one way or refused: method, target, authority, path and framing. Pure.
//!
//! hyper has already refused what is no HTTP at all: a bare line feed inside a field, folded fields, two different lengths,
//! a coding that does not end in `chunked`. Here is refused what two servers could read differently.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{self, HeaderMap};
use http::{Method, Uri, Version};

use super::h1::length;
use super::refusal::{Malformed, Refusal};
use crate::base::name::{HostName, HostPattern};
use crate::config::settings::GatewayLimits;

/// Longest method passed on.
const METHOD: usize = 32;

/// The host a request asks for, in normal form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name.
    Name(HostName),
    /// An address literal.
    Ip(IpAddr),
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Refuses methods and target forms that a gateway does not take (RFC 9112 section 3.2). `extended` says whether the
/// request is an extended CONNECT (RFC 8441 section 4).
pub fn target(method: &Method, uri: &Uri, extended: bool) -> Result<(), Refusal> {
    if *method == Method::TRACE || method.as_str().len() > METHOD || (*method == Method::CONNECT && !extended) {
        return Err(Refusal::Method);
    }
    let known_scheme = match uri.scheme_str() {
        Some(scheme) => scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http"),
        None => uri.authority().is_none(),
    };
    let path = uri.path();
    let whole_server = *method == Method::OPTIONS && path == "*";
    if known_scheme && (path.starts_with('/') || whole_server) { Ok(()) } else { Err(Refusal::Malformed(Malformed::Target)) }
}

/// Refuses what is over the gateway's limits. The protocols take a little more than these allow, so that what is a little
/// too much gets a page and its own line in the log; what is far too much they refuse themselves.
pub fn within(limits: &GatewayLimits, version: Version, uri: &Uri, headers: &HeaderMap) -> Result<usize, Refusal> {
    let (url, limit) = (size(uri), limits.url_size.bytes());
    if url > limit {
        return Err(Refusal::UrlTooLong { seen: url, limit });
    }
    let most = usize::try_from(limits.header_count).unwrap_or(usize::MAX);
    if headers.len() > most {
        let seen = headers.len() - further_crumbs(version, headers);
        if seen > most {
            return Err(Refusal::TooManyHeaders { seen, limit: most });
        }
    }
    let (seen, limit) = (url + section(headers), limits.header_size.bytes());
    if seen <= limit {
        return Ok(seen);
    }
    let seen = seen - further_crumbs(version, headers) * CRUMB;
    if seen > limit { Err(Refusal::HeaderTooLong { seen, limit }) } else { Ok(seen) }
}

/// What a further field costs a cookie compared to HTTP/1.1, where all are in one: `cookie: ` and an end of line for `; `.
const CRUMB: usize = "cookie: \r\n".len() - "; ".len();

/// Over HTTP/2 and HTTP/3 a client may send each cookie as a field of its own (RFC 9113 section 8.2.3, RFC 9114 section
/// 4.2.1). A backend gets one field, and limits count one.
fn further_crumbs(version: Version, headers: &HeaderMap) -> usize {
    if version <= Version::HTTP_11 { 0 } else { headers.get_all(header::COOKIE).iter().count().saturating_sub(1) }
}

/// How long a target is, in bytes.
fn size(uri: &Uri) -> usize {
    uri.path_and_query().map_or(0, |target| target.as_str().len())
}

/// How long a header section is as HTTP/1.1 writes it, in bytes.
fn section(headers: &HeaderMap) -> usize {
    const COLON_AND_LINE_END: usize = 4;
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + COLON_AND_LINE_END).sum()
}

/// The authority as the client wrote it; `None` only for HTTP/1.0 without any. Host and target must agree where both are
/// there, although RFC 9112 section 3.2.2 would let the target win: some backend behind us reads the other one.
pub fn authority<'a>(version: Version, uri: &'a Uri, headers: &'a HeaderMap) -> Result<Option<&'a [u8]>, Malformed> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().map(http::HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(Malformed::Host);
    }
    let target = uri.authority().map(|authority| authority.as_str().as_bytes());
    match (target, host) {
        (Some(target), Some(host)) if !target.eq_ignore_ascii_case(host) => Err(Malformed::HostMismatch),
        (Some(target), _) => Ok(Some(target)),
        (None, Some(host)) => Ok(Some(host)),
        (None, None) if version == Version::HTTP_10 => Ok(None),
        (None, None) => Err(Malformed::Host),
    }
}

/// Reads `host`, `host:port`, `[v6]` or `[v6]:port`.
pub fn host(authority: &[u8]) -> Result<(Host, Option<u16>), Malformed> {
    let text = std::str::from_utf8(authority).map_err(|_| Malformed::HostSyntax)?;
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = match port {
        None | Some("") => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().map_err(|_| Malformed::HostSyntax)?),
        Some(_) => return Err(Malformed::HostSyntax),
    };
    match HostPattern::parse(host) {
        Ok(HostPattern::Exact(name)) => Ok((Host::Name(name), port)),
        Ok(HostPattern::Ip(ip)) if ip.is_ipv4() || host.starts_with('[') => Ok((Host::Ip(ip), port)),
        Ok(HostPattern::Ip(_) | HostPattern::Wildcard(_) | HostPattern::Any) | Err(_) => Err(Malformed::HostSyntax),
    }
}

/// The path as routes compare it: escapes decoded (an encoded slash too, since many backends decode it), backslashes and
/// repeated slashes made one slash. What is forwarded stays as it was written. Refused are dot segments in any disguise,
/// zero and other control bytes, and broken escapes, because a rule for `/admin/*` must mean what the backend will read.
pub fn path(path: &str) -> Result<Cow<'_, str>, Malformed> {
    if is_plain(path) { Ok(Cow::Borrowed(path)) } else { decoded(path).map(Cow::Owned) }
}

fn is_plain(path: &str) -> bool {
    let mut after_slash = false;
    path.bytes().all(|byte| {
        let suspect = matches!(byte, b'%' | b'\\') || (after_slash && matches!(byte, b'/' | b'.'));
        after_slash = byte == b'/';
        !suspect
    })
}

fn decoded(path: &str) -> Result<String, Malformed> {
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => escape(bytes.next(), bytes.next()).ok_or(Malformed::Path)?,
            b'\\' => b'/',
            other => other,
        };
        let byte = if byte == b'\\' { b'/' } else { byte };
        if byte < 0x20 || byte == 0x7f {
            return Err(Malformed::Path);
        }
        if byte != b'/' || out.last() != Some(&b'/') {
            out.push(byte);
        }
    }
    let text = String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    // Some servers cut `;parameters` off a segment before they look at it.
    let dots = text.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")));
    if dots { Err(Malformed::Path) } else { Ok(text) }
}

/// What lies behind `prefix` in a path as it was written, with one slash in front; `None` where the path, read as [`path`]
/// reads it, does not lie below the prefix. As many written segments are cut off as the prefix has, however they were
/// written: `/%61pp/x`, `//app//x` and `/app%2Fx` lie below `/app` at `/x`. `prefix` has no final slash.
pub fn behind(written: &str, prefix: &str) -> Option<String> {
    let mut units = Units { text: written, slash: false };
    for byte in prefix.bytes() {
        let next = units.next()?;
        if next != byte {
            return None;
        }
    }
    match units.next() {
        None => Some(String::new()),
        // The rest of a run of slashes belongs to the same separator.
        Some(b'/') => Some(format!("/{}", units.behind_slashes())),
        Some(_) => None,
    }
}

/// The bytes of a written path as [`path`] reads them.
struct Units<'a> {
    text: &'a str,
    /// Whether the last one was a slash.
    slash: bool,
}

impl<'a> Units<'a> {
    /// The byte at the front, and what is behind it.
    fn front(&self) -> Option<(u8, &'a str)> {
        let bytes = self.text.as_bytes();
        let (byte, length) = match *bytes.first()? {
            b'%' => (escape(bytes.get(1).copied(), bytes.get(2).copied())?, 3),
            byte => (byte, 1),
        };
        let byte = if byte == b'\\' { b'/' } else { byte };
        // A target is ASCII, and so is every front of it.
        Some((byte, self.text.get(length..)?))
    }

    fn next(&mut self) -> Option<u8> {
        loop {
            let (byte, rest) = self.front()?;
            self.text = rest;
            let again = byte == b'/' && self.slash;
            self.slash = byte == b'/';
            if !again {
                return Some(byte);
            }
        }
    }

    fn behind_slashes(&mut self) -> &'a str {
        while let Some((b'/', rest)) = self.front() {
            self.text = rest;
        }
        self.text
    }
}

/// A path without the parameters of its segments (`/a;x=1/b` is `/a/b`), as Tomcat and other Java servers read it. `path` is
/// in the form that [`path`] gives.
pub fn without_parameters(path: &str) -> String {
    let segments = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    let mut bare = String::with_capacity(path.len());
    for segment in segments.filter(|segment| !segment.is_empty()) {
        bare.push('/');
        bare.push_str(segment);
    }
    if path.ends_with('/') || bare.is_empty() {
        bare.push('/');
    }
    bare
}

fn escape(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Refuses a second `Authorization`: its value is one, and no list (RFC 9110 sections 5.3 and 11.6.2). This gateway would
/// check the first, and a backend might take the last. nginx refuses it too; servers in Go read the first.
pub fn credentials(headers: &HeaderMap) -> Result<(), Malformed> {
    let second = headers.get_all(header::AUTHORIZATION).iter().nth(1);
    if second.is_some() { Err(Malformed::Authorization) } else { Ok(()) }
}

/// Whether the body's framing can be passed on unambiguously: one coding `chunked` or none, and a length only where it is
/// the body's (RFC 9112 section 6). Says whether the body is chunked.
pub fn framing(headers: &HeaderMap, empty: bool) -> Result<bool, Malformed> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next();
    if codings.next().is_some() || coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(Malformed::Framing);
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    match lengths.next() {
        Some(_) if coding.is_some() || lengths.next().is_some() => Err(Malformed::Framing),
        // A length of 010 is ten by RFC 9110 section 8.6, and eight to who reads it as C does.
        Some(length) if length.len() > 1 && length.as_bytes().starts_with(b"0") => Err(Malformed::Framing),
        Some(value) if length::read(value.as_bytes()).is_none() => Err(Malformed::Length),
        Some(length) if empty && length != "0" => Err(Malformed::Framing),
        Some(_) | None => Ok(coding.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::size::ByteSize;
    use crate::config::defaults;
    use crate::config::environment::Environment;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        map
    }

    #[test]
    fn host_and_target_must_say_the_same() {
        let check = |version, uri: &str, hosts: &[&str], expected: Result<Option<&str>, Malformed>| {
            let fields: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            let (uri, headers) = (uri.parse().unwrap(), headers(&fields));
            assert_eq!(authority(version, &uri, &headers), expected.map(|a| a.map(str::as_bytes)), "for {uri} {hosts:?}");
        };
        check(Version::HTTP_11, "/", &["a.test"], Ok(Some("a.test")));
        check(Version::HTTP_11, "/", &[], Err(Malformed::Host));
        check(Version::HTTP_11, "/", &["a.test", "a.test"], Err(Malformed::Host));
        check(Version::HTTP_11, "http://a.test/", &["A.test"], Ok(Some("a.test")));
        check(Version::HTTP_11, "http://a.test/", &["b.test"], Err(Malformed::HostMismatch));
        check(Version::HTTP_2, "https://a.test/", &[], Ok(Some("a.test")));
        check(Version::HTTP_2, "https://a.test/", &["b.test"], Err(Malformed::HostMismatch));
        check(Version::HTTP_10, "/", &[], Ok(None));
    }

    #[test]
    fn each_limit_is_told_apart() {
        let limits = GatewayLimits {
            header_size: ByteSize(100),
            header_count: 2,
            url_size: ByteSize(8),
            ..defaults::settings(&Environment::default()).limits
        };
        let check = |uri: &str, fields: &[(&str, &str)], expected: Result<(), Refusal>| {
            let seen = within(&limits, Version::HTTP_11, &uri.parse().unwrap(), &headers(fields)).map(|_| ());
            assert_eq!(seen, expected, "for {uri} {fields:?}");
        };
        let long = "x".repeat(87);
        check("/1234567", &[("a", &long)], Ok(()));
        check("/12345678", &[], Err(Refusal::UrlTooLong { seen: 9, limit: 8 }));
        check("/", &[("a", "1"), ("a", "2"), ("b", "3")], Err(Refusal::TooManyHeaders { seen: 3, limit: 2 }));
        check("/1234567", &[("ab", &long)], Err(Refusal::HeaderTooLong { seen: 101, limit: 100 }));
    }

    #[test]
    fn cookies_count_as_one_field_in_every_version() {
        let limits =
            GatewayLimits { header_size: ByteSize(120), header_count: 2, ..defaults::settings(&Environment::default()).limits };
        let check = |version, fields: &[(&str, &str)], expected: Result<(), Refusal>| {
            let seen = within(&limits, version, &Uri::from_static("/"), &headers(fields)).map(|_| ());
            assert_eq!(seen, expected, "for {version:?} {fields:?}");
        };
        let crumbs: Vec<_> = (0..20).map(|_| ("cookie", "a=1")).collect();
        let joined = vec!["a=1"; 20].join("; ");
        for version in [Version::HTTP_2, Version::HTTP_3] {
            check(version, &crumbs, Ok(()));
            check(version, &[&crumbs[..], &[("b", "2")]].concat(), Ok(()));
            let fields = [&crumbs[..], &[("b", "2"), ("c", "3")]].concat();
            check(version, &fields, Err(Refusal::TooManyHeaders { seen: 3, limit: 2 }));
            let fields = [&crumbs[..], &[("b", "12345678")]].concat();
            check(version, &fields, Err(Refusal::HeaderTooLong { seen: 122, limit: 120 }));
        }
        check(Version::HTTP_11, &[("cookie", &joined), ("b", "12345678")], Err(Refusal::HeaderTooLong { seen: 122, limit: 120 }));
        check(Version::HTTP_11, &crumbs, Err(Refusal::TooManyHeaders { seen: 20, limit: 2 }));
    }

    #[test]
    fn a_host_has_one_normal_form() {
        let check = |text: &str, expected: Result<(&str, Option<u16>), Malformed>| {
            let seen = host(text.as_bytes()).map(|(host, port)| (host.to_string(), port));
            assert_eq!(seen, expected.map(|(host, port)| (host.to_owned(), port)), "for {text:?}");
        };
        check("Example.COM.", Ok(("example.com", None)));
        check("example.com:8443", Ok(("example.com", Some(8443))));
        check("example.com:", Ok(("example.com", None)));
        check("192.0.2.1:80", Ok(("192.0.2.1", Some(80))));
        check("[2001:DB8::1]:443", Ok(("[2001:db8::1]", Some(443))));
        check("[2001:db8::1]", Ok(("[2001:db8::1]", None)));
        for bad in
            ["", "a b", "a.test:99999", "a.test:+1", "u@a.test", "*.test", "2001:db8::1", "a.test/x", "a.test:80:80", "[::1"]
        {
            check(bad, Err(Malformed::HostSyntax));
        }
    }

    #[test]
    fn methods_and_targets_of_other_proxies_are_refused() {
        let check = |method: &str, uri: &str, extended, expected: Result<(), Refusal>| {
            assert_eq!(target(&method.parse().unwrap(), &uri.parse().unwrap(), extended), expected, "for {method} {uri}");
        };
        let bad = || Err(Refusal::Malformed(Malformed::Target));
        check("GET", "/a?b", false, Ok(()));
        check("GET", "http://a.test/", false, Ok(()));
        check("GET", "ftp://a.test/", false, bad());
        check("GET", "a.test:80", false, bad());
        check("OPTIONS", "*", false, Ok(()));
        check("GET", "*", false, bad());
        check("CONNECT", "a.test:443", false, Err(Refusal::Method));
        check("CONNECT", "https://a.test/ws", true, Ok(()));
        check("TRACE", "/", false, Err(Refusal::Method));
        check(&"M".repeat(33), "/", false, Err(Refusal::Method));
    }

    #[test]
    fn paths_are_compared_as_a_backend_will_read_them() {
        let check = |text: &str, expected: Result<&str, Malformed>| {
            assert_eq!(path(text).as_deref().map_err(|e| *e), expected, "for {text:?}");
        };
        check("/a/b.c", Ok("/a/b.c"));
        check("/.well-known/x", Ok("/.well-known/x"));
        check("/a%20b/%C3%BC", Ok("/a b/ü"));
        check("/group%2Fproject", Ok("/group/project"));
        check("/%61dmin//x", Ok("/admin/x"));
        check("/a...b/..c", Ok("/a...b/..c"));
        for bad in [
            "/../etc",
            "/a/..",
            "/a/./b",
            "/%2e%2e/x",
            "/.%2E/x",
            "/a%2f..%2fb",
            "/a\\..\\b",
            "/a%5c..%5cb",
            "/..;x/b",
            "/a%00b",
            "/a%0d%0ab",
            "/a%",
            "/a%2",
            "/a%zz",
        ] {
            check(bad, Err(Malformed::Path));
        }
    }

    #[test]
    fn a_prefix_is_found_however_it_was_written() {
        let check = |written: &str, expected: Option<&str>| {
            assert_eq!(behind(written, "/app").as_deref(), expected, "for {written}");
            // Cutting means the same as matching does.
            let path = path(written).unwrap();
            let below = path.strip_prefix("/app").filter(|rest| rest.is_empty() || rest.starts_with('/'));
            assert_eq!(
                behind(written, "/app").map(|rest| super::path(&rest).unwrap().into_owned()).as_deref(),
                below,
                "for {written}"
            );
        };
        for written in ["/app/x", "/%61pp/x", "//app/x", "/app%2Fx", "/app%5cx", "/app//x", "/%2fapp/%2f/x", "/a%70%70/x"] {
            check(written, Some("/x"));
        }
        check("/app", Some(""));
        check("/app/", Some("/"));
        check("/app//", Some("/"));
        check("/app/x%2Fy//z%20", Some("/x%2Fy//z%20"));
        for written in ["/", "/ap", "/appx", "/apps/x", "/b/app", "/App/x", "/app;x/y", "/app%00"] {
            if path(written).is_ok() {
                check(written, None);
            }
        }
        assert_eq!(behind("/my%20app/x", "/my app").as_deref(), Some("/x"));
        assert_eq!(behind("/%C3%BC/x", "/ü").as_deref(), Some("/x"));
    }

    #[test]
    fn parameters_of_segments_are_taken_out() {
        for (path, expected) in
            [("/a;x/b;y=1;z", "/a/b"), ("/a/b", "/a/b"), ("/;x/a/", "/a/"), ("/;x", "/"), ("/a/;x", "/a"), ("/", "/")]
        {
            assert_eq!(without_parameters(path), expected, "for {path}");
        }
    }

    #[test]
    fn there_is_one_authorization_at_most() {
        assert_eq!(credentials(&headers(&[("accept", "x")])), Ok(()));
        assert_eq!(credentials(&headers(&[("authorization", "Basic x")])), Ok(()));
        let twice = headers(&[("authorization", "Bearer a"), ("authorization", "Bearer a")]);
        assert_eq!(credentials(&twice), Err(Malformed::Authorization));
    }

    #[test]
    fn a_body_has_one_framing() {
        let check = |fields: &[(&str, &str)], empty, expected: Result<bool, Malformed>| {
            assert_eq!(framing(&headers(fields), empty), expected, "for {fields:?}");
        };
        check(&[], true, Ok(false));
        check(&[("content-length", "5")], false, Ok(false));
        check(&[("content-length", "0")], true, Ok(false));
        check(&[("content-length", "5")], true, Err(Malformed::Framing));
        check(&[("content-length", "010")], false, Err(Malformed::Framing));
        check(&[("content-length", "9223372036854775807")], false, Ok(false));
        check(&[("content-length", "9223372036854775808")], false, Err(Malformed::Length));
        check(&[("content-length", "00")], true, Err(Malformed::Framing));
        check(&[("content-length", "5"), ("content-length", "5")], false, Err(Malformed::Framing));
        check(&[("transfer-encoding", "Chunked")], false, Ok(true));
        check(&[("transfer-encoding", "gzip, chunked")], false, Err(Malformed::Framing));
        check(&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], false, Err(Malformed::Framing));
        check(&[("transfer-encoding", "chunked"), ("content-length", "5")], false, Err(Malformed::Framing));
    }
}
