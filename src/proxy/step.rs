//! What is done to an exchange on its way in and out: a closed set, made of a block's policy in one documented order,
//! whatever the order of the text. Dispatch only; each step is a file below. Pure.
//!
//! On the way in the order is: address, body limit, prefix, rewrite. On the way out: security headers, then `headers`, so
//! that a site's own words win. A refusal passes the way out too, so its page carries the site's headers.

use std::net::IpAddr;

use http::header::HeaderMap;
use http::{HeaderValue, Request};

use super::body::Body;
use super::refusal::Refusal;
use crate::config::settings::Policy;

use admit::Admit;
pub use edit::Edits;
use limit_body::LimitBody;
use path::{Rewrite, StripPrefix};

mod admit;
mod edit;
mod limit_body;
mod path;
mod security;

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// `headers`.
    Headers(Edits),
    /// `security-headers`.
    Security,
    /// `hsts`.
    Hsts,
    /// `allow`, `deny`.
    Admit(Admit),
    /// `limit body`.
    LimitBody(LimitBody),
    /// `strip-prefix`.
    StripPrefix(StripPrefix),
    /// `rewrite`.
    Rewrite(Rewrite),
}

/// What steps may know of who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// The client by the trust rule.
    pub client: IpAddr,
    /// Whether it came over TLS.
    pub secure: bool,
}

impl Step {
    /// The steps of a policy. `request-headers` is not among them: it has the last word on what a backend gets, so it is
    /// applied behind the gateway's own rules ([`super::attempt`]).
    pub fn of(policy: &Policy) -> Box<[Self]> {
        let mut steps = Vec::new();
        steps.extend(Edits::of(&policy.headers).map(Self::Headers));
        steps.extend(policy.security_headers.then_some(Self::Security));
        steps.extend(policy.hsts.then_some(Self::Hsts));
        steps.extend(Admit::of(&policy.allow, &policy.deny).map(Self::Admit));
        steps.extend(policy.limit_body.map(|size| Self::LimitBody(LimitBody(size.0))));
        steps.extend(policy.strip_prefix.as_deref().map(|prefix| Self::StripPrefix(StripPrefix::new(prefix))));
        steps.extend(policy.rewrite.as_deref().map(|path| Self::Rewrite(Rewrite::new(path))));
        steps.into()
    }

    /// The way in.
    pub fn enter(&self, asker: Asker, request: &mut Request<Body>) -> Result<(), Refusal> {
        match self {
            Self::Headers(_) | Self::Security | Self::Hsts => Ok(()),
            Self::Admit(admit) => admit.check(asker.client),
            Self::LimitBody(limit) => limit.enter(request),
            Self::StripPrefix(strip) => {
                strip.enter(request.uri_mut());
                Ok(())
            }
            Self::Rewrite(rewrite) => {
                rewrite.enter(request.uri_mut());
                Ok(())
            }
        }
    }

    /// The way out.
    pub fn leave(&self, asker: Asker, headers: &mut HeaderMap<HeaderValue>) {
        match self {
            Self::Headers(edits) => edits.apply(headers),
            Self::Security => security::add(headers, asker.secure),
            Self::Hsts => security::add_hsts(headers, asker.secure),
            Self::Admit(_) | Self::LimitBody(_) | Self::StripPrefix(_) | Self::Rewrite(_) => (),
        }
    }
}
