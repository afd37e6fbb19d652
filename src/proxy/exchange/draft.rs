//! What the access log wants to know of a request, kept from its first byte to its last.

use http::header::{self, HeaderName, HeaderValue};
use http::{Request, Version};
use tokio::time::Instant;

/// The target of a request that could not be read, as the log shows it. An extension of the request.
#[derive(Clone, Debug)]
pub struct ShownTarget(pub Box<str>);

/// See the module. Cloned values share their bytes with the request.
pub(super) struct AccessDraft {
    pub(super) started: Instant,
    /// In place of the URL, where there is none.
    pub(super) shown: Option<ShownTarget>,
    pub(super) version: Version,
    pub(super) referer: Option<HeaderValue>,
    pub(super) user_agent: Option<HeaderValue>,
}

impl AccessDraft {
    pub(super) fn of<B>(request: &Request<B>, started: Instant) -> Self {
        let field = |name: HeaderName| request.headers().get(name).cloned();
        Self {
            started,
            shown: request.extensions().get::<ShownTarget>().cloned(),
            version: request.version(),
            referer: field(header::REFERER),
            user_agent: field(header::USER_AGENT),
        }
    }
}
