//! The certificate that a client has shown in its handshake.

use http::header::HeaderValue;

/// The certificate of a client, which was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCert {
    /// By whose authorities.
    pub(super) print: u64,
    /// What the backend is prebuilt: the whole, the subject, the fingerprint.
    pub(super) lines: Option<[HeaderValue; 3]>,
}
