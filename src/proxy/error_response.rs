//! The only place where a [`Refusal`] becomes a status, headers and a page. The page is honest about whose fault it was and
//! names no inner host; the id on it is the one in the log, where the failing hop stands.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};

use super::body::Body;
use super::refusal::{Failed, Proof, Refusal, Rule, Unproved};

mod grpc;

/// What own answers say of who sends them.
pub const SERVER: HeaderValue = HeaderValue::from_static("doorward");

/// What 499 is called in logs; it is never sent.
pub const CLIENT_LEFT: u16 = 499;

/// Status and words for each refusal.
struct Page {
    status: StatusCode,
    /// One sentence for the client_cert.
    says: &'static str,
}

/// The status a refusal is logged with.
pub fn status(refusal: &Refusal) -> u16 {
    match refusal {
        Refusal::ClientLeft => CLIENT_LEFT,
        other => page(other).status.as_u16(),
    }
}

const fn page(refusal: &Refusal) -> Page {
    let (status, says) = match refusal {
        Refusal::Malformed(_) => (StatusCode::BAD_REQUEST, "The request could not be understood."),
        Refusal::Forbidden(Rule::Allow | Rule::Deny | Rule::Banned) => {
            (StatusCode::FORBIDDEN, "This site does not answer requests from your address.")
        }
        Refusal::Forbidden(Rule::Origin | Rule::NoOrigin) => {
            (StatusCode::FORBIDDEN, "This site does not answer requests from the page that asked.")
        }
        Refusal::NothingHere => (StatusCode::NOT_FOUND, "There is nothing at this address."),
        Refusal::Method | Refusal::ReadOnly => (StatusCode::METHOD_NOT_ALLOWED, "This method is not accepted here."),
        Refusal::BodyStalled => (StatusCode::REQUEST_TIMEOUT, "The request's body did not arrive in time."),
        Refusal::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "The request's body is larger than this site accepts."),
        Refusal::UrlTooLong { .. } => (StatusCode::URI_TOO_LONG, "The address is longer than this server accepts."),
        Refusal::Expectation => (StatusCode::EXPECTATION_FAILED, "The request expects something this server cannot do."),
        Refusal::UnknownHost => (StatusCode::MISDIRECTED_REQUEST, "This server does not serve the site that was asked for."),
        Refusal::OtherServerName | Refusal::NoClientCertificate => {
            (StatusCode::MISDIRECTED_REQUEST, "This site has to be asked over a connection of its own.")
        }
        // Over another connection the certificate may be there (RFC 9110 section 15.5.20).
        Refusal::CertificatePending => (
            StatusCode::MISDIRECTED_REQUEST,
            "The certificate of this site is still being obtained. Please try again in a moment.",
        ),
        Refusal::UpgradeToTls(_) => (StatusCode::UPGRADE_REQUIRED, "WebSockets are served here over TLS only. Use"),
        Refusal::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "Too many requests. Please wait a moment."),
        Refusal::TooManyConnections { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, "Too many connections at the same time. Please close one.")
        }
        Refusal::Unauthorized(..) => (StatusCode::UNAUTHORIZED, "This site asks who you are."),
        Refusal::Busy | Refusal::NoDecision => {
            (StatusCode::SERVICE_UNAVAILABLE, "Whether you may pass cannot be decided right now. Please try again soon.")
        }
        Refusal::Unreadable => (StatusCode::INTERNAL_SERVER_ERROR, "What is here cannot be shown right now."),
        Refusal::FilesTimedOut => {
            (StatusCode::SERVICE_UNAVAILABLE, "What is here cannot be read right now. Please try again soon.")
        }
        Refusal::Maintenance { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "This site is being worked on. Please come back in a while.")
        }
        Refusal::TooManyHeaders { .. } => {
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The request has more header fields than this server accepts.")
        }
        Refusal::HeaderTooLong { .. } => {
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's header is larger than this server accepts.")
        }
        Refusal::ClientLeft => (StatusCode::BAD_REQUEST, "The request was not completed."),
        Refusal::UnknownProtocol => (StatusCode::NOT_IMPLEMENTED, "This server does not speak the protocol that was asked for."),
        Refusal::NoBackend | Refusal::CircuitOpen { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "The site is not available right now. Please try again soon.")
        }
        Refusal::Backend(Failed::ConnectTimeout | Failed::AnswerTimeout) => {
            (StatusCode::GATEWAY_TIMEOUT, "The application behind this site did not answer in time.")
        }
        Refusal::Backend(Failed::Unreachable(_)) => {
            (StatusCode::BAD_GATEWAY, "The application behind this site cannot be reached right now.")
        }
        Refusal::Backend(Failed::Reset | Failed::BadAnswer) => {
            (StatusCode::BAD_GATEWAY, "The application behind this site did not give a usable answer.")
        }
        Refusal::Backend(Failed::WrongUpgrade | Failed::BadAccept | Failed::NoWebSocket | Failed::NotUpgraded) => {
            (StatusCode::BAD_GATEWAY, "The application behind this site did not open the connection that was asked for.")
        }
    };
    Page { status, says }
}

