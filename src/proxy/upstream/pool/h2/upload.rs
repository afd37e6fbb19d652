//! A request's body on its way into a stream, as fast as the backend's windows let it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{Reason, SendStream};
use http::HeaderMap;

use super::super::RequestBody;
use super::super::failure::Cause;
use super::super::upload_progress::{Facts, Sending};

/// See the module.
pub(super) struct Upload<B> {
    body: B,
    stream: SendStream<Bytes>,
    facts: Rc<Facts>,
    /// What the backend's windows have not let through yet.
    piece: Bytes,
    trailers: Option<HeaderMap>,
    /// Whether the body has been asked for anything.
    begun: bool,
    /// The body has nothing more behind `piece` and `trailers`.
    last: bool,
}

/// Why a body did not get to its end.
pub(super) enum Cut {
    /// The client's side of it failed.
    ByClient(Cause),
    /// The backend takes no more; what it answered tells why.
    ByBackend,
}

impl<B: RequestBody> Upload<B> {
    pub(super) fn new(body: B, stream: SendStream<Bytes>, facts: Rc<Facts>) -> Self {
        facts.sending.set(Sending::Flowing);
        Self { body, stream, facts, piece: Bytes::new(), trailers: None, begun: false, last: false }
    }

    /// The body, while nothing of it has been taken.
    pub(super) fn untouched(self) -> Option<B> {
        (!self.begun).then_some(self.body)
    }

    /// Sends what can be sent; ready when all has been handed to the stream.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        loop {
            if !self.piece.is_empty() {
                ready!(self.poll_send(cx))?;
                continue;
            }
            if let Some(trailers) = self.trailers.take() {
                return Poll::Ready(self.stream.send_trailers(trailers).map_err(|_closed| Cut::ByBackend));
            }
            if self.last {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_body(cx))?;
        }
    }

    /// Hands over as much of the piece as there is room for.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        self.facts.sending.set(Sending::Flowing);
        self.stream.reserve_capacity(self.piece.len());
        while self.stream.capacity() == 0 {
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_)) => (),
                Some(Err(_)) | None => return Poll::Ready(Err(Cut::ByBackend)),
            }
        }
        let part = self.piece.split_to(self.stream.capacity().min(self.piece.len()));
        let end = self.last && self.piece.is_empty() && self.trailers.is_none();
        self.send(part, end)?;
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, part: Bytes, end: bool) -> Result<(), Cut> {
        self.facts.moved();
        if end {
            self.facts.sending.set(Sending::Complete);
        }
        self.stream.send_data(part, end).map_err(|_closed| Cut::ByBackend)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.begun |= polled.is_ready();
        let Poll::Ready(frame) = polled else {
            self.facts.sending.set(Sending::WaitsForClient);
            return self.stream.poll_reset(cx).map(|_reset| Err(Cut::ByBackend));
        };
        match frame {
            None => {
                self.last = true;
                self.send(Bytes::new(), true)?;
            }
            Some(Err(error)) => {
                self.facts.sending.set(Sending::Failed);
                self.stream.send_reset(Reason::CANCEL);
                return Poll::Ready(Err(Cut::ByClient(error.into())));
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(mut data) => {
                    self.piece = data.copy_to_bytes(data.remaining());
                    self.last = self.body.is_end_stream();
                    if self.last && self.piece.is_empty() {
                        self.send(Bytes::new(), true)?;
                    }
                }
                Err(frame) => {
                    self.trailers = frame.into_trailers().ok();
                    self.last = true;
                    self.facts.sending.set(Sending::Complete);
                }
            },
        }
        Poll::Ready(Ok(()))
    }
}
