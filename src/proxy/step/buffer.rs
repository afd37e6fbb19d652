//! `buffer-requests`: a request's body is taken in before a backend is asked, so that a slow client keeps none of its workers
//! waiting. What is longer than the limit goes on as it comes, behind what was taken in. WebSockets and other upgrades are
//! never held.
//!
//! A body that was taken in whole goes on with a Content-Length, however the client framed it: its length is known, and some
//! backends take no chunks. Trailers need chunks (RFC 9112 section 7.1.2), so a body with trailers keeps them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{Method, Request};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;

use super::Flow;
use crate::proxy::body::{Body, BodyError};
use crate::proxy::exchange::Exchange;
use crate::proxy::upgrade;

/// The rule of one block.
#[derive(Clone, Copy, Debug)]
pub struct BufferRequests {
    /// Bytes that are taken in.
    size: u64,
    /// How long a client may be silent meanwhile.
    timeout: Duration,
}

impl BufferRequests {
    pub(super) const fn new(size: u64, timeout: Duration) -> Self {
        Self { size, timeout }
    }

    pub(super) fn enter<'a>(self, exchange: &'a Rc<Exchange>, request: &'a mut Request<Body>) -> Flow<'a> {
        let upgrades = *request.method() == Method::CONNECT || upgrade::is_asked(request.headers());
        if request.body().is_empty() || upgrades {
            return Flow::Onward;
        }
        Flow::Later(Box::pin(async move {
            let body = std::mem::take(request.body_mut()).idle_after(self.timeout);
            let held = take_in(body, self.size).await.map_err(|error| {
                exchange.state.fault_in.set(Some(error.fault));
                exchange.refusal_of_body()
            })?;
            // The client was prebuilt to go on when its body was asked for.
            request.headers_mut().remove(header::EXPECT);
            if let Some(length) = held.size_hint().exact() {
                announce(request.headers_mut(), length);
            }
            *request.body_mut() = Body::stream(held);
            Ok(None)
        }))
    }
}

/// Frames a body by its length. A length that the client gave stays: what differs from it is refused when it is sent.
fn announce(headers: &mut HeaderMap, length: u64) {
    headers.remove(header::TRANSFER_ENCODING);
    headers.entry(header::CONTENT_LENGTH).or_insert_with(|| length.into());
}

/// Takes in `most` bytes, one piece over them, or all there is.
async fn take_in(mut rest: Body, most: u64) -> Result<Held, BodyError> {
    let (mut taken, mut bytes) = (VecDeque::new(), 0);
    while bytes < most {
        let Some(frame) = rest.frame().await else {
            rest = Body::empty();
            break;
        };
        let frame = frame?;
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        taken.push_back(frame);
    }
    Ok(Held { taken, bytes, rest })
}

/// What was taken in, and what is behind it.
struct Held {
    taken: VecDeque<Frame<Bytes>>,
    /// Of data in `taken`.
    bytes: u64,
    rest: Body,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.taken.pop_front() {
            Some(frame) => {
                self.bytes -= frame.data_ref().map_or(0, |data| data.len() as u64);
                Poll::Ready(Some(Ok(frame)))
            }
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.taken.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        // An exact size would have the body framed by its length, which has no room for trailers.
        let has_trailers = self.taken.back().is_some_and(Frame::is_trailers);
        if let Some(upper) = rest.upper().filter(|_| !has_trailers).and_then(|upper| upper.checked_add(self.bytes)) {
            hint.set_upper(upper);
        }
        hint.set_lower(rest.lower().saturating_add(self.bytes));
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body of these pieces.
    fn body(pieces: &[&'static str]) -> Body {
        let taken = pieces.iter().map(|piece| Frame::data(Bytes::from_static(piece.as_bytes()))).collect();
        let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
        Body::stream(Held { taken, bytes, rest: Body::empty() })
    }

    #[tokio::test]
    async fn so_much_is_taken_in_and_all_of_it_goes_on() {
        for (most, expected) in [(1, 1), (3, 1), (4, 2), (6, 2), (7, 3), (100, 3)] {
            let held = take_in(body(&["one", "two", "three"]), most).await.unwrap();
            assert_eq!(held.taken.len(), expected, "of {most}");
            assert_eq!(held.size_hint().exact(), Some(11));
            let all = Body::stream(held).collect().await.unwrap().to_bytes();
            assert_eq!(all, "onetwothree", "of {most}");
        }
    }

    #[tokio::test]
    async fn a_body_over_its_limit_is_found_while_it_is_taken_in() {
        let mut long = body(&["one", "two"]);
        long.limit(4);
        let error = take_in(long, 100).await.map(|held| held.bytes).unwrap_err();
        assert_eq!(error.fault, crate::proxy::body::Fault::TooLarge(4));
    }
}
