//! Steps that change the path a backend sees. The query stays.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri};

use crate::config::settings::PathPattern;
use crate::proxy::{upgrade, validate};

/// `strip-prefix`: the prefix is cut off paths that lie below it.
#[derive(Clone, Debug)]
pub struct StripPrefix {
    /// Without its final slash.
    prefix: Box<str>,
    /// Whether a page that is asked for by the prefix alone is sent on to the prefix with a slash.
    sends_on: bool,
}

impl StripPrefix {
    /// `path` is that of the block: where it is exact, the operator wants that path answered.
    pub(crate) fn new(prefix: &str, path: &PathPattern) -> Self {
        Self { prefix: prefix.trim_end_matches('/').into(), sends_on: matches!(path, PathPattern::Prefix(_)) }
    }

    /// Cuts the prefix off. Where nothing is left of the path of a page, the Location with a slash behind it: the page's
    /// relative links would lead out of the prefix otherwise (RFC 3986 section 5.2). nginx, Apache and Caddy do the same.
    pub(crate) fn enter<B>(&self, request: &mut Request<B>) -> Option<HeaderValue> {
        let uri = request.uri();
        let rest = validate::behind(uri.path(), &self.prefix)?;
        let is_page = matches!(*request.method(), Method::GET | Method::HEAD) && !upgrade::is_asked(request.headers());
        if rest.is_empty() && is_page && self.sends_on {
            return with_final_slash(uri);
        }
        let rest = if rest.is_empty() { "/" } else { &rest };
        if let Some(changed) = with_path(uri, rest) {
            *request.uri_mut() = changed;
        }
        None
    }
}

/// The path as it was written, with a slash behind it. One slash is in front: two would begin the name of a host.
fn with_final_slash(uri: &Uri) -> Option<HeaderValue> {
    let path = uri.path().trim_start_matches(['/', '\\']);
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    HeaderValue::try_from(format!("/{path}/{query}")).ok()
}

/// `rewrite`: the path becomes this one.
#[derive(Clone, Debug)]
pub struct Rewrite {
    path: Box<str>,
}

impl Rewrite {
    pub(crate) fn new(path: &str) -> Self {
        Self { path: path.into() }
    }

    pub(crate) fn enter(&self, uri: &mut Uri) {
        if let Some(changed) = with_path(uri, &self.path) {
            *uri = changed;
        }
    }
}

/// The target in origin form with another path; `None` when that is no target, which the configuration has refused.
fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let mut text = String::with_capacity(path.len() + 1 + uri.query().map_or(0, str::len));
    text.push_str(path);
    if let Some(query) = uri.query() {
        text.push(if path.contains('?') { '&' } else { '?' });
        text.push_str(query);
    }
    PathAndQuery::from_maybe_shared(Bytes::from(text)).ok().map(Uri::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(prefix: &str, pattern: &PathPattern, request: Request<()>) -> (String, Option<String>) {
        let mut request = request;
        let location = StripPrefix::new(prefix, pattern).enter(&mut request);
        (request.uri().to_string(), location.map(|value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn a_prefix_is_cut_off_whole_segments_only() {
        let check = |uri: &str, expected: &str| {
            let seen = strip("/api/", &PathPattern::Prefix("/api/".into()), Request::get(uri).body(()).unwrap());
            assert_eq!(seen, (expected.to_owned(), None), "for {uri}");
        };
        check("/api/v1?x=1", "/v1?x=1");
        check("/api/", "/");
        check("/%61pi/v1?x=1", "/v1?x=1");
        check("//api//v1", "/v1");
        check("/api%2fv1", "/v1");
        check("/api//evil.test/", "/evil.test/");
        check("/apix", "/apix");
        check("https://a.test/api/v1", "/v1");
        check("/other/api", "/other/api");
    }

    #[test]
    fn the_prefix_alone_is_sent_on_to_its_slash() {
        let prefix = PathPattern::Prefix("/api/".into());
        let check = |pattern: &PathPattern, request: http::request::Builder, expected: (&str, Option<&str>)| {
            let (uri, location) = strip("/api", pattern, request.body(()).unwrap());
            assert_eq!((uri.as_str(), location.as_deref()), expected);
        };
        check(&prefix, Request::get("/api?x=1"), ("/api?x=1", Some("/api/?x=1")));
        check(&prefix, Request::head("/%61pi"), ("/%61pi", Some("/%61pi/")));
        check(&prefix, Request::get("//api"), ("//api", Some("/api/")));
        check(&prefix, Request::post("/api?x"), ("/?x", None));
        let socket = Request::get("/api").header("connection", "upgrade").header("upgrade", "websocket");
        check(&prefix, socket, ("/", None));
        check(&PathPattern::Exact("/api".into()), Request::get("/api"), ("/", None));
    }

    #[test]
    fn a_rewrite_keeps_the_query() {
        let check = |path: &str, uri: &str, expected: &str| {
            let mut target: Uri = uri.parse().unwrap();
            Rewrite::new(path).enter(&mut target);
            assert_eq!(target.to_string(), expected, "for {uri}");
        };
        check("/index.html", "/a/b?x=1", "/index.html?x=1");
        check("/find?by=path", "/a?x=1", "/find?by=path&x=1");
        check("/index.html", "/a", "/index.html");
    }
}
