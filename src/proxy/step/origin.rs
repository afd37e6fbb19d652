//! `origin`: which pages may open a WebSocket here. A browser always says which page asks (RFC 6454, RFC 6455 section
//! 10.2) and sends the client_cert's cookies along, so without this rule every page may use a client_cert's session.
//!
//! Who sends no Origin is no browser, and is refused like a strange page unless the list has the word `none`: a list says
//! who may come, and programs that need no rule can be given one.

use http::HeaderMap;
use http::header::{self, HeaderValue};

use crate::config::settings::{At, Origins as Settings};
use crate::proxy::messages;
use crate::proxy::refusal::{Refusal, Rule};

/// The origins of one block.
#[derive(Clone, Debug)]
pub struct Origins {
    /// In lower case, without a final slash.
    allowed: Box<[Box<str>]>,
    without: bool,
    at: At,
}

impl Origins {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            allowed: settings.allowed.iter().map(|origin| origin.as_str().into()).collect(),
            without: settings.without,
            at: settings.at.clone(),
        }
    }

    /// Judges over a request that asks for a WebSocket.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut given = headers.get_all(header::ORIGIN).iter();
        match (given.next(), given.next()) {
            (None, _) if self.without => Ok(()),
            (None, _) => Err(Refusal::Forbidden(Rule::NoOrigin)),
            (Some(origin), None) if is_among(&self.allowed, origin) => Ok(()),
            (Some(_), _) => Err(Refusal::Forbidden(Rule::Origin)),
        }
    }
}

impl Origins {
    /// Why [`check`](Self::check) refuses these fields; `None` where the refusal itself says all.
    pub(crate) fn words(&self, headers: &HeaderMap, refusal: &Refusal) -> Option<String> {
        let origin = headers.get(header::ORIGIN).filter(|_| *refusal == Refusal::Forbidden(Rule::Origin))?;
        Some(messages::origin_not_allowed(origin.as_bytes(), &self.at, &self.allowed.join(" ")))
    }
}

/// Whether a page of this origin may ask. Scheme and host are compared without case, as a browser writes them in lower
/// case and a hand-written client may not.
pub(super) fn is_among(allowed: &[Box<str>], origin: &HeaderValue) -> bool {
    allowed.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_pages_may_open_a_websocket() {
        let list = |without| Settings {
            allowed: vec!["https://example.com".into(), "http://localhost:3000".into()],
            without,
            at: At::default(),
        };
        let check = |given: &[&'static str], without, expected: Result<(), Rule>| {
            let mut headers = HeaderMap::new();
            for origin in given {
                headers.append(header::ORIGIN, HeaderValue::from_static(origin));
            }
            let seen = Origins::of(&list(without)).check(&headers);
            assert_eq!(seen, expected.map_err(Refusal::Forbidden), "for {given:?}");
        };
        check(&["https://example.com"], false, Ok(()));
        check(&["HTTPS://Example.COM"], false, Ok(()));
        check(&["http://localhost:3000"], false, Ok(()));
        check(&["https://example.com:8443"], false, Err(Rule::Origin));
        check(&["http://example.com"], false, Err(Rule::Origin));
        check(&["https://example.com.evil.test"], false, Err(Rule::Origin));
        check(&["https://evil.test/https://example.com"], false, Err(Rule::Origin));
        check(&["null"], true, Err(Rule::Origin));
        check(&["https://example.com", "https://evil.test"], false, Err(Rule::Origin));
        check(&[""], true, Err(Rule::Origin));
        check(&[], false, Err(Rule::NoOrigin));
        check(&[], true, Ok(()));
    }
}
