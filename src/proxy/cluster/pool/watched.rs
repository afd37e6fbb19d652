//! What a connection's stream and its request's body tell while hyper owns them: how far the exchange has come.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::RequestBody;
use super::written::Written;
use crate::proxy::cluster::stream::BackendStream;

/// How far the present exchange of a connection has come.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Whether anything of an answer came.
    pub(super) answered: Cell<bool>,
    /// Goes up with every write that the backend's side took.
    pub(super) progress: Cell<u32>,
    /// Whether the backend stopped reading.
    pub(super) deaf: Cell<bool>,
    pub(super) sending: Cell<Sending>,
    pub(super) written: Written,
}

/// Where the request's body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sending {
    /// On its way.
    #[default]
    Flowing,
    /// The client has to send more first.
    WaitsForClient,
    /// Given to hyper in full.
    Complete,
    /// The client's side of it failed.
    Failed,
}

impl Facts {
    fn begin(&self, sending: Sending) {
        self.answered.set(false);
        self.sending.set(sending);
    }

    pub(super) fn moved(&self) {
        self.progress.set(self.progress.get().wrapping_add(1));
    }
}

/// The stream to a backend, watched.
///
/// A backend that answers early, say 413, may stop reading the request and even reset the connection behind its answer.
/// hyper would report the failed write and lose the answer that is already here. So a failed write is only noted, the
/// rest of the request goes nowhere, and reading says how it ends. Such a connection is never used again.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) stream: BackendStream,
    pub(super) facts: Rc<Facts>,
}

impl Watched {
    fn written(&self, result: Poll<io::Result<usize>>, all: usize) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Err(_deaf)) => {
                self.facts.deaf.set(true);
                Poll::Ready(Ok(all))
            }
            Poll::Ready(Ok(_)) => {
                self.facts.moved();
                result
            }
            Poll::Pending => result,
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.facts.answered.set(true);
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.facts.deaf.get() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(taken)) = result {
            self.facts.written.note(&bytes[..taken]);
        }
        self.written(result, bytes.len())
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        // A header alone is the usual case, and the plain call is the cheaper one for the kernel.
        if let [one] = bufs {
            return self.poll_write(cx, one);
        }
        let all = || bufs.iter().map(|part| part.len()).sum();
        if self.facts.deaf.get() {
            return Poll::Ready(Ok(all()));
        }
        self.facts.written.forget();
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(result, all())
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Err(_deaf)) => {
                self.facts.deaf.set(true);
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A request's body, watched. Small, because hyper moves a request about a dozen times before it is written.
pub(super) struct Tracked<B> {
    /// `None` for a body without bytes, which most requests have.
    body: Option<Box<B>>,
    facts: Rc<Facts>,
}

impl<B: RequestBody> Tracked<B> {
    /// The tracked form, and the body itself where it is without bytes, to be given back with the request.
    pub(super) fn new(body: B, facts: &Rc<Facts>) -> (Self, Option<B>) {
        let facts = Rc::clone(facts);
        if body.is_end_stream() {
            facts.begin(Sending::Complete);
            (Self { body: None, facts }, Some(body))
        } else {
            facts.begin(Sending::Flowing);
            (Self { body: Some(Box::new(body)), facts }, None)
        }
    }

    pub(super) fn into_body(self) -> Option<B> {
        self.body.map(|body| *body)
    }
}

impl<B: RequestBody> Body for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let result = Pin::new(&mut **body).poll_frame(cx);
        this.facts.sending.set(match &result {
            Poll::Pending => Sending::WaitsForClient,
            Poll::Ready(Some(Ok(_))) if !body.is_end_stream() => Sending::Flowing,
            Poll::Ready(Some(Ok(_)) | None) => Sending::Complete,
            Poll::Ready(Some(Err(_))) => Sending::Failed,
        });
        result
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), |body| body.size_hint())
    }
}
