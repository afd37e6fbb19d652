//! From header sections to requests and trailers. What two readers could take for two messages is malformed (RFC 9114
//! sections 4.1.2 and 4.3).

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri, Version};

use super::qpack::decode::{Field, Section};
use crate::listeners::field::{Judgement, Kind};
use crate::proxy::refusal::WrongField;

/// A message that cannot be read in one way; the client's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message is malformed")]
pub struct Malformed;

/// The pseudo-header fields, in the order in which they came.
#[derive(Default)]
struct Pseudo {
    method: Option<Method>,
    scheme: Option<()>,
    authority: Option<HeaderValue>,
    path: Option<PathAndQuery>,
}

/// A request's header. The target is in origin form and the authority in `Host`, as HTTP/1.1 has them. What is wrong with one
/// field makes a request that is answered so: its extension says what.
pub fn request(section: &Section) -> Result<Request<()>, Malformed> {
    let mut fields = section.fields().peekable();
    let (mut pseudo, mut wrong) = (Pseudo::default(), None);
    while let Some(field) = fields.next_if(|field| field.name().starts_with(b":")) {
        pseudo.take(field, &mut wrong)?;
    }
    let mut headers = HeaderMap::with_capacity(fields.len() + 1);
    for field in fields {
        if field.name().starts_with(b":") {
            return Err(Malformed);
        }
        match regular(field) {
            Ok((name, value)) => drop(headers.append(name, value)),
            Err(found) => drop(wrong.get_or_insert(found)),
        }
    }
    let mut request = pseudo.into_request(headers)?;
    if let Some(wrong) = wrong {
        request.extensions_mut().insert(wrong);
    }
    Ok(request)
}

