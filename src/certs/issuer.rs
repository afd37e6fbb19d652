//! Where certificates come from. Whoever issues, a refusal says when asking again makes sense.

use std::time::Duration;

use crate::base::time::Timestamp;

pub mod account;
pub mod acme;
mod cert_params;
pub mod files;
pub mod http;
mod jws;
pub mod local_ca;
pub mod order_store;
pub mod renewal_info;
pub mod revoke;
pub mod self_signed;
pub mod untrusted;

pub use jws::AccountKeyError;

/// When asking the same issuer for the same thing again makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Not before a person has changed something.
    ForGood,
    /// Not before this moment, because the issuer said so.
    Until(Timestamp),
    /// After the usual wait of the ladder ([`crate::base::backoff::Backoff::ORDERS`]).
    TryAgain,
}

/// Shortest and longest pause an authority's `Retry-After` may ask of us (RFC 9110 section 10.2.3): an absurd value
/// must neither make a busy loop nor silence a name for ever.
pub const RETRY_AFTER_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(7 * 86_400));
