//! What one site adds to a refusal that none of its blocks answers.

use std::sync::Arc;

use http::Response;

use crate::config::settings::SiteRefusals;
use crate::proxy::answer::Form;
use crate::proxy::body::Body;
use crate::proxy::pages::Pages;
use crate::proxy::step::{Edits, security};

/// What one site adds.
#[derive(Debug, Default)]
pub struct RefusalStyle {
    pages: Option<Arc<Pages>>,
    security: bool,
    hsts: bool,
    headers: Option<Edits>,
}

impl RefusalStyle {
    /// From the site's own words; `pages` are those of its `errors`.
    pub(in crate::proxy) fn new(words: &SiteRefusals, pages: Option<Arc<Pages>>) -> Self {
        Self { pages, security: words.security_headers, hsts: words.hsts, headers: Edits::of(&words.headers) }
    }

    /// Gives a refusal's response the site's page and header fields. `secure` is whether the connection is over TLS.
    pub(in crate::proxy) fn dress(&self, response: &mut Response<Body>, form: Form, head: bool, secure: bool) {
        if let Some(pages) = &self.pages {
            pages.dress(response, form, head);
        }
        let headers = response.headers_mut();
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
