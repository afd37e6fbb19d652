//! An answer from a backend, whose body drives the connection it comes over and gives it back at its end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::response::Parts;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::failure::Cause;
use super::wire::Wire;
use super::{RequestBody, h2};
use crate::proxy::cluster::stream::BackendStream;

/// A backend's answer: its header, and a body still to come.
#[derive(Debug)]
pub struct Answered<B: RequestBody> {
    /// The answer.
    pub response: Response<BackendBody<B>>,
    /// Whether it came over a connection that had rested.
    pub reused: bool,
    /// How long it took to connect; `None` when nothing had to be.
    pub connect: Option<Duration>,
}

/// A backend that answered 101: from here on its protocol is not ours.
#[derive(Debug)]
pub struct Upgrade {
    /// The answer's header.
    pub head: Parts,
    /// The stream to the backend.
    pub stream: BackendStream,
    /// What the backend sent right behind its header; to be passed on first.
    pub leftover: Bytes,
}

impl<B: RequestBody> Answered<B> {
    pub(super) fn new(response: Response<Incoming>, wire: Box<Wire<B>>, upgraded: bool) -> Self {
        let response = response.map(|incoming| {
            let mut body = WireBody { incoming, wire: Some(wire) };
            if !upgraded && body.incoming.is_end_stream() {
                body.finish();
            }
            BackendBody::Wire(body)
        });
        Self { response, reused: false, connect: None }
    }

    pub(super) fn by_stream(response: Response<h2::Stream>, reused: bool, connect: Option<Duration>) -> Self {
        Self { response: response.map(|stream| BackendBody::Stream(Box::new(stream))), reused, connect }
    }

    /// Takes the stream over after a 101.
    ///
    /// # Errors
    /// Gives the answer back when it is not a 101.
    pub fn into_upgrade(self) -> Result<Upgrade, Box<Self>> {
        if self.response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
            return Err(Box::new(self));
        }
        let (mut head, body) = self.response.into_parts();
        head.extensions.clear();
        let (stream, leftover) = match body {
            BackendBody::Wire(body) => {
                let wire = body.wire.expect("the connection stays with a 101 until it is taken over");
                let (stream, leftover) = wire.into_stream();
                // What hyper read into may be large; a copy of the few bytes lets it go.
                (stream, Bytes::copy_from_slice(&leftover))
            }
            BackendBody::Stream(stream) => {
                let tunnel = stream.into_tunnel().expect("only a granted tunnel is answered with 101 here");
                (BackendStream::Http2(Box::new(tunnel)), Bytes::new())
            }
        };
        Ok(Upgrade { head, stream, leftover })
    }
}

/// The body of a backend's answer.
pub enum BackendBody<B: RequestBody> {
    /// Over HTTP/1.1.
    Wire(WireBody<B>),
    /// Over HTTP/2.
    Stream(Box<h2::Stream>),
}

/// A body over HTTP/1.1. Polling it drives the connection, in both directions. At its end the connection goes
/// back to rest if it can be used again; dropped before, the connection is closed, which tells the backend to stop.
pub struct WireBody<B: RequestBody> {
    incoming: Incoming,
    /// Gone once the body is at its end.
    wire: Option<Box<Wire<B>>>,
}

/// The backend broke off in the middle of its answer's body.
#[derive(Debug, thiserror::Error)]
#[error("the backend broke off in the middle of its answer")]
pub struct BackendBodyError(#[source] Cause);

impl<B: RequestBody> WireBody<B> {
    /// The connection rests again, or is closed when it is not fit to be used again. An answer that came before all of
    /// its request was sent ends the connection: the rest would be taken for the next request.
    fn finish(&mut self) {
        let Some(mut wire) = self.wire.take() else { return };
        // A request's body may be complete by its length and only have to be asked once more to say so.
        if wire.is_reusable() || wire.is_reusable_now() {
            let home = wire.home.take().expect("a connection in use knows where it rests");
            home.take_back(wire);
        }
    }

    /// What hyper has ready. Both ends of its channel are polled in this one task, so neither needs to wake the other.
    fn poll_incoming(&mut self) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let _muted = self.wire.as_ref().map(|wire| wire.mute());
        Pin::new(&mut self.incoming).poll_frame(&mut Context::from_waker(Waker::noop()))
    }

    fn pass(&mut self, frame: Option<Result<Frame<Bytes>, hyper::Error>>) -> Option<Result<Frame<Bytes>, BackendBodyError>> {
        match frame {
            Some(Ok(frame)) => {
                if self.incoming.is_end_stream() {
                    self.finish();
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.wire = None;
                Some(Err(BackendBodyError(error.into())))
            }
            None => {
                self.finish();
                None
            }
        }
    }
}

impl<B: RequestBody> Body for BackendBody<B> {
    type Data = Bytes;
    type Error = BackendBodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BackendBodyError>>> {
        match self.get_mut() {
            Self::Wire(body) => Pin::new(body).poll_frame(cx),
            Self::Stream(stream) => Pin::new(&mut **stream)
                .poll_frame(cx)
                .map(|frame| frame.map(|result| result.map_err(|error| BackendBodyError(error.into())))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Wire(body) => body.is_end_stream(),
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Wire(body) => body.size_hint(),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}

impl<B: RequestBody> Body for WireBody<B> {
    type Data = Bytes;
    type Error = BackendBodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BackendBodyError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = this.poll_incoming() {
            return Poll::Ready(this.pass(frame));
        }
        if let Some(wire) = &mut this.wire {
            wire.drive(cx);
        }
        let mut polled = this.poll_incoming();
        if polled.is_pending() && this.wire.as_ref().is_none_or(|wire| wire.is_over()) {
            // Nothing more can come. hyper ends a body with an error when its connection is dropped before its end.
            this.wire = None;
            polled = this.poll_incoming();
        }
        polled.map(|frame| this.pass(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl<B: RequestBody> fmt::Debug for BackendBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendBody").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}
