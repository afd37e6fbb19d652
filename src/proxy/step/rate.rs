//! `limit requests`: a token bucket for each client, asked before anything that costs more.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderName, Request};
use tokio::time::Instant;

use super::query;
use crate::base::addr::client_prefix;
use crate::config::settings::{LimitKey, RequestLimit};
use crate::proxy::cookie;
use crate::proxy::limit::bucket::retry_after;
use crate::proxy::limit::keyed::KeyedRateLimiter;
use crate::proxy::refusal::Refusal;

/// One block's limit and what its clients have used of it.
#[derive(Clone, Debug)]
pub struct Rate {
    rates: Arc<KeyedRateLimiter>,
    by: By,
}

#[derive(Clone, Debug)]
enum By {
    Ip,
    Header(HeaderName),
    Cookie(Box<str>),
    Query(Box<str>),
}

/// Who asks, in the terms of the limit. Who sends none of what the limit counts by is counted by address.
#[derive(Debug, PartialEq, Eq)]
enum Key<'a> {
    Ip(IpAddr),
    Text(&'a [u8]),
}

impl Rate {
    /// `None` when the limit counts by a header that cannot be one; the configuration has refused it.
    pub(super) fn of(limit: &RequestLimit, rates: Arc<KeyedRateLimiter>) -> Option<Self> {
        let by = match &limit.by {
            LimitKey::Ip => By::Ip,
            LimitKey::Header(name) => By::Header(HeaderName::try_from(name.as_str()).ok()?),
            LimitKey::Cookie(name) => By::Cookie(name.as_str().into()),
            LimitKey::Query(name) => By::Query(name.as_str().into()),
        };
        Some(Self { rates, by })
    }

    pub(super) fn enter<B>(&self, client: IpAddr, request: &Request<B>, now: Instant) -> Result<(), Refusal> {
        let key = self.by.key(client, request);
        self.rates.take(key, now).map_err(|wait| Refusal::TooMany { after: retry_after(wait) })
    }
}

impl By {
    fn key<'a, B>(&self, client: IpAddr, request: &'a Request<B>) -> Key<'a> {
        let text = match self {
            Self::Ip => None,
            Self::Header(name) => request.headers().get(name).map(http::HeaderValue::as_bytes),
            Self::Cookie(name) => cookie::find(request.headers(), name).map(str::as_bytes),
            Self::Query(name) => query::value(request.uri(), name).map(str::as_bytes),
        };
        text.filter(|text| !text.is_empty()).map_or_else(|| Key::Ip(client_prefix(client)), Key::Text)
    }
}

impl Hash for Key<'_> {
    /// Apart, so that nobody can name another's address in a header.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Ip(ip) => (0_u8, ip).hash(state),
            Self::Text(text) => (1_u8, text).hash(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::proxy::limit::bucket;

    fn rate(count: u32, by: LimitKey) -> Rate {
        let per = Duration::from_secs(60);
        let limit = RequestLimit { count, per, burst: 0, by };
        Rate::of(&limit, Arc::new(KeyedRateLimiter::new(bucket::Rate::new(count, per, 0), Instant::now()))).unwrap()
    }

    fn request(target: &str, key: Option<&str>) -> Request<()> {
        let mut request = Request::get(target).body(()).unwrap();
        if let Some(key) = key {
            request.headers_mut().insert("x-key", key.parse().unwrap());
            request.headers_mut().insert("cookie", format!("a=0; session={key}").parse().unwrap());
        }
        request
    }

    #[test]
    fn who_counts_as_one_client() {
        let check = |by: LimitKey, target: &str, header: Option<&str>, expected: Key<'_>| {
            let request = request(target, header);
            assert_eq!(rate(1, by).by.key("2001:db8::7:1".parse().unwrap(), &request), expected, "for {target} {header:?}");
        };
        let net = || Key::Ip("2001:db8::".parse().unwrap());
        let header = || LimitKey::Header("X-Key".into());
        let query = || LimitKey::Query("token".into());
        check(LimitKey::Ip, "/?token=a", Some("b"), net());
        check(header(), "/", Some("b"), Key::Text(b"b"));
        check(header(), "/", None, net());
        check(LimitKey::Cookie("session".into()), "/", Some("b"), Key::Text(b"b"));
        check(LimitKey::Cookie("b".into()), "/", Some("b"), net());
        check(query(), "/?x=1&token=a&token=c", None, Key::Text(b"a"));
        check(query(), "/?token=", None, net());
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let (rate, request, now) = (rate(10, LimitKey::Ip), request("/", None), Instant::now());
        let client = "192.0.2.1".parse().unwrap();
        assert_eq!(rate.enter(client, &request, now), Ok(()));
        assert_eq!(rate.enter(client, &request, now), Err(Refusal::TooMany { after: 6 }));
        assert_eq!(rate.enter("192.0.2.2".parse().unwrap(), &request, now), Ok(()));
    }
}
