//! `errors`: a site's own pages for what the gateway refuses: `404.html`, or `4xx.html` and `5xx.html` for all of a kind.
//! Read when the configuration is, and kept in memory. What a backend answers is its own affair, and a program that asks
//! for JSON gets ours.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};

use super::body::Body;
use super::error_response::Form;
use crate::base::regular_file;

/// Largest page.
const MAX_PAGE: u64 = 256 * 1024;

/// The pages of one folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pages {
    /// By the beginning of the status: `404`, or `4` for all of its kind. The longer ones first.
    list: Vec<(String, Bytes)>,
}

/// Why a folder has no usable pages.
#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    /// The folder or a page cannot be read.
    #[error("{} cannot be read; make it readable for the gateway's user", path.display())]
    Unreadable {
        /// The folder or page.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A page is too large.
    #[error("{} has more than 256KiB; error pages are kept in memory", path.display())]
    TooLarge {
        /// The page.
        path: PathBuf,
    },
    /// No page in it.
    #[error("{} has no page; name them 404.html, 4xx.html or 5xx.html", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
}

impl Pages {
    /// Reads a folder. Files by other names are passed over: they may be parts of the pages.
    pub fn read(folder: &Path) -> Result<Self, PagesError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| PagesError::Unreadable { path, source }
        };
        let mut list = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = entry.map_err(unreadable(folder))?.path();
            let Some(status) = path.file_name().and_then(|name| name.to_str()).and_then(status) else { continue };
            let mut page = Vec::new();
            let file = regular_file::open(&path).map_err(unreadable(&path))?;
            file.take(MAX_PAGE + 1).read_to_end(&mut page).map_err(unreadable(&path))?;
            if page.len() as u64 > MAX_PAGE {
                return Err(PagesError::TooLarge { path });
            }
            list.push((status.to_owned(), page.into()));
        }
        if list.is_empty() {
            return Err(PagesError::Empty { path: folder.to_owned() });
        }
        list.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        Ok(Self { list })
    }

    /// Gives a refusal's answer the site's page, where there is one for it. `head` is whether only its header is wanted.
    pub fn dress(&self, response: &mut Response<Body>, form: Form, head: bool) {
        let Some(page) = self.page(response.status()).filter(|_| matches!(form, Form::Html | Form::Text)) else { return };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(page.len()));
        *response.body_mut() = if head { Body::empty() } else { Body::whole(page.clone()) };
    }

    fn page(&self, status: StatusCode) -> Option<&Bytes> {
        self.list.iter().find(|(start, _)| status.as_str().starts_with(start.as_str())).map(|(_, page)| page)
    }
}

/// What a file's name says: `404` of `404.html`, `4` of `4xx.html`.
fn status(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(".html")?;
    match stem.as_bytes() {
        [b'4' | b'5', b'x', b'x'] => Some(&stem[..1]),
        [b'4' | b'5', tens, ones] if tens.is_ascii_digit() && ones.is_ascii_digit() => Some(stem),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(pages: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in pages {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn the_page_of_the_status_is_taken_then_that_of_its_kind() {
        let folder = folder(&[("404.html", "lost"), ("4xx.html", "yours"), ("style.css", "p{}"), ("200.html", "no")]);
        let pages = Pages::read(folder.path()).unwrap();
        let check = |code: u16, expected: Option<&str>| {
            assert_eq!(
                pages.page(StatusCode::from_u16(code).unwrap()).map(|page| &page[..]),
                expected.map(str::as_bytes),
                "{code}"
            );
        };
        check(404, Some("lost"));
        check(429, Some("yours"));
        check(503, None);
        check(200, None);
    }

    #[test]
    fn a_program_gets_our_own_words() {
        let folder = folder(&[("5xx.html", "<h1>sorry")]);
        let pages = Pages::read(folder.path()).unwrap();
        let check = |form, head, length: &str, empty| {
            let mut response = Response::new(Body::whole("ours".into()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("4"));
            pages.dress(&mut response, form, head);
            assert_eq!(
                (response.headers()[header::CONTENT_LENGTH].to_str().unwrap(), response.body().is_empty()),
                (length, empty)
            );
        };
        check(Form::Html, false, "9", false);
        check(Form::Html, true, "9", true);
        check(Form::Json, false, "4", false);
        check(Form::Grpc, false, "4", false);
    }

    #[test]
    fn a_folder_without_pages_is_told() {
        assert!(matches!(Pages::read(folder(&[("style.css", "")]).path()), Err(PagesError::Empty { .. })));
        assert!(matches!(Pages::read(Path::new("/nowhere/errors")), Err(PagesError::Unreadable { .. })));
        let large = "x".repeat(300_000);
        assert!(matches!(Pages::read(folder(&[("404.html", &large)]).path()), Err(PagesError::TooLarge { .. })));
    }
}
