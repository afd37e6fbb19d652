//! What one site adds to a refusal that none of its blocks answers.

use std::sync::Arc;

use http::header::HeaderValue;
use http::{Request, Response};

use crate::config::settings::SiteRefusals;
use crate::proxy::body::Body;
use crate::proxy::error_pages::Pages;
use crate::proxy::error_response::Form;
use crate::proxy::step::{Cors, Edits, security};

/// What one site adds.
#[derive(Debug, Default)]
pub struct RefusalStyle {
    pages: Option<Arc<Pages>>,
    security: bool,
    hsts: bool,
    headers: Option<Edits>,
    cors: Option<Cors>,
}

impl RefusalStyle {
    /// From the site's own words; `pages` are those of its `errors`.
    pub(in crate::proxy) fn new(words: &SiteRefusals, pages: Option<Arc<Pages>>) -> Self {
        let cors = (!words.cors.is_empty()).then(|| Cors::of(&words.cors));
        Self { pages, security: words.security_headers, hsts: words.hsts, headers: Edits::of(&words.headers), cors }
    }

    /// The response to a preflight for a path without a block. Refused, it would hide the 404 of the request behind it, which the
    /// page may read.
    pub(in crate::proxy) fn preflight(&self, request: &Request<Body>) -> Option<Response<Body>> {
        self.cors.as_ref()?.enter(request).ok().flatten()
    }

    /// Gives a refusal's response the site's page and header fields. `secure` is whether the connection is over TLS, and `origin`
    /// that of the page that asks, where the request could be read.
    pub(in crate::proxy) fn dress(
        &self,
        response: &mut Response<Body>,
        (form, head): (Form, bool),
        secure: bool,
        origin: Option<&HeaderValue>,
    ) {
        if let Some(pages) = &self.pages {
            pages.dress(response, form, head);
        }
        let headers = response.headers_mut();
        if let Some(cors) = &self.cors {
            cors.leave(headers, origin);
        }
        if self.hsts {
            security::add_hsts(headers, secure);
        }
        if self.security {
            security::add(headers, secure);
        }
        if let Some(edits) = &self.headers {
            edits.apply(headers);
        }
    }
}
