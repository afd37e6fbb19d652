//! What a port in the clear says to who asks for a site that lives behind TLS: go there. Pure.
//!
//! Only configured hosts are sent on, so that a strange Host makes no open redirect. A WebSocket client cannot follow a
//! redirect and would come back for ever; it is prebuilt 426 with the address to use.

use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode, Uri};

use super::body::Body;
use super::error_response;
use super::redirect::path_and_query;
use super::refusal::Refusal;
use super::route::RouteTable;
use super::upgrade;
use super::validate::Host;
use crate::config::settings::PortMap;

/// The redirect keeps method and body, and browsers remember it (RFC 9110 section 15.4.9).
pub const STATUS: StatusCode = StatusCode::PERMANENT_REDIRECT;

/// The port that URLs of `https` and `wss` leave out.
const DEFAULT_PORT: u16 = 443;

/// The redirect for a request, or the refusal. `ports` say at which port clients reach the one that is listened on.
pub fn send_on<B>(
    (routes, ports): (&RouteTable, PortMap),
    host: &Host,
    request: &Request<B>,
    head: bool,
) -> Result<Response<Body>, Refusal> {
    let port = ports.public(routes.tls_port(host, ports.https()).ok_or(Refusal::UnknownHost)?);
    if upgrade::is_asked(request.headers()) {
        return Err(Refusal::UpgradeToTls(url("wss", host, port, request.uri()).into()));
    }
    let location = HeaderValue::try_from(url("https", host, port, request.uri())).map_err(|_| Refusal::UnknownHost)?;
    let mut response = error_response::redirect(STATUS, location, head);
    // The next request goes elsewhere, so this connection has no further use.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

/// Where the same resource lives behind TLS.
pub fn url(scheme: &str, host: &Host, port: u16, uri: &Uri) -> String {
    let target = path_of(uri);
    if port == DEFAULT_PORT { format!("{scheme}://{host}{target}") } else { format!("{scheme}://{host}:{port}{target}") }
}

/// Path and query of a target as a URL has them.
pub fn path_of(uri: &Uri) -> &str {
    match path_and_query(uri) {
        "*" => "/",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::validate;

    #[test]
    fn the_url_behind_tls_keeps_port_address_path_and_query() {
        let check = |host: &str, port, uri: &str, expected: &str| {
            let (host, _) = validate::host(host.as_bytes()).unwrap();
            assert_eq!(url("https", &host, port, &uri.parse().unwrap()), expected);
        };
        check("A.test:80", 443, "/a?b=c", "https://a.test/a?b=c");
        check("a.test", 8443, "/", "https://a.test:8443/");
        check("[2001:DB8::1]:80", 443, "/x", "https://[2001:db8::1]/x");
        check("192.0.2.1", 8443, "http://192.0.2.1/x", "https://192.0.2.1:8443/x");
        check("a.test", 443, "//evil.test/%2e%2e", "https://a.test//evil.test/%2e%2e");
        check("a.test", 443, "*", "https://a.test/");
    }
}