/// A message's trailers.
pub fn trailers(section: &Section) -> Result<HeaderMap, Malformed> {
    let mut headers = HeaderMap::with_capacity(section.fields().len());
    for field in section.fields() {
        let (name, value) = regular(field).map_err(|_wrong| Malformed)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// How long a body says it is, where it says so in one way; everything else is told from each other later.
pub fn length(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let (length, None) = (lengths.next()?, lengths.next()) else { return None };
    let digits = length.as_bytes().iter().all(u8::is_ascii_digit);
    length.to_str().ok().filter(|_| digits)?.parse().ok()
}

/// A field that is none of the pseudo-header, nor of a connection (RFC 9114 section 4.2).
fn regular(field: Field<'_>) -> Result<(HeaderName, HeaderValue), WrongField> {
    let kind = Kind::of(field.name());
    let is_plain = matches!(kind, Kind::Regular | Kind::Te | Kind::Length);
    match kind.judge(field.value()) {
        Judgement::Wrong(wrong) => return Err(wrong),
        Judgement::Sound | Judgement::Encoded(_) | Judgement::Target(..) if is_plain => (),
        Judgement::Sound | Judgement::Encoded(_) | Judgement::Target(..) => return Err(WrongField::Pseudo),
    }
    let name = field.header_name().ok_or(WrongField::Name)?;
    Ok((name, field.header_value().ok_or(WrongField::Value)?))
}

/// Stands for a method that is none.
const NO_METHOD: &[u8] = b"-";

impl Pseudo {
    /// Takes the next one. A value that is wrong is noted, and another one stands for it.
    fn take(&mut self, field: Field<'_>, wrong: &mut Option<WrongField>) -> Result<(), Malformed> {
        let kind = Kind::of(field.name());
        let (mut target, mut sound) = (None, true);
        match kind.judge(field.value()) {
            Judgement::Sound => (),
            Judgement::Encoded(encoded) => target = Some(encoded),
            Judgement::Target(byte, shown) => {
                target = Some(shown);
                wrong.get_or_insert(WrongField::Path(byte));
            }
            Judgement::Wrong(found) => {
                sound = false;
                wrong.get_or_insert(found);
            }
        }
        match kind {
            Kind::Method => once(&mut self.method, Method::from_bytes(if sound { field.value() } else { NO_METHOD }).ok()),
            Kind::Scheme => {
                let known = [&b"https"[..], b"http"].iter().any(|scheme| field.value().eq_ignore_ascii_case(scheme));
                once(&mut self.scheme, known.then_some(()))
            }
            // One that is wrong is not looked at.
            Kind::Authority if !sound => Ok(()),
            Kind::Authority => once(&mut self.authority, field.header_value().filter(|value| !value.is_empty())),
            Kind::Path => once(
                &mut self.path,
                match target {
                    Some(target) => PathAndQuery::try_from(String::from(target)).ok(),
                    None => PathAndQuery::from_maybe_shared(field.value_bytes()).ok(),
                },
            ),
            // Also `:protocol`: we do not offer what it is for (RFC 9220).
            Kind::Protocol | Kind::OfConnection | Kind::Te | Kind::Length | Kind::Regular | Kind::Wrong(_) => Err(Malformed),
        }
    }

    fn into_request(self, mut headers: HeaderMap) -> Result<Request<()>, Malformed> {
        let method = self.method.ok_or(Malformed)?;
        let mut request = Request::new(());
        *request.uri_mut() = match (self.path, self.scheme, &self.authority) {
            // To be refused, as one that is well formed (RFC 9114 section 4.4).
            (None, None, Some(authority)) if method == Method::CONNECT => {
                Uri::try_from(authority.as_bytes()).map_err(|_| Malformed)?
            }
            (Some(path), Some(()), _) if method != Method::CONNECT => Uri::from(path),
            _ => return Err(Malformed),
        };
        if let Some(authority) = self.authority {
            match headers.get(header::HOST) {
                Some(host) if !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) => return Err(Malformed),
                Some(_) => (),
                None => drop(headers.insert(header::HOST, authority)),
            }
        }
        *request.method_mut() = method;
        *request.version_mut() = Version::HTTP_3;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

fn once<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), Malformed> {
    match (place.is_some(), value) {
        (false, Some(value)) => {
            *place = Some(value);
            Ok(())
        }
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::qpack::decode::decode;
    use super::*;

    fn section(fields: &[(&str, &str)]) -> Section {
        let mut block = vec![0, 0];
        for (name, value) in fields {
            assert!(name.len() < 7 + 128 && value.len() < 127);
            match u8::try_from(name.len()).unwrap() {
                short @ 0..7 => block.push(0x20 | short),
                long => block.extend([0x27, long - 7]),
            }
            block.extend_from_slice(name.as_bytes());
            block.push(u8::try_from(value.len()).unwrap());
            block.extend_from_slice(value.as_bytes());
        }
        decode(&block, 10_000).unwrap()
    }

    const GET: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/x?y")];

    fn check(fields: &[(&str, &str)], expected: Result<&str, Malformed>) {
        let seen = request(&section(fields)).map(|request| {
            let headers: String = request.headers().iter().map(|(n, v)| format!(" {n}={}", v.to_str().unwrap())).collect();
            format!("{} {}{headers}", request.method(), request.uri())
        });
        assert_eq!(seen.as_deref().map_err(|e| *e), expected, "for {fields:?}");
    }

    #[test]
    fn a_request_looks_as_one_of_http_1_does() {
        check(&GET, Ok("GET /x?y host=a.test"));
        check(&[&GET[..], &[("cookie", "a"), ("cookie", "b")]].concat(), Ok("GET /x?y cookie=a cookie=b host=a.test"));
        check(&[&GET[..], &[("host", "A.test")]].concat(), Ok("GET /x?y host=A.test"));
        check(&[&GET[..], &[("te", "trailers")]].concat(), Ok("GET /x?y te=trailers host=a.test"));
        check(&[GET[3], GET[0], GET[1], ("host", "b.test")], Ok("GET /x?y host=b.test"));
        check(&[(":method", "OPTIONS"), GET[1], GET[2], (":path", "*")], Ok("OPTIONS * host=a.test"));
        check(&[(":method", "CONNECT"), (":authority", "a.test:443")], Ok("CONNECT a.test:443 host=a.test:443"));
        assert_eq!(request(&section(&GET)).unwrap().version(), Version::HTTP_3);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_malformed() {
        for missing in [0, 1, 3] {
            let mut fields = GET.to_vec();
            fields.remove(missing);
            check(&fields, Err(Malformed));
        }
        for double in GET {
            check(&[&GET[..], &[double]].concat(), Err(Malformed));
        }
        for more in [(":protocol", "websocket"), (":status", "200"), (":unheard-of", "x"), ("host", "b.test")] {
            check(&[&GET[..], &[more]].concat(), Err(Malformed));
        }
        check(&[GET[0], GET[1], GET[2], ("a", "b"), GET[3]], Err(Malformed));
        check(&[GET[0], (":scheme", "ftp"), GET[2], GET[3]], Err(Malformed));
        check(&[GET[0], GET[1], (":authority", ""), GET[3]], Err(Malformed));
        check(&[GET[0], GET[1], GET[2], (":path", "")], Err(Malformed));
        check(&[(":method", "CONNECT"), GET[1], GET[2], GET[3]], Err(Malformed));
    }

    #[test]
    fn a_field_that_is_wrong_makes_a_request_that_is_refused() {
        let check = |fields: &[(&str, &str)], expected: Option<WrongField>| {
            let request = request(&section(fields)).unwrap();
            assert_eq!(request.extensions().get::<WrongField>().copied(), expected, "for {fields:?}");
            request.uri().to_string()
        };
        for (name, value, wrong) in [
            ("Capital", "x", WrongField::Name),
            ("sp ace", "x", WrongField::Name),
            ("", "x", WrongField::Name),
            ("line", "a\r\nb: c", WrongField::Value),
            ("zero", "a\0b", WrongField::Value),
            ("blank", " a", WrongField::Blank),
            ("blank", "a\t", WrongField::Blank),
            ("connection", "close", WrongField::Connection),
            ("transfer-encoding", "chunked", WrongField::Connection),
            ("upgrade", "websocket", WrongField::Connection),
            ("keep-alive", "5", WrongField::Connection),
            ("proxy-connection", "x", WrongField::Connection),
            ("te", "gzip", WrongField::Connection),
            ("content-length", "5, 5", WrongField::Length),
            ("content-length", "+5", WrongField::Length),
            ("content-length", "9223372036854775808", WrongField::Length),
        ] {
            check(&[&GET[..], &[(name, value)]].concat(), Some(wrong));
            assert_eq!(trailers(&section(&[(name, value)])), Err(Malformed));
        }
        check(&[(":method", "G ET"), GET[1], GET[2], GET[3]], Some(WrongField::Method));
        check(&[GET[0], GET[1], (":authority", "a b"), GET[3]], Some(WrongField::Authority));
        let path = |path| check(&[GET[0], GET[1], GET[2], (":path", path)], None);
        assert_eq!((path("/a<b?c=>"), path("/caf\u{e9}")), ("/a%3Cb?c=%3E".to_owned(), "/caf\u{e9}".to_owned()));
        let forbidden = WrongField::Path(crate::proxy::target::ForbiddenByte(b' '));
        assert_eq!(check(&[GET[0], GET[1], GET[2], (":path", "/a b")], Some(forbidden)), "/a%20b");
    }

    #[test]
    fn trailers_are_plain_fields() {
        assert_eq!(trailers(&section(&[("grpc-status", "0")])).unwrap()["grpc-status"], "0");
        assert_eq!(trailers(&section(&[(":path", "/")])), Err(Malformed));
        assert_eq!(trailers(&section(&[("connection", "x")])), Err(Malformed));
    }

    #[test]
    fn a_length_is_digits_and_stands_once() {
        let check = |lengths: &[&'static str], expected| {
            let mut headers = HeaderMap::new();
            for length in lengths {
                headers.append(header::CONTENT_LENGTH, HeaderValue::from_static(length));
            }
            assert_eq!(length(&headers), expected, "for {lengths:?}");
        };
        check(&["12"], Some(12));
        check(&[], None);
        check(&["+1"], None);
        check(&["1", "1"], None);
        check(&["99999999999999999999999"], None);
    }
}
