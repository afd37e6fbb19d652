//! A request's header as HTTP/2 has it (RFC 9113 section 8.3), made of the one for HTTP/1.1. An upgrade to a WebSocket
//! becomes an extended CONNECT (RFC 8441 section 5); an upgrade to anything else is not asked for. Pure.

use h2::ext::Protocol;
use http::header::{self, HeaderMap, HeaderName};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Uri, Version};

use crate::proxy::upgrade::is_websocket;

/// What belongs to one HTTP/1.1 connection (section 8.2.2).
const NOT_IN_HTTP_2: [HeaderName; 6] = [
    header::CONNECTION,
    header::UPGRADE,
    header::TRANSFER_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// A header to be sent, and the key of the WebSocket that it asks for.
pub(super) struct Head {
    pub(super) request: Request<()>,
    pub(super) websocket: Option<HeaderValue>,
}

/// A copy of `request`'s header: the request itself may be needed again.
pub(super) fn head<B>(request: &Request<B>, scheme: Scheme) -> Head {
    let mut headers = request.headers().clone();
    let websocket = is_websocket(request).then(|| headers.remove(header::SEC_WEBSOCKET_KEY)).flatten();
    for name in NOT_IN_HTTP_2 {
        headers.remove(name);
    }
    let mut asked = Request::new(());
    *asked.uri_mut() = uri(request.uri(), &mut headers, scheme);
    *asked.version_mut() = if asked.uri().authority().is_some() { Version::HTTP_2 } else { Version::HTTP_11 };
    *asked.headers_mut() = headers;
    *asked.method_mut() = match &websocket {
        Some(_) => {
            asked.extensions_mut().insert(Protocol::from_static("websocket"));
            Method::CONNECT
        }
        None => request.method().clone(),
    };
    Head { request: asked, websocket }
}

/// With the Host as its authority. A Host that is none, which only an edit of the operator's can make of it, stays a field.
fn uri(target: &Uri, headers: &mut HeaderMap, scheme: Scheme) -> Uri {
    let authority = headers.get(header::HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let Some(authority) = authority else { return target.clone() };
    let path = target.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    match Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build() {
        Ok(uri) => {
            headers.remove(header::HOST);
            uri
        }
        Err(_) => target.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, target: &str, fields: &[(&'static str, &'static str)], expected: &[&str]) {
        let mut request = Request::new(());
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = target.parse().unwrap();
        for (name, value) in fields {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        let Head { request, websocket } = head(&request, Scheme::HTTPS);
        let line = format!("{} {} {:?}", request.method(), request.uri(), request.version());
        let protocol = request.extensions().get::<Protocol>().map(|protocol| format!(":protocol {}", protocol.as_str()));
        let key = websocket.map(|key| format!("key {}", key.to_str().unwrap()));
        let fields = request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let mut seen: Vec<String> = std::iter::once(line).chain(protocol).chain(key).chain(fields).collect();
        seen.sort();
        assert_eq!(seen, expected, "{method} {target}");
    }

    #[test]
    fn the_host_becomes_the_authority_and_fields_of_the_connection_go() {
        let fields = [("host", "a.test:444"), ("te", "trailers"), ("transfer-encoding", "chunked"), ("x", "1"), ("x", "2")];
        check("POST", "/a?b=c", &fields, &["POST https://a.test:444/a?b=c HTTP/2.0", "te: trailers", "x: 1", "x: 2"]);
        check(
            "GET",
            "/",
            &[("host", "a.test"), ("connection", "upgrade"), ("upgrade", "tcp")],
            &["GET https://a.test/ HTTP/2.0"],
        );
    }

    #[test]
    fn a_host_that_an_edit_has_made_no_authority_stays_a_field() {
        check("GET", "/x", &[("host", "a b")], &["GET /x HTTP/1.1", "host: a b"]);
    }

    #[test]
    fn a_websocket_becomes_an_extended_connect() {
        let fields = [
            ("host", "a.test"),
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-key", "abc"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "chat"),
        ];
        let expected = [
            ":protocol websocket",
            "CONNECT https://a.test/ws HTTP/2.0",
            "key abc",
            "sec-websocket-protocol: chat",
            "sec-websocket-version: 13",
        ];
        check("GET", "/ws", &fields, &expected);
    }
}
