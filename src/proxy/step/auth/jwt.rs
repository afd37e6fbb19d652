//! `auth jwt`: a signed token lets pass (RFC 7519). Which signatures count is the site's word, never the token's; a token
//! stands in no log, and in no backend's either where the site asks for that.

use std::fmt;
use std::rc::Rc;

use http::Request;

use super::service::{Service, UrlError};
use crate::config::settings::{Jwt, JwtKeys, TokenPlace};
use crate::proxy::body::Body;
use crate::proxy::exchange::Exchange;
use crate::proxy::refusal::{Proof, Refusal, Unproved};

use claims::Rules;
use jwks::{Keys, KeysError};
use jwks_cache::JwksCache;

mod claims;
mod jwks;
mod jwks_cache;
mod token_location;

/// The rules of one block.
pub struct JwtAuth {
    rules: Rules,
    source: Source,
    places: Box<[TokenPlace]>,
    strip: bool,
}

enum Source {
    Set(Keys),
    Url(JwksCache),
}

/// Why tokens cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// The key set is none.
    #[error("the keys of `auth jwt` cannot be used")]
    Keys(#[from] KeysError),
    /// The URL is none.
    #[error(transparent)]
    Url(#[from] UrlError),
}

/// What can be said of a request at once.
pub(super) enum Seen {
    /// The token lets pass.
    Passes,
    /// The keys have to be fetched first.
    Unknown,
}

/// Whether a request has a token in one of these places, right or wrong.
pub(crate) fn token_is_given<B>(places: &[TokenPlace], request: &Request<B>) -> bool {
    places.iter().any(|place| token_location::find(place, request).is_some())
}

impl JwtAuth {
    /// `service` is where the keys are fetched, when they are.
    pub(super) fn new(settings: &Jwt, service: Option<Service>) -> Result<Self, JwtError> {
        let rules = Rules::new(settings);
        let source = match (&settings.keys, service) {
            (JwtKeys::Set(credential), _) => Source::Set(Keys::read(credential.value.expose().as_bytes())?),
            (JwtKeys::Url(_), Some(service)) => Source::Url(JwksCache::new(service)),
            (JwtKeys::Url(_), None) => return Err(UrlError.into()),
        };
        Ok(Self { rules, source, places: settings.places.clone().into(), strip: settings.strip })
    }

    /// Judges with the keys at hand.
    pub(super) fn glance(&self, exchange: &Exchange, request: &mut Request<Body>) -> Result<Seen, Refusal> {
        let Some(token) = self.token(request) else { return Err(Refusal::Unauthorized(Proof::Token, Unproved::Missing)) };
        let checked = match &self.source {
            Source::Set(keys) => self.rules.check(&token, keys),
            Source::Url(fetched) => match fetched.at_hand() {
                Some(keys) => {
                    fetched.refresh(&exchange.worker);
                    self.rules.check(&token, &keys)
                }
                None => return Ok(Seen::Unknown),
            },
        };
        match (checked, &self.source) {
            (Ok(()), _) => {
                self.take_out(request);
                Ok(Seen::Passes)
            }
            // An issuer that changed its keys is asked for the new ones.
            (Err(claims::Bad::Key), Source::Url(_)) => Ok(Seen::Unknown),
            (Err(bad), _) => Err(bad.into()),
        }
    }

    /// As [`Self::glance`], with keys that are fetched if they may be by now.
    pub(super) async fn ask(&self, exchange: &Rc<Exchange>, request: &mut Request<Body>) -> Result<(), Refusal> {
        let Source::Url(fetched) = &self.source else { return Err(Refusal::NoDecision) };
        let keys = fetched.newest(&exchange.worker).await?;
        let token = self.token(request).unwrap_or_default();
        self.rules.check(&token, &keys)?;
        self.take_out(request);
        Ok(())
    }

    fn token(&self, request: &Request<Body>) -> Option<String> {
        self.places.iter().find_map(|place| token_location::find(place, request)).map(ToOwned::to_owned)
    }

    fn take_out(&self, request: &mut Request<Body>) {
        if self.strip {
            for place in &self.places {
                token_location::take_out(place, request);
            }
        }
    }
}

impl fmt::Debug for JwtAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuth").field("places", &self.places).field("strip", &self.strip).finish_non_exhaustive()
    }
}
