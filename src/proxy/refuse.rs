//! What a site adds to a refusal that none of its blocks answers: its `errors` pages, `cors`, `security-headers`, `hsts` and
//! `headers`, in the order in which a block's steps do it. Such refusals are a path without a block (404), a connection of
//! another host (421), a ban (403), limits (414, 431) and a request that cannot be read (400), also one of which hyper or an
//! own parser could make no request at all.
//!
//! A refusal concerns the site that the request names. Where the request names none that can be read in one way, it is the
//! site of the TLS handshake. A host without a site gets nothing: `Strict-Transport-Security` of another site would pin a
//! name that is not served here.

use http::Response;

use super::body::Body;
use super::connection::Connection;
use super::error_response::{self, Asked};
use super::refusal::{Malformed, Refusal};
use super::snapshot::Snapshot;
use super::validate::{self, Host};
use super::worker::Worker;

pub use style::RefusalStyle;

mod style;

/// The response to a request of which at most the host could be read: `host` is the value of its `Host` or `:authority`,
/// where there was exactly one.
pub fn unreadable(
    worker: &Worker,
    connection: &Connection,
    refusal: &Refusal,
    host: Option<&[u8]>,
    asked: Asked<'_>,
) -> Response<Body> {
    let mut response = error_response::answer(refusal, asked);
    if let Some(site) = site(&worker.snapshot().0, connection, Ok(host)) {
        site.dress(&mut response, (asked.form, asked.head), connection.is_secure(), None);
    }
    response
}

/// The site that a refused request concerns. `raw` is the authority as the client wrote it.
pub(super) fn site<'a>(
    snapshot: &'a Snapshot,
    connection: &Connection,
    raw: Result<Option<&[u8]>, Malformed>,
) -> Option<&'a RefusalStyle> {
    let named = raw.ok().flatten().and_then(|raw| validate::host(raw).ok()).map(|(host, _port)| host);
    let of_handshake = || connection.tls().and_then(|tls| tls.server_name.clone()).map(Host::Name);
    snapshot.refusals(connection.port(), &named.or_else(of_handshake)?)
}
