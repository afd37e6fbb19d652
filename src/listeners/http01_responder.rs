//! What comes first, whatever is configured: an authority's HTTP-01 validation (RFC 8555 section 8.3), on port 80 and over
//! TLS: a CDN that forces https sends the authority on to https, or asks its origin by https itself, and tls-alpn-01
//! cannot pass it. Authorities do not verify the certificate of such a hop. Everything else is `proxy`'s affair, the
//! redirect to https included.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};

use crate::certs::challenge::{ChallengeBoard, http01};
use crate::proxy::body::Body;

/// The key authorization, when `request` asks for a token that is being proved now.
pub fn challenge<B>(board: &ChallengeBoard, request: &Request<B>) -> Option<Response<Body>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return None;
    }
    let proof = board.http(http01::token(request.uri().path())?)?;
    tracing::info!(event = "challenge_shown", kind = "http-01");
    let mut response = Response::new(Body::whole(Bytes::copy_from_slice(proof.key_authorization.as_bytes())));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Some(response)
}
