//! A client of HTTP/2 or HTTP/3 that waits for `100 Continue` before it sends its body (RFC 9110 section 10.1.1). The body notes that
//! it is asked for content and that none has come; the client's stream, which the body does not have, sends the answer.

use std::cell::Cell;
use std::rc::Rc;

use http::header::{self, HeaderMap};
use http::{Response, StatusCode};

/// Of one request, shared by its body and what sends the answer.
#[derive(Clone, Debug, Default)]
pub struct Continue(Rc<Cell<State>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Content was not asked for.
    #[default]
    Waits,
    /// It was, and none was there.
    Owed,
    /// 100 was sent, or needs not be.
    Over,
}

impl Continue {
    /// For a request that expects it.
    pub fn expected_by(headers: &HeaderMap) -> Option<Self> {
        let expects = headers.get(header::EXPECT).is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        expects.then(Self::default)
    }

    /// The body was asked for content; whether any was there.
    pub fn asked(&self, has_content: bool) {
        match self.0.get() {
            _ if has_content => self.0.set(State::Over),
            State::Waits => self.0.set(State::Owed),
            State::Owed | State::Over => (),
        }
    }

    /// The answer that is owed, once.
    pub fn take(&self) -> Option<Response<()>> {
        if self.0.get() != State::Owed {
            return None;
        }
        self.0.set(State::Over);
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::CONTINUE;
        Some(response)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_100_is_owed_once_and_only_to_a_client_that_has_sent_nothing() {
        let expects = |value| Continue::expected_by(&HeaderMap::from_iter([(header::EXPECT, HeaderValue::from_static(value))]));
        assert!(expects("wonders").is_none() && Continue::expected_by(&HeaderMap::new()).is_none());
        let waits = expects("100-Continue").unwrap();
        assert!(waits.take().is_none());
        waits.asked(false);
        waits.asked(false);
        assert_eq!(waits.take().unwrap().status(), StatusCode::CONTINUE);
        waits.asked(false);
        assert!(waits.take().is_none());
        let sends = expects("100-continue").unwrap();
        sends.asked(true);
        sends.asked(false);
        assert!(sends.take().is_none());
    }
}
