//! Where a token stands in a request, and a request without it. Pure.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Request, Uri};

use crate::config::settings::TokenPlace;
use crate::proxy::cookie;
use crate::proxy::step::query;

/// The token in this place; an empty one is none.
pub(super) fn find<'a, B>(place: &TokenPlace, request: &'a Request<B>) -> Option<&'a str> {
    let headers = request.headers();
    let token = match place {
        TokenPlace::Bearer => bearer(headers.get(header::AUTHORIZATION)?)?,
        TokenPlace::Header(name) => headers.get(name)?.to_str().ok()?.trim(),
        TokenPlace::Cookie(name) => cookie::find(headers, name)?,
        TokenPlace::Query(name) => query::value(request.uri(), name)?,
    };
    Some(token).filter(|token| !token.is_empty())
}

/// Takes every token out of this place, also a second one that was not looked at.
pub(super) fn take_out<B>(place: &TokenPlace, request: &mut Request<B>) {
    match place {
        TokenPlace::Bearer => {
            let headers = request.headers_mut();
            if headers.get(header::AUTHORIZATION).is_some_and(|value| bearer(value).is_some()) {
                headers.remove(header::AUTHORIZATION);
            }
        }
        TokenPlace::Header(name) => {
            request.headers_mut().remove(name);
        }
        TokenPlace::Cookie(name) => without_cookie(request.headers_mut(), name),
        TokenPlace::Query(name) => without_parameter(request.uri_mut(), name),
    }
}

/// RFC 6750 section 2.1; the scheme is compared without case (RFC 9110 section 11.1).
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn without_cookie(headers: &mut HeaderMap, name: &str) {
    let lists: Vec<HeaderValue> = headers.get_all(header::COOKIE).iter().cloned().collect();
    headers.remove(header::COOKIE);
    for list in lists {
        let Ok(text) = list.to_str() else {
            // What cannot be read was not looked at either.
            headers.append(header::COOKIE, list);
            continue;
        };
        let is_other = |pair: &&str| pair.split_once('=').map_or(*pair, |(key, _)| key) != name;
        let kept = text.split(';').map(str::trim).filter(is_other).collect::<Vec<_>>().join("; ");
        if let (false, Ok(kept)) = (kept.is_empty(), HeaderValue::from_str(&kept)) {
            headers.append(header::COOKIE, kept);
        }
    }
}

fn without_parameter(uri: &mut Uri, name: &str) {
    let Some(query) = uri.query() else { return };
    let kept = query::without(query, name);
    let text = match &kept {
        Some(kept) => format!("{}?{kept}", uri.path()),
        None => uri.path().to_owned(),
    };
    if let Ok(target) = PathAndQuery::from_maybe_shared(Bytes::from(text)) {
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(target);
        if let Ok(changed) = Uri::from_parts(parts) {
            *uri = changed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, fields: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::get(target).body(()).unwrap();
        for (name, value) in fields {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        request
    }

    #[test]
    fn tokens_are_found_where_the_site_says() {
        let check = |place: TokenPlace, target: &str, fields: &[(&'static str, &'static str)], expected: Option<&str>| {
            assert_eq!(find(&place, &request(target, fields)), expected, "for {place:?} {target} {fields:?}");
        };
        check(TokenPlace::Bearer, "/", &[("authorization", "bearer  abc")], Some("abc"));
        check(TokenPlace::Bearer, "/", &[("authorization", "Basic abc")], None);
        check(TokenPlace::Bearer, "/", &[("authorization", "Bearer ")], None);
        check(TokenPlace::Header("X-Token".into()), "/", &[("x-token", " abc ")], Some("abc"));
        check(TokenPlace::Cookie("t".into()), "/", &[("cookie", "a=1; t=abc; tt=2")], Some("abc"));
        check(TokenPlace::Cookie("t".into()), "/", &[("cookie", "a=1"), ("cookie", "t=\"abc\"")], Some("abc"));
        check(TokenPlace::Cookie("t".into()), "/", &[("cookie", "tt=1")], None);
        check(TokenPlace::Query("t".into()), "/ws?room=1&t=abc", &[], Some("abc"));
        check(TokenPlace::Query("t".into()), "/ws?t=", &[], None);
    }

    #[test]
    fn what_is_taken_out_is_gone_and_the_rest_stays() {
        let check = |place: TokenPlace, target: &str, cookies: &[&'static str], expected: &str, left: &[&str]| {
            let mut request = request(target, &[("authorization", "Bearer x"), ("x-token", "y")]);
            for cookie in cookies {
                request.headers_mut().append("cookie", HeaderValue::from_static(cookie));
            }
            take_out(&place, &mut request);
            assert_eq!(request.uri(), expected, "for {place:?}");
            assert_eq!(request.headers().get_all("cookie").iter().collect::<Vec<_>>(), left, "for {place:?}");
            assert_eq!(request.headers().contains_key("authorization"), place != TokenPlace::Bearer);
            assert_eq!(request.headers().contains_key("x-token"), place != TokenPlace::Header("x-token".into()));
        };
        check(TokenPlace::Query("t".into()), "/ws?t=a&room=1&t=b", &[], "/ws?room=1", &[]);
        check(TokenPlace::Query("t".into()), "https://a.test/ws?t=a", &[], "https://a.test/ws", &[]);
        check(TokenPlace::Cookie("t".into()), "/", &["a=1; t=x;b=2", "t=y"], "/", &["a=1; b=2"]);
        check(TokenPlace::Bearer, "/?t=1", &["t=1"], "/?t=1", &["t=1"]);
        check(TokenPlace::Header("x-token".into()), "/", &[], "/", &[]);
    }
}
