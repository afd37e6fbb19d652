//! `files`: what lies below a folder. Conditional requests, ranges and compressed siblings are tower-http's work; here is
//! decided what may be seen at all, how long it may be kept, and what answers for pages that exist only in a browser.
//!
//! Nothing below a name that begins with a dot is served, `.well-known` apart, no link leads out of the folder unless the
//! site says so, and the state folder, the configuration and private keys are not served wherever they lie. Links are followed by the system after they were looked at: who may write into the folder may change
//! one in between, and could as well change the file.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower_http::services::ServeDir;
use tower_http::services::fs::ServeFileSystemResponseBody;

use super::body::{Body, BodyError, Fault};
use super::error_response::SERVER;
use super::refusal::{Malformed, Refusal};
use super::{error_response, validate};
use crate::base::task;
use crate::base::time::{Clock as _, SystemClock};
use crate::config::settings::Files as Settings;

mod conditions;
mod listing;
pub mod private;
mod range;
mod resolve_path;

use private::Private;

/// What a piece of a file is read and sent in.
const PIECE: usize = 128 * 1024;

/// Looks at one folder at a time, of the 512 threads that each worker may have.
const MAX_LOOKS: usize = 128;
/// For one look, the wait for its turn included. A disk that has to start takes a few seconds.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// One block's folder.
#[derive(Debug)]
pub struct Files {
    serve: ServeDir,
    folder: PathBuf,
    private: Arc<Private>,
    follow: bool,
    list: bool,
    cache: Option<HeaderValue>,
    fallback: Option<String>,
    /// Looks under way at what may be seen.
    looks: Arc<Semaphore>,
}

impl Files {
    /// The folder need not be there yet.
    pub fn new(settings: &Settings, private: &Arc<Private>) -> Self {
        let serve = ServeDir::new(&settings.folder)
            .precompressed_br()
            .precompressed_zstd()
            .precompressed_gzip()
            .ignore_multi_range_requests(true)
            .with_buf_chunk_size(PIECE);
        Self {
            serve,
            folder: settings.folder.clone(),
            private: Arc::clone(private),
            follow: settings.follow,
            list: settings.list,
            cache: settings.cache.map(|cache| cache_control(cache.age.as_secs(), cache.immutable)),
            fallback: settings.fallback.clone(),
            looks: Arc::new(Semaphore::new(MAX_LOOKS)),
        }
    }