/// Form of a page, by what the client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Html,
    /// For programs.
    Json,
    /// For everybody else.
    Text,
    /// For callers of gRPC, who look for their status elsewhere.
    Grpc,
}

impl Form {
    /// The first of our forms that stands in `Accept`, whatever its weight: a browser names HTML first, a program what
    /// it wants.
    pub fn of(accept: Option<&HeaderValue>) -> Self {
        let Some(accept) = accept.and_then(|value| value.to_str().ok()) else { return Self::Text };
        let named = |item: &str| match item.split(';').next().map_or("", str::trim) {
            "text/html" | "application/xhtml+xml" => Some(Self::Html),
            "application/json" | "application/problem+json" => Some(Self::Json),
            "text/plain" => Some(Self::Text),
            _ => None,
        };
        accept.split(',').take(32).find_map(named).unwrap_or(Self::Text)
    }

    const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/problem+json",
            Self::Text => "text/plain; charset=utf-8",
            Self::Grpc => grpc::CONTENT_TYPE,
        })
    }
}

/// What the answer depends on besides the refusal.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The page's form.
    pub form: Form,
    /// Whether the client wants the header only.
    pub head: bool,
    /// Id of the exchange; our own letters and digits, or what a trusted proxy sent, checked to be as harmless.
    pub id: &'a str,
}

/// Whether a request is a call of gRPC, which is answered in its [`Form::Grpc`].
pub fn is_grpc(headers: &HeaderMap) -> bool {
    grpc::is_call(headers)
}

