//! `cors`: which pages of other origins may read what this block answers, with the client_cert's cookies (the fetch standard,
//! section 3.3). The gateway alone decides: what a backend says of it is replaced. Preflights are answered here, before
//! anyone is asked for a password, since a browser sends none with them.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};

use super::origin::is_among;
use crate::proxy::body::Body;
use crate::proxy::error_response;
use crate::proxy::refusal::{Refusal, Rule};

/// The origins of one block.
#[derive(Clone, Debug)]
pub struct Cors {
    /// In lower case, without a final slash.
    allowed: Box<[Box<str>]>,
}

const TRUE: HeaderValue = HeaderValue::from_static("true");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
/// Ten minutes: what browsers cap a preflight's life at is above that, and a changed list is in force soon.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const PREFLIGHT_VARY: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");

/// What only this step may say.
const OURS: [HeaderName; 2] = [header::ACCESS_CONTROL_ALLOW_ORIGIN, header::ACCESS_CONTROL_ALLOW_CREDENTIALS];

impl Cors {
    pub(crate) fn of(allowed: &[String]) -> Self {
        Self { allowed: allowed.iter().map(|origin| origin.as_str().into()).collect() }
    }

    /// Answers a preflight; everything else goes on. A page that is not listed is prebuilt so in words, for the person who
    /// reads the log: its browser only says that something was missing.
    pub(crate) fn enter<B>(&self, request: &Request<B>) -> Result<Option<Response<Body>>, Refusal> {
        let headers = request.headers();
        let (Some(origin), true) = (headers.get(header::ORIGIN), is_preflight(request)) else { return Ok(None) };
        if !is_among(&self.allowed, origin) {
            return Err(Refusal::Forbidden(Rule::Origin));
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        answer.insert(header::SERVER, error_response::SERVER);
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        answer.insert(header::VARY, PREFLIGHT_VARY);
        if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        Ok(Some(response))
    }

    /// Says to the browser whether the page may read the answer. `origin` is the request's.
    pub(in crate::proxy) fn leave(&self, headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
        for name in OURS {
            headers.remove(name);
        }
        vary_by_origin(headers);
        if let Some(origin) = origin.filter(|origin| is_among(&self.allowed, origin)) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
    }
}

fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Also without an Origin, or a cache would give one page what was meant for another (RFC 9110 section 12.5.5).
fn vary_by_origin(headers: &mut HeaderMap) {
    let named = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|list| list.split(',').map(str::trim).any(|name| name == "*" || name.eq_ignore_ascii_case("origin")))
    };
    if !headers.get_all(header::VARY).iter().any(named) {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors() -> Cors {
        Cors::of(&["https://app.example.com".into()])
    }

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn preflight(origin: &'static str) -> Request<()> {
        let mut request = Request::options("/api").body(()).unwrap();
        *request.headers_mut() = headers(&[
            ("origin", origin),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "authorization, x-trace"),
        ]);
        request
    }

    #[test]
    fn a_preflight_of_a_listed_page_is_answered_with_what_it_asked_for() {
        let mut response = cors().enter(&preflight("https://app.example.com")).unwrap().unwrap();
        cors().leave(response.headers_mut(), Some(&HeaderValue::from_static("https://app.example.com")));
        assert_eq!(response.status(), 204);
        let said = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(said("access-control-allow-origin"), "https://app.example.com");
        assert_eq!(said("access-control-allow-credentials"), "true");
        assert!(said("access-control-allow-methods").contains("PUT"));
        assert_eq!(said("access-control-allow-headers"), "authorization, x-trace");
        assert!(said("vary").contains("Origin"));
        assert_eq!(response.headers().get_all("vary").iter().count(), 1);
    }

    #[test]
    fn a_preflight_of_a_strange_page_is_refused_and_other_requests_go_on() {
        assert_eq!(cors().enter(&preflight("https://evil.test")).unwrap_err(), Refusal::Forbidden(Rule::Origin));
        let check = |request: Request<()>| assert!(cors().enter(&request).unwrap().is_none(), "{request:?}");
        check(Request::get("/").header("origin", "https://evil.test").body(()).unwrap());
        check(Request::options("/").header("origin", "https://evil.test").body(()).unwrap());
        check(Request::options("/").header("access-control-request-method", "PUT").body(()).unwrap());
    }

    #[test]
    fn answers_carry_the_gateways_word_and_nobody_elses() {
        let check =
            |origin: Option<&'static str>, given: &[(&'static str, &'static str)], expected: &[(&'static str, &'static str)]| {
                let mut seen = headers(given);
                cors().leave(&mut seen, origin.map(HeaderValue::from_static).as_ref());
                assert_eq!(seen, headers(expected), "for {origin:?}");
            };
        let yes = [("access-control-allow-origin", "https://app.example.com"), ("access-control-allow-credentials", "true")];
        check(Some("https://app.example.com"), &[], &[yes[0], yes[1], ("vary", "Origin")]);
        check(Some("https://evil.test"), &[("access-control-allow-origin", "*")], &[("vary", "Origin")]);
        check(None, &[("vary", "*")], &[("vary", "*")]);
        check(None, &[("vary", "accept-encoding, origin")], &[("vary", "accept-encoding, origin")]);
    }
}
