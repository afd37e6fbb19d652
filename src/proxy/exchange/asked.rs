//! What a client asked for, kept for what is said of an exchange when its request is gone.

use http::header::{self, HeaderValue};
use http::{Method, Request, Uri};

/// See the module. Cloned values share their bytes with the request.
pub(in crate::proxy) struct Asked {
    pub(in crate::proxy) method: Method,
    pub(in crate::proxy) uri: Uri,
    pub(super) host: Option<HeaderValue>,
}

impl Asked {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self { method: request.method().clone(), uri: request.uri().clone(), host: request.headers().get(header::HOST).cloned() }
    }

    /// The authority as the client wrote it.
    pub(in crate::proxy) fn authority(&self) -> Option<&[u8]> {
        let authority = self.uri.authority().map(|authority| authority.as_str().as_bytes());
        authority.or_else(|| self.host.as_ref().map(HeaderValue::as_bytes))
    }
}
