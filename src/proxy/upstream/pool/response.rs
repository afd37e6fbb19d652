//! An answer from a backend, whose body drives the connection it comes over and gives it back at its end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::response::Parts;
use http_body::{Body, Frame, SizeHint};

use super::failure::Cause;
use super::h1::H1Connection;
use super::idle::PoolGuard;
use super::{RequestBody, UpgradedStream, h2};

/// A backend's answer: its header, and a body still to come.
#[derive(Debug)]
pub struct UpstreamResponse<B: RequestBody> {
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
    pub stream: UpgradedStream,
    /// What the backend sent right behind its header; to be passed on first.
    pub leftover: Bytes,
}

impl<B: RequestBody> UpstreamResponse<B> {
    pub(super) fn new(response: Response<()>, wire: Box<H1Connection<B>>, home: PoolGuard<B>) -> Self {
        let is_upgrade = response.status() == http::StatusCode::SWITCHING_PROTOCOLS;
        let response = response.map(|()| {
            let mut body = WireBody { in_use: Some((wire, home)) };
            if !is_upgrade && body.is_end_stream() {
                body.finish();
            }
            BackendBody::H1Connection(body)
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
            BackendBody::H1Connection(body) => {
                let (wire, _) = body.in_use.expect("the connection stays with a 101 until it is taken over");
                let (stream, leftover) = wire.into_stream();
                // What was read into may be large; a copy of the few bytes lets it go.
                (UpgradedStream::Connection(stream), Bytes::copy_from_slice(&leftover))
            }
            BackendBody::Stream(stream) => {
                let tunnel = stream.into_tunnel().expect("only a granted tunnel is answered with 101 here");
                (UpgradedStream::Http2(Box::new(tunnel)), Bytes::new())
            }
        };
        Ok(Upgrade { head, stream, leftover })
    }
}

/// The body of a backend's answer.
pub enum BackendBody<B: RequestBody> {
    /// Over HTTP/1.1.
    H1Connection(WireBody<B>),
    /// Over HTTP/2.
    Stream(Box<h2::Stream>),
}

/// A body over HTTP/1.1. Polling it drives the connection, in both directions. At its end the connection goes
/// back to rest if it can be used again; dropped before, the connection is closed, which tells the backend to stop.
pub struct WireBody<B: RequestBody> {
    /// The connection, and where it rests afterwards. Gone once the body is at its end.
    in_use: Option<(Box<H1Connection<B>>, PoolGuard<B>)>,
}

/// The backend broke off in the middle of its answer's body.
#[derive(Debug, thiserror::Error)]
#[error("the backend broke off in the middle of its answer")]
pub struct BackendBodyError(#[source] Cause);

impl<B: RequestBody> WireBody<B> {
    /// The connection rests again, or is closed when it is not fit to be used again. An answer that came before all of
    /// its request was sent ends the connection: the rest would be taken for the next request.
    fn finish(&mut self) {
        let Some((mut wire, home)) = self.in_use.take() else { return };
        if wire.is_reusable() {
            home.take_back(wire);
        }
    }
}

impl<B: RequestBody> Body for BackendBody<B> {
    type Data = Bytes;
    type Error = BackendBodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BackendBodyError>>> {
        match self.get_mut() {
            Self::H1Connection(body) => Pin::new(body).poll_frame(cx),
            Self::Stream(stream) => Pin::new(&mut **stream)
                .poll_frame(cx)
                .map(|frame| frame.map(|result| result.map_err(|error| BackendBodyError(error.into())))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::H1Connection(body) => body.is_end_stream(),
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::H1Connection(body) => body.size_hint(),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}

impl<B: RequestBody> Body for WireBody<B> {
    type Data = Bytes;
    type Error = BackendBodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BackendBodyError>>> {
        let Some((wire, _)) = &mut self.in_use else { return Poll::Ready(None) };
        let frame = ready!(wire.poll_frame(cx));
        match &frame {
            Some(Err(_)) => self.in_use = None,
            Some(Ok(_)) if !wire.is_over() => (),
            Some(Ok(_)) | None => self.finish(),
        }
        Poll::Ready(frame.map(|result| result.map_err(BackendBodyError)))
    }

    fn is_end_stream(&self) -> bool {
        self.in_use.as_ref().is_none_or(|(wire, _)| wire.is_over())
    }

    fn size_hint(&self) -> SizeHint {
        self.in_use.as_ref().map_or_else(|| SizeHint::with_exact(0), |(wire, _)| wire.size_hint())
    }
}

impl<B: RequestBody> fmt::Debug for BackendBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendBody").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}
