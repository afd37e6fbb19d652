//! An answer's body on its way to a client.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Frame, SizeHint};

use crate::proxy::client_io::OpenRequest;

/// An answer's body; while it lives, its request counts as open. It tells the connection's [`Activity`](crate::proxy::client_io::Activity) when a piece waits for
/// the client rather than for the backend.
pub struct Open<B> {
    body: B,
    open: OpenRequest,
    handed: bool,
}

impl<B> Open<B> {
    /// The body of the answer to the request that `open` counts.
    pub const fn new(body: B, open: OpenRequest) -> Self {
        Self { body, open, handed: false }
    }

    fn set_handed(&mut self, handed: bool) {
        match (self.handed, handed) {
            (false, true) => self.open.activity().hand(),
            (true, false) => self.open.activity().take(),
            (true, true) | (false, false) => (),
        }
        self.handed = handed;
    }
}

impl<B> Drop for Open<B> {
    fn drop(&mut self) {
        self.set_handed(false);
    }
}

impl<B: http_body::Body + Unpin> http_body::Body for Open<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.set_handed(false);
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.set_handed(matches!(frame, Poll::Ready(Some(Ok(_)))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