    /// Answers with a file, or says that there is none.
    pub async fn answer(&self, request: &Request<Body>) -> Result<Response<Body>, Refusal> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(Refusal::ReadOnly);
        }
        // Steps may have changed the path since it was looked at first.
        let path = validate::path(request.uri().path()).map_err(|_| Refusal::Malformed(Malformed::Path))?;
        let found = if self.may_see(&path).await? {
            match self.find(request, request.uri().path()).await? {
                None if self.list && path.ends_with('/') => self.listed(request, &path).await,
                found => found,
            }
        } else {
            None
        };
        match (found, &self.fallback) {
            (Some(response), _) => Ok(response),
            (None, Some(fallback)) if resolve_path::is_page(&path) && self.may_see(fallback).await? => {
                let page = self.find(request, fallback).await?.ok_or(Refusal::NothingHere)?;
                Ok(page)
            }
            (None, _) => Err(Refusal::NothingHere),
        }
    }

    /// The links of a folder.
    async fn listed(&self, request: &Request<Body>, path: &str) -> Option<Response<Body>> {
        let (folder, path, follow, private) = (self.folder.clone(), path.to_owned(), self.follow, Arc::clone(&self.private));
        let page = task::blocking("listing", move || listing::page(&folder, &path, follow, &private)).await??;
        let mut response = error_response::own(StatusCode::OK, HTML, page.into(), *request.method() == Method::HEAD);
        self.finish(&mut response, request, None);
        Some(response)
    }

    /// Whether what is asked for is not hidden, lies in the folder and is not private. It is the first that is asked of the file
    /// system: where that does not answer, a bounded number of threads waits for it, and others are left for other folders,
    /// passwords and names.
    async fn may_see(&self, path: &str) -> Result<bool, Refusal> {
        if resolve_path::is_hidden(path) {
            return Ok(false);
        }
        let (folder, path, follow, private) = (self.folder.clone(), path.to_owned(), self.follow, Arc::clone(&self.private));
        let look = async {
            let held = Arc::clone(&self.looks).acquire_owned().await.ok()?;
            let look = move || {
                let seen = resolve_path::may_be_served(&folder, &path, follow, &private);
                // Not when the client leaves: the thread stays.
                drop(held);
                seen
            };
            task::blocking("files", look).await
        };
        let seen = timeout(LOOK_TIMEOUT, look).await.map_err(|_elapsed| Refusal::FilesTimedOut)?;
        Ok(seen == Some(true))
    }

    /// `None` when there is no such file.
    async fn find(&self, request: &Request<Body>, path: &str) -> Result<Option<Response<Body>>, Refusal> {
        let mut asked = Request::new(http_body_util::Empty::<Bytes>::new());
        *asked.method_mut() = request.method().clone();
        *asked.uri_mut() = match path.parse() {
            Ok(uri) => uri,
            Err(_) => return Ok(None),
        };
        *asked.headers_mut() = request.headers().clone();
        conditions::spell_out_codings(asked.headers_mut());
        let mut file = None;
        if conditions::are_there(asked.headers()) {
            file = self.whole(&asked).await;
        }
        if let Some(file) = &file {
            conditions::prepare(request.method(), asked.headers_mut(), file, SystemClock.now().unix());
        }
        let answered = self.serve.clone().try_call(asked).await;
        let mut response = match answered {
            Ok(response) if response.status() == StatusCode::NOT_FOUND => return Ok(None),
            Ok(response) => response.map(|body| Body::made(FileBody(body))),
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => {
                tracing::warn!(event = "file_unreadable", folder = %self.folder.display(), path, %error, "{path} below {} cannot be read: {error}; let the gateway's user read it", self.folder.display());
                return Err(Refusal::Unreadable);
            }
        };
        self.finish(&mut response, request, file.as_ref());
        Ok(Some(response))
    }

    /// The header of a response with the whole file, in the coding that the client gets; `None` where there is no file.
    async fn whole(&self, asked: &Request<http_body_util::Empty<Bytes>>) -> Option<HeaderMap> {
        let mut whole = Request::new(http_body_util::Empty::<Bytes>::new());
        *whole.method_mut() = Method::HEAD;
        whole.uri_mut().clone_from(asked.uri());
        let codings = asked.headers().get_all(header::ACCEPT_ENCODING);
        codings.iter().for_each(|value| _ = whole.headers_mut().append(header::ACCEPT_ENCODING, value.clone()));
        let response = self.serve.clone().try_call(whole).await.ok()?;
        (response.status() == StatusCode::OK).then(|| response.into_parts().0.headers)
    }

    /// `file` is the header of a response with the whole file, where that was asked for.
    fn finish(&self, response: &mut Response<Body>, request: &Request<Body>, file: Option<&HeaderMap>) {
        if response.status() == StatusCode::TEMPORARY_REDIRECT {
            *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
        }
        let status = response.status();
        let kept = matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
        let headers = response.headers_mut();
        headers.insert(header::SERVER, SERVER);
        // A 416 is about the same, and names no coding.
        let whole = file.filter(|_| matches!(status, StatusCode::NOT_MODIFIED | StatusCode::RANGE_NOT_SATISFIABLE));
        if headers.contains_key(header::ETAG)
            && let Some(tag) = conditions::tag(whole.unwrap_or(headers))
        {
            headers.insert(header::ETAG, tag);
        }
        if status == StatusCode::NOT_MODIFIED {
            // As the answer by 200 has it (RFC 9110 section 15.4.5).
            headers.entry(header::VARY).or_insert(HeaderValue::from_static("accept-encoding"));
        }
        if headers.contains_key(header::LOCATION)
            && let Some(location) = resolve_path::with_slash(request.uri())
        {
            headers.insert(header::LOCATION, location);
        }
        if let Some(named) = headers.get(header::CONTENT_TYPE).and_then(with_charset) {
            headers.insert(header::CONTENT_TYPE, named);
        }
        // A page names the files it is made of, so an old page is worse than an old file.
        let page = match headers.get(header::CONTENT_TYPE).or_else(|| file?.get(header::CONTENT_TYPE)) {
            Some(kind) => kind.as_bytes().starts_with(b"text/html"),
            None => resolve_path::is_page(request.uri().path()),
        };
        match &self.cache {
            Some(cache) if kept && !page => headers.insert(header::CACHE_CONTROL, cache.clone()),
            Some(_) if kept => headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            Some(_) | None => None,
        };
    }
}

/// Text is UTF-8; a browser that is not prebuilt guesses something older.
fn with_charset(kind: &HeaderValue) -> Option<HeaderValue> {
    let text = kind.to_str().ok().filter(|kind| kind.starts_with("text/") && !kind.contains(';'))?;
    HeaderValue::try_from(format!("{text}; charset=utf-8")).ok()
}

/// A name that is too long, or goes on behind a file, leads nowhere.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename)
}

fn cache_control(seconds: u64, immutable: bool) -> HeaderValue {
    let text = format!("public, max-age={seconds}{}", if immutable { ", immutable" } else { "" });
    HeaderValue::try_from(text).expect("digits and words are a header value")
}

/// A file as it is read.
struct FileBody(ServeFileSystemResponseBody);

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.0).poll_frame(cx).map(|frame| frame.map(|result| result.map_err(unreadable)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

fn unreadable(error: io::Error) -> BodyError {
    BodyError { fault: Fault::FileBroke, cause: Some(Box::new(error)) }
}

#[cfg(test)]
mod tests;
