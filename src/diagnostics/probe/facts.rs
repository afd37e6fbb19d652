//! All that a diagnosis is made of. Pure.

use http::header;

use super::report::End;
use crate::certs::issued_by::Meant;
use crate::diagnostics::explain::{ExplainRequest, Verdict};

/// All that is known.
pub(super) struct Facts<'a> {
    pub(super) question: &'a ExplainRequest,
    pub(super) through: &'a End,
    pub(super) straight: Option<&'a End>,
    /// Who issued the certificate that was shown on the way through the gateway, where this machine does not trust it.
    pub(super) untrusted: Option<&'a str>,
    /// Where the configuration takes that certificate from.
    pub(super) meant: Option<&'a Meant>,
    /// What to say of a backend that is written as plain HTTP and speaks TLS.
    pub(super) speaks_tls: Option<String>,
    /// The backend, for people.
    pub(super) backend: Option<String>,
    /// Every target with why it gets no requests, when none gets any.
    pub(super) out: Option<String>,
    /// How the straight way ended when no Origin was sent; asked only where that may tell.
    pub(super) without_origin: Option<&'a End>,
    /// What the configuration says of this request.
    pub(super) explained: Option<&'a Verdict>,
}

impl Facts<'_> {
    pub(super) fn websocket(&self) -> bool {
        self.question.asks_websocket()
    }

    pub(super) fn straight_works(&self) -> bool {
        self.straight.is_some_and(|end| works(end, self.websocket()))
    }

    pub(super) fn backend(&self) -> &str {
        self.backend.as_deref().unwrap_or("the backend")
    }

    pub(super) fn host(&self) -> String {
        self.question.host.to_string()
    }

    /// Whether a browser would refuse to begin: a page that came over TLS may open `wss` only (W3C Mixed Content).
    pub(super) fn is_mixed_content(&self) -> bool {
        let page = self.question.headers.get(header::ORIGIN).map(|origin| origin.as_bytes().starts_with(b"https://"));
        self.websocket() && !self.question.secure && page == Some(true)
    }
}

pub(super) const fn works(end: &End, websocket: bool) -> bool {
    match end {
        End::Open => true,
        End::Answered { status, .. } => !websocket && *status < 400,
        End::Redirected { .. } => !websocket,
        _ => false,
    }
}
