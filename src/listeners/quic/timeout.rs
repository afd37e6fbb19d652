//! Waiting with a limit, without a timer for what is ready at once.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// What `future` comes to, unless it takes longer than `span`.
pub(super) async fn within<F: Future>(span: Duration, mut future: Pin<&mut F>) -> Option<F::Output> {
    let at_once = poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    });
    match at_once.await {
        Some(output) => Some(output),
        None => tokio::time::timeout(span, future).await.ok(),
    }
}