/// Renders a refusal.
pub fn answer(refusal: &Refusal, asked: Asked<'_>) -> Response<Body> {
    let Page { status, says } = page(refusal);
    let more = in_particular(refusal, asked.form);
    let says = more.as_ref().map_or(Cow::Borrowed(says), |more| Cow::Owned(format!("{says} {more}")));
    let text = render(status, &says, asked);
    let mut response = match asked.form {
        Form::Grpc => grpc::trailers_only(status, &text),
        form @ (Form::Html | Form::Json | Form::Text) => own(status, form.content_type(), text.into(), asked.head),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match refusal {
        Refusal::TooMany { after } | Refusal::Maintenance { after } | Refusal::CircuitOpen { after } => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(*after));
        }
        Refusal::Unauthorized(proof, unproved) => {
            headers.insert(header::WWW_AUTHENTICATE, challenge(*proof, *unproved));
        }
        Refusal::NoBackend | Refusal::TooManyConnections { .. } | Refusal::Busy | Refusal::NoDecision => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        Refusal::Method => {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        Refusal::ReadOnly => {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        Refusal::UpgradeToTls(_) => {
            headers.insert(header::UPGRADE, HeaderValue::from_static("TLS/1.2, HTTP/1.1"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        Refusal::Malformed(_)
        | Refusal::Forbidden(_)
        | Refusal::NothingHere
        | Refusal::BodyStalled
        | Refusal::BodyTooLarge { .. }
        | Refusal::UrlTooLong { .. }
        | Refusal::Expectation
        | Refusal::UnknownHost
        | Refusal::OtherServerName
        | Refusal::NoClientCertificate
        | Refusal::CertificatePending
        | Refusal::TooManyHeaders { .. }
        | Refusal::HeaderTooLong { .. }
        | Refusal::ClientLeft
        | Refusal::UnknownProtocol
        | Refusal::Unreadable
        | Refusal::FilesTimedOut
        | Refusal::Backend(_) => (),
    }
    response
}

/// What of this one request a client can make use of.
fn in_particular(refusal: &Refusal, form: Form) -> Option<String> {
    match refusal {
        Refusal::UpgradeToTls(url) => Some(escaped(url, form)),
        Refusal::Malformed(what) => what.detail().map(|detail| format!("The reason: {detail}.")),
        Refusal::TooManyHeaders { seen, limit } => Some(format!("It has {seen}; the limit is {limit}.")),
        Refusal::HeaderTooLong { limit, .. } | Refusal::UrlTooLong { limit, .. } => Some(format!("The limit is {limit} bytes.")),
        _ => None,
    }
}

/// What to send next time (RFC 7617 section 2, RFC 6750 section 3).
const fn challenge(proof: Proof, unproved: Unproved) -> HeaderValue {
    HeaderValue::from_static(match (proof, unproved) {
        (Proof::Password, _) => "Basic realm=\"restricted\", charset=\"UTF-8\"",
        (Proof::Token, Unproved::Missing) => "Bearer realm=\"restricted\"",
        (Proof::Token, Unproved::Wrong) => "Bearer realm=\"restricted\", error=\"invalid_token\"",
        (Proof::Token, Unproved::Expired) => {
            "Bearer realm=\"restricted\", error=\"invalid_token\", error_description=\"the token has expired\""
        }
    })
}

/// An answer of the gateway's own. For HEAD the length is prebuilt and the bytes are kept.
pub fn own(status: StatusCode, content_type: HeaderValue, bytes: Bytes, head: bool) -> Response<Body> {
    let length = HeaderValue::from(bytes.len());
    let mut response = Response::new(if head { Body::empty() } else { Body::whole(bytes) });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(header::SERVER, SERVER);
    response
}

/// A URL that a client sent us, harmless in a page. It holds no control characters and no angle brackets.
fn escaped(url: &str, form: Form) -> String {
    match form {
        Form::Html => url.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;"),
        Form::Json => url.replace('\\', "\\\\").replace('"', "\\\""),
        Form::Text | Form::Grpc => url.to_owned(),
    }
}

/// A redirect. The body is for who reads it with eyes.
pub fn redirect(status: StatusCode, location: HeaderValue, head: bool) -> Response<Body> {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    let mut bytes = b"See ".to_vec();
    bytes.extend_from_slice(location.as_bytes());
    bytes.push(b'\n');
    let mut response = own(status, text, bytes.into(), head);
    response.headers_mut().insert(header::LOCATION, location);
    response
}

fn render(status: StatusCode, says: &str, asked: Asked<'_>) -> String {
    let code = status.as_str();
    let title = status.canonical_reason().unwrap_or("Error");
    let id = asked.id;
    match asked.form {
        Form::Text => format!("{code} {title}\n\n{says}\nRequest {id}\n"),
        Form::Grpc => format!("{says} Request {id}"),
        Form::Json => {
            format!(
                "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{code},\"detail\":\"{says}\",\"request_id\":\"{id}\"}}\n"
            )
        }
        Form::Html => format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <title>{code} {title}</title>\n<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;\
             color-scheme:light dark}}small{{opacity:.6}}</style>\n<h1>{code} {title}</h1>\n<p>{says}</p>\n<p><small>Request {id}</small></p>\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::refusal::Malformed;
    use super::*;

    fn check(refusal: Refusal, status: u16) {
        let asked = Asked { form: Form::Json, head: false, id: "0af3" };
        assert_eq!(answer(&refusal, asked).status(), status, "for {refusal}");
    }

    #[test]
    fn every_refusal_has_its_status() {
        check(Refusal::Malformed(Malformed::Path), 400);
        check(Refusal::Forbidden(Rule::Deny), 403);
        check(Refusal::NothingHere, 404);
        check(Refusal::Method, 405);
        check(Refusal::BodyStalled, 408);
        check(Refusal::BodyTooLarge { limit: 9 }, 413);
        check(Refusal::UrlTooLong { seen: 9, limit: 8 }, 414);
        check(Refusal::Expectation, 417);
        check(Refusal::UnknownHost, 421);
        check(Refusal::CertificatePending, 421);
        check(Refusal::UpgradeToTls("wss://a.test/".into()), 426);
        check(Refusal::Forbidden(Rule::Origin), 403);
        check(Refusal::Unauthorized(Proof::Token, Unproved::Expired), 401);
        check(Refusal::Busy, 503);
        check(Refusal::TooMany { after: 3 }, 429);
        check(Refusal::TooManyConnections { limit: 3 }, 429);
        check(Refusal::TooManyHeaders { seen: 9, limit: 8 }, 431);
        check(Refusal::HeaderTooLong { seen: 9, limit: 8 }, 431);
        check(Refusal::ReadOnly, 405);
        check(Refusal::UnknownProtocol, 501);
        check(Refusal::Backend(Failed::Unreachable("connect-refused")), 502);
        check(Refusal::Backend(Failed::BadAccept), 502);
        check(Refusal::NoBackend, 503);
        check(Refusal::CircuitOpen { after: 3 }, 503);
        check(Refusal::Backend(Failed::ConnectTimeout), 504);
        check(Refusal::Backend(Failed::AnswerTimeout), 504);
        assert_eq!(status(&Refusal::ClientLeft), 499);
    }

    #[test]
    fn the_page_takes_the_form_the_client_asks_for() {
        for (accept, form) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", Form::Html),
            ("application/json", Form::Json),
            ("application/json, text/html", Form::Json),
            ("image/avif, text/html;q=0.9", Form::Html),
            ("*/*", Form::Text),
            ("", Form::Text),
        ] {
            assert_eq!(Form::of(Some(&HeaderValue::from_static(accept))), form, "for {accept:?}");
        }
        assert_eq!(Form::of(None), Form::Text);
    }

    #[test]
    fn a_call_gets_its_status_without_a_page() {
        let asked = Asked { form: Form::Grpc, head: false, id: "0af3" };
        let answer = answer(&Refusal::TooMany { after: 3 }, asked);
        assert_eq!((answer.status(), answer.body().is_empty()), (StatusCode::OK, true));
        let fields =
            ["content-type", "grpc-status", "grpc-message", "retry-after"].map(|name| answer.headers()[name].to_str().unwrap());
        assert_eq!(fields, ["application/grpc", "14", "Too many requests. Please wait a moment. Request 0af3", "3"]);
        assert!(!answer.headers().contains_key(header::CONTENT_LENGTH));
    }

    #[test]
    fn a_json_page_is_json_and_head_gets_only_its_length() {
        let refusal = Refusal::Backend(Failed::Reset);
        let text = render(StatusCode::BAD_GATEWAY, page(&refusal).says, Asked { form: Form::Json, head: false, id: "0af3" });
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((value["status"].as_u64(), value["request_id"].as_str()), (Some(502), Some("0af3")));
        let url = "wss://a.test/x?a=\"&b=\\";
        let prebuilt = Refusal::UpgradeToTls(url.into());
        let says = format!("{} {}", page(&prebuilt).says, escaped(url, Form::Json));
        let text = render(StatusCode::UPGRADE_REQUIRED, &says, Asked { form: Form::Json, head: false, id: "0af3" });
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(value["detail"].as_str().unwrap().ends_with(url));
        let answer = answer(&refusal, Asked { form: Form::Text, head: true, id: "0af3" });
        assert!(answer.body().is_empty());
        assert_ne!(answer.headers()[header::CONTENT_LENGTH], "0");
    }
}
