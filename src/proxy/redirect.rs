//! Where a redirect leads. Pure.

use http::{HeaderValue, StatusCode, Uri};

/// A redirect as it is configured.
#[derive(Clone, Debug)]
pub struct Redirect {
    target: Box<str>,
    /// Whether path and query of the request are appended.
    appends: bool,
    /// The status.
    pub code: StatusCode,
}

impl Redirect {
    /// To an absolute URL or a path. A bare origin (`https://example.com`) takes the request's path and query along.
    /// `None` for a code that is none.
    pub fn new(target: &str, code: u16) -> Option<Self> {
        let appends = target.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?', '#']));
        Some(Self { target: target.into(), appends, code: StatusCode::from_u16(code).ok()? })
    }

    /// The Location for a request; `None` if it would be no header value.
    pub fn location(&self, uri: &Uri) -> Option<HeaderValue> {
        if self.appends {
            // `*` (RFC 9112 section 3.2.4) is no path, and would become a part of the host.
            let path = Some(path_and_query(uri)).filter(|path| *path != "*").unwrap_or("/");
            HeaderValue::try_from(format!("{}{path}", self.target)).ok()
        } else {
            self.target.parse().ok()
        }
    }
}

/// Path and query of a request's target as it was written.
pub fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_origin_takes_path_and_query_along() {
        let check = |target: &str, uri: &str, expected: &str| {
            let redirect = Redirect::new(target, 301).unwrap();
            assert_eq!(redirect.location(&uri.parse().unwrap()).unwrap(), expected, "for {target}");
        };
        check("https://example.com", "/a?b=c", "https://example.com/a?b=c");
        check("https://example.com:8443", "/", "https://example.com:8443/");
        check("https://example.com/", "/a?b=c", "https://example.com/");
        check("https://example.com/new", "/a", "https://example.com/new");
        check("/login", "/a?b=c", "/login");
        check("https://example.com", "https://old.test/a?b", "https://example.com/a?b");
        check("https://example.com", "*", "https://example.com/");
        check("https://example.com", "//evil.test/%0d%0a", "https://example.com//evil.test/%0d%0a");
    }
}
