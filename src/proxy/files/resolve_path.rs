//! Which paths may be seen, and where they lead.

use std::path::{Path, PathBuf};

use http::{HeaderValue, Uri};

use super::private::Private;

/// Endings of compressed siblings.
const SIBLINGS: [&str; 3] = ["br", "zst", "gz"];

/// Whether a segment is hidden: `.git`, `.env`, `.htpasswd`. `path` is decoded.
pub(super) fn is_hidden(path: &str) -> bool {
    path.split('/').any(|segment| segment.starts_with('.') && segment != ".well-known")
}

/// Whether a path may be a page of an application that lives in the browser: its last segment has no ending. A script or
/// picture that is missing is missing; a page in its place would only fail later.
pub(super) fn is_page(path: &str) -> bool {
    !is_hidden(path) && path.rsplit('/').next().is_none_or(|last| !last.contains('.') || last.ends_with(".html"))
}

/// Whether what a decoded path leads to, its index and its compressed siblings may be served: nothing private, and with
/// `follow` nothing else is asked; without it they lie below `folder`, also behind links. What is not there leads nowhere.
/// Reads the file system.
pub(super) fn may_be_served(folder: &Path, path: &str, follow: bool, private: &Private) -> bool {
    let Ok(home) = folder.canonicalize() else { return false };
    let place = folder.join(path.trim_start_matches('/'));
    let file = if place.is_dir() { place.join("index.html") } else { place.clone() };
    let siblings = SIBLINGS.iter().map(|ending| {
        let mut name = file.clone().into_os_string();
        name.push(".");
        name.push(ending);
        PathBuf::from(name)
    });
    let private = private.look();
    let inside = |place: &Path| follow || place.canonicalize().map_or(true, |real| real.starts_with(&home));
    [place, file.clone()].into_iter().chain(siblings).all(|place| inside(&place) && !private.holds(&place))
}

/// The same place as a folder, relative to where the client is: a prefix that was cut off is not known here.
pub(super) fn with_slash(uri: &Uri) -> Option<HeaderValue> {
    let last = uri.path().rsplit('/').next().filter(|last| !last.is_empty())?;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    HeaderValue::try_from(format!("./{last}/{query}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_files_are_hidden_at_every_depth() {
        for path in ["/.git/config", "/a/.env", "/.htpasswd", "/..x", "/a/.b/c"] {
            assert!(is_hidden(path), "{path}");
        }
        for path in ["/", "/a.b/c", "/.well-known/security.txt", "/a."] {
            assert!(!is_hidden(path), "{path}");
        }
    }

    #[test]
    fn pages_have_no_ending() {
        for path in ["/", "/app/users/7", "/about.html"] {
            assert!(is_page(path), "{path}");
        }
        for path in ["/app.js", "/img/logo.svg", "/favicon.ico", "/.git/config"] {
            assert!(!is_page(path), "{path}");
        }
    }

    #[test]
    fn a_folder_is_named_relative_to_the_client() {
        let check = |uri: &str, expected: Option<&str>| {
            let seen = with_slash(&uri.parse().unwrap());
            assert_eq!(seen.as_ref().map(|value| value.to_str().unwrap()), expected, "for {uri}");
        };
        check("/a/docs", Some("./docs/"));
        check("/docs?x=1", Some("./docs/?x=1"));
        check("/a:b", Some("./a:b/"));
        check("/", None);
    }
}
