//! `limit bandwidth`: the body of one answer goes out at most so fast. It is counted as it is sent, so behind compression;
//! tunnels have no such limit.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::proxy::body::{Body, BodyError};

/// A piece is what goes out in so many parts of a second, so that a slow answer flows instead of coming in bursts.
const PIECES: u64 = 8;

/// Slows an answer down to `rate` bytes in a second.
pub(super) fn leave(response: &mut Response<Body>, rate: u64) {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS || response.body().is_empty() {
        return;
    }
    let body = std::mem::take(response.body_mut());
    *response.body_mut() = Body::made(Paced::new(body, rate));
}

/// See the module.
struct Paced {
    inner: Body,
    rate: u64,
    /// Came already, and waits for its turn.
    rest: Bytes,
    /// When the next piece may go; before the first there is no timer.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    const fn new(inner: Body, rate: u64) -> Self {
        Self { inner, rate, rest: Bytes::new(), pause: None }
    }

    /// Takes the next piece off what has come, and sets the time of the one behind it.
    fn piece(&mut self) -> Frame<Bytes> {
        let most = usize::try_from((self.rate / PIECES).max(1)).unwrap_or(usize::MAX);
        let piece = self.rest.split_to(self.rest.len().min(most));
        let takes = Duration::from_secs_f64(piece.len() as f64 / self.rate as f64);
        match &mut self.pause {
            // Behind time the debt is not paid back at once: the limit is one for every moment.
            Some(pause) => {
                let next = pause.deadline().max(Instant::now()) + takes;
                pause.as_mut().reset(next);
            }
            None => self.pause = Some(Box::pin(sleep_until(Instant::now() + takes))),
        }
        Frame::data(piece)
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
        }
        while this.rest.is_empty() {
            match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        Poll::Ready(Some(Ok(this.piece())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper().and_then(|upper| upper.checked_add(rest)) {
            hint.set_upper(upper);
        }
        hint.set_lower(inner.lower().saturating_add(rest));
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_takes_as_long_as_its_bytes() {
        let mut response = Response::new(Body::whole(Bytes::from(vec![7; 10_000])));
        leave(&mut response, 1_000);
        assert_eq!(HttpBody::size_hint(response.body()).exact(), Some(10_000), "its length is still known");
        let began = Instant::now();
        let first = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((first.len(), began.elapsed()), (125, Duration::ZERO), "it begins at once");
        let all = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(first.len() + all.len(), 10_000);
        let took = began.elapsed().as_millis();
        assert!((9_800..10_200).contains(&took), "{took} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_body_and_tunnels_are_left_alone() {
        let mut response = Response::new(Body::whole(Bytes::from_static(b"tunnel")));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        leave(&mut response, 1);
        let began = Instant::now();
        response.into_body().collect().await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
