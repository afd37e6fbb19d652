//! A backend's response as the client gets it.

use http::{Response, Version};

use super::body::Body;
use super::exchange::Exchange;
use super::forward::{self, Hop};
use super::refusal::{Failed, Refusal};
use super::upstream::pool::UpstreamResponse;

/// An answer that ends the exchange over HTTP.
pub(super) fn map_response(exchange: &Exchange, answered: UpstreamResponse<Body>) -> Result<Response<Body>, Refusal> {
    let (mut parts, body) = answered.response.into_parts();
    if parts.status.is_informational() {
        return Err(Refusal::Backend(Failed::WrongUpgrade));
    }
    exchange.answered(parts.status.as_u16());
    forward::towards_client(&mut parts.headers, parts.version, Hop::Ends);
    parts.version = Version::HTTP_11;
    let idle = exchange.state.lease.borrow().as_ref().and_then(|lease| lease.cluster().settings().timeouts.idle);
    let body = match idle {
        Some(span) => Body::backend(body).idle_after(span),
        None => Body::backend(body),
    };
    Ok(Response::from_parts(parts, body))
}
