//! What was read from a backend and not yet used.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::AsyncReadExt;

use crate::proxy::upstream::stream::BackendStream;

/// Bytes asked for at once: enough for a usual answer, and more for one that keeps filling it.
const MIN_READ: usize = 8 * 1024;
const MAX_READ: usize = 128 * 1024;

/// See the module.
pub(super) struct ReadBuffer {
    pub(super) bytes: BytesMut,
    /// How many bytes are asked for next.
    want: usize,
}

impl ReadBuffer {
    pub(super) fn new() -> Self {
        Self { bytes: BytesMut::new(), want: MIN_READ }
    }

    /// Reads once. No bytes mean the stream's end.
    pub(super) fn poll_fill(&mut self, stream: &mut BackendStream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.bytes.reserve(self.want);
        let polled = pin!(stream.read_buf(&mut self.bytes)).poll(cx);
        if let Poll::Ready(Ok(read)) = polled
            && read >= self.want
        {
            self.want = (self.want * 2).min(MAX_READ);
        }
        polled
    }

    /// Lets go of memory that a usual answer does not need.
    pub(super) fn rest(&mut self) {
        if self.want > MIN_READ {
            *self = Self::new();
        }
    }
}
