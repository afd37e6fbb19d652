//! Early hints (RFC 8297): what a backend says an answer will need, before there is the answer. Of such a message only `Link`
//! goes on, which is all that browsers take of it.
//!
//! Clients of HTTP/2 and HTTP/3 get them. Over HTTP/1.1 a client that takes such a message for the answer would take every
//! answer on the connection for that of the request before it (section 3). Chrome, Safari, Cloudflare, Fastly, Apache and h2o keep to
//! these two as well, and so does nginx in its example; Caddy and HAProxy pass hints on over HTTP/1.1, too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};

/// Messages of one backend about one answer; more are not passed on.
const MAX_HINTS: usize = 4;

/// A request's hints, between the backend's connection and the client's. It is `Sync` because a request's extensions are; one
/// thread uses it.
#[derive(Clone, Debug, Default)]
pub struct Hints(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    heard: usize,
    messages: VecDeque<Response<()>>,
    waiting: Option<Waker>,
}

impl Hints {
    /// For a request that has use for them: browsers take hints for pages alone, and others may not expect any (RFC 8297
    /// section 3).
    pub fn wanted_by(headers: &HeaderMap) -> Option<Self> {
        headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate").then(Self::default)
    }

    /// The next message, once it has come.
    pub fn poll_next(&self, cx: &Context<'_>) -> Poll<Response<()>> {
        let next = self.next();
        if next.is_none() {
            self.held().waiting = Some(cx.waker().clone());
        }
        next.map_or(Poll::Pending, Poll::Ready)
    }

    /// The next message that has come already.
    pub fn next(&self) -> Option<Response<()>> {
        self.held().messages.pop_front()
    }

    /// Adds a message of the backend's before its answer.
    pub(in crate::proxy) fn push(&self, status: StatusCode, links: impl IntoIterator<Item = HeaderValue>) {
        let mut links = links.into_iter().peekable();
        let mut held = self.held();
        if status != StatusCode::EARLY_HINTS || held.heard == MAX_HINTS || links.peek().is_none() {
            return;
        }
        held.heard += 1;
        let mut message = Response::new(());
        *message.status_mut() = status;
        message.headers_mut().extend(links.map(|link| (header::LINK, link)));
        held.messages.push_back(message);
        if let Some(waiting) = held.waiting.take() {
            waiting.wake();
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_alone_pass_and_not_without_end() {
        let hints = Hints::default();
        let next = || match hints.poll_next(&Context::from_waker(Waker::noop())) {
            Poll::Ready(message) => Some(message.headers().get_all("link").iter().cloned().collect::<Vec<_>>()),
            Poll::Pending => None,
        };
        let links = || ["</a.css>; rel=preload", "</b.css>; rel=preload"].map(HeaderValue::from_static);
        hints.push(StatusCode::EARLY_HINTS, []);
        hints.push(StatusCode::PROCESSING, links());
        assert_eq!(next(), None);
        for _ in 0..MAX_HINTS + 1 {
            hints.push(StatusCode::EARLY_HINTS, links());
        }
        for _ in 0..MAX_HINTS {
            assert_eq!(next().unwrap(), ["</a.css>; rel=preload", "</b.css>; rel=preload"]);
        }
        assert_eq!(next(), None);
    }

    #[test]
    fn who_asks_for_a_page_wants_them() {
        let wants = |mode: &'static str| {
            Hints::wanted_by(&HeaderMap::from_iter([("sec-fetch-mode".parse().unwrap(), HeaderValue::from_static(mode))]))
                .is_some()
        };
        assert!(wants("navigate") && !wants("cors") && Hints::wanted_by(&HeaderMap::new()).is_none());
    }
}
