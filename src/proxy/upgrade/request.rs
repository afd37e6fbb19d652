//! Whether a request asks to leave HTTP. Pure.

use http::header::{self, HeaderMap};
use http::{Extensions, Method, Request};
use hyper::ext::Protocol;

use crate::proxy::forward::lists;

/// What a WebSocket is called, in `Upgrade` and in `:protocol`.
pub(super) const WEBSOCKET: &str = "websocket";

/// Whether a request is an extended CONNECT (RFC 8441 section 4).
pub fn is_extended_connect(method: &Method, extensions: &Extensions) -> bool {
    method == Method::CONNECT && extensions.get::<Protocol>().is_some()
}

/// Whether an HTTP/1.1 header asks to leave HTTP (RFC 9110 section 7.8).
pub fn is_asked(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE) && headers.get_all(header::CONNECTION).iter().any(|value| lists(value, "upgrade"))
}

/// Whether a request asks for a WebSocket, over either version of HTTP.
pub fn is_websocket<B>(request: &Request<B>) -> bool {
    let extended = request.extensions().get::<Protocol>().filter(|_| request.method() == Method::CONNECT);
    match extended {
        Some(protocol) => protocol.as_str().eq_ignore_ascii_case(WEBSOCKET),
        None => {
            is_asked(request.headers()) && request.headers().get_all(header::UPGRADE).iter().any(|value| lists(value, WEBSOCKET))
        }
    }
}
