//! Steps that change the path a backend sees. The query stays.

use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;

/// `strip-prefix`: the prefix is cut off paths that lie below it.
#[derive(Clone, Debug)]
pub struct StripPrefix {
    /// Without its final slash.
    prefix: Box<str>,
}

impl StripPrefix {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.trim_end_matches('/').into() }
    }

    pub(super) fn enter(&self, uri: &mut Uri) {
        let rest = match uri.path().strip_prefix(&*self.prefix) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            Some(_) | None => return,
        };
        if let Some(changed) = with_path(uri, rest) {
            *uri = changed;
        }
    }
}

/// `rewrite`: the path becomes this one.
#[derive(Clone, Debug)]
pub struct Rewrite {
    path: Box<str>,
}

impl Rewrite {
    pub(super) fn new(path: &str) -> Self {
        Self { path: path.into() }
    }

    pub(super) fn enter(&self, uri: &mut Uri) {
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

    #[test]
    fn a_prefix_is_cut_off_whole_segments_only() {
        let check = |uri: &str, expected: &str| {
            let mut target: Uri = uri.parse().unwrap();
            StripPrefix::new("/api/").enter(&mut target);
            assert_eq!(target.to_string(), expected, "for {uri}");
        };
        check("/api/v1?x=1", "/v1?x=1");
        check("/api", "/");
        check("/api?x", "/?x");
        check("/apix", "/apix");
        check("https://a.test/api/v1", "/v1");
        check("/other/api", "/other/api");
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
