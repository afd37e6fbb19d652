//! The one body type, for requests on their way to a backend and for answers on their way to a client. It limits,
//! counts and times what passes, and tells its watcher how it ended; it never holds a piece back.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::forward::{Guard, trailers};
use super::upstream::pool::{BackendBody, BackendBodyError};
use crate::base::error_chain::ErrorChain;

pub use error::{BodyError, Fault};
use expect_continue::ExpectContinue;
use received::Received;

pub mod continues;
mod error;
pub(super) mod expect_continue;
pub(super) mod received;

/// A request's or an answer's body.
pub struct Body {
    source: Source,
    way: Direction,
    /// Bytes that may pass, and that have.
    limit: u64,
    passed: u64,
    idle: Option<Idle>,
    gate: Option<Box<ExpectContinue>>,
    /// What trailers of a request may not pass for, beside what none may; an answer has none.
    guard: Option<Arc<Guard>>,
    watcher: Option<Rc<dyn Watcher>>,
}

/// Where the bytes come from.
enum Source {
    Empty,
    Whole(Bytes),
    Client(Incoming),
    ClientStream(Received),
    Stream(Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError>>>),
    /// A body of which the first frame was read to know whether there is anything in it.
    Begun(Box<Begun>),
    Backend(BackendBody<Body>),
    Made(Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError>>>),
    /// A backend broke off. PrebuiltHeaders one wake-up later, so that what it sent before is on its way first.
    BrokeOff(Option<BodyError>),
}

/// The first frame of a body, and what comes behind it.
struct Begun {
    first: Frame<Bytes>,
    rest: Source,
}

/// Which of an exchange's two bodies this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From client to backend.
    In,
    /// From backend to client.
    Out,
}

/// Is prebuilt what passes through a body.
pub trait Watcher {
    /// `bytes` more have passed.
    fn passed(&self, way: Direction, bytes: u64);
    /// The body failed and will yield nothing more.
    fn failed(&self, way: Direction, fault: Fault);
    /// The body reached its proper end.
    fn ended(&self, way: Direction);
}

impl Body {
    /// No bytes.
    pub const fn empty() -> Self {
        Self::of(Source::Empty, Direction::Out)
    }

    /// These bytes.
    pub fn whole(bytes: Bytes) -> Self {
        Self::of(if bytes.is_empty() { Source::Empty } else { Source::Whole(bytes) }, Direction::Out)
    }

    /// A client's request body as hyper yields it.
    pub fn client(incoming: Incoming) -> Self {
        let empty = HttpBody::is_end_stream(&incoming);
        Self::of(if empty { Source::Empty } else { Source::Client(incoming) }, Direction::In)
    }

    /// A client's request body over HTTP/2.
    pub(super) fn received(body: Received) -> Self {
        let empty = HttpBody::is_end_stream(&body);
        Self::of(if empty { Source::Empty } else { Source::ClientStream(body) }, Direction::In)
    }

    /// A client's request body, of a protocol that is not hyper's.
    pub fn stream(body: impl HttpBody<Data = Bytes, Error = BodyError> + 'static) -> Self {
        Self::of(Source::Stream(Box::pin(body)), Direction::In)
    }

    /// The body of a backend's answer. A source at its end keeps nothing.
    pub fn backend(body: BackendBody<Self>) -> Self {
        let empty = HttpBody::is_end_stream(&body);
        Self::of(if empty { Source::Empty } else { Source::Backend(body) }, Direction::Out)
    }

    /// The body of an answer that is made on the way: a file, or another body in another form.
    pub fn made(body: impl HttpBody<Data = Bytes, Error = BodyError> + 'static) -> Self {
        Self::of(if body.is_end_stream() { Source::Empty } else { Source::Made(Box::pin(body)) }, Direction::Out)
    }

    const fn of(source: Source, way: Direction) -> Self {
        Self { source, way, limit: u64::MAX, passed: 0, idle: None, gate: None, guard: None, watcher: None }
    }

    /// Fails with [`Fault::TooLarge`] once more than `bytes` have come.
    pub const fn limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    /// Fails when nothing comes for `span`. Precise to one more `span`: progress moves a flag, not a timer.
    pub fn idle_after(mut self, span: Duration) -> Self {
        self.idle = Some(Idle { span, timer: None, moved: false });
        self
    }

    /// Holds trailers to the rules of a request: they are bounded, and none passes for a field of the gateway's or the block's.
    pub(super) fn guarded(mut self, guard: Arc<Guard>) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Tells `watcher` what passes.
    pub fn watched(mut self, watcher: Rc<dyn Watcher>) -> Self {
        self.watcher = Some(watcher);
        self
    }

    /// Holds the body of `request` back until the backend has said `100 Continue`, or nothing for a second.
    pub fn wait_for_continue(request: &mut Request<Self>) {
        let gate = ExpectContinue::opened_by_answer_to(request);
        request.body_mut().gate = Some(Box::new(gate));
    }

    /// Whether there is nothing to send, now or later.
    pub const fn is_empty(&self) -> bool {
        matches!(self.source, Source::Empty)
    }

    /// Ready once it is known whether the body has any content: after its first frame that is not empty, or its end. A body
    /// that proves to be empty [is](Self::is_empty) so from then on; nothing of another is lost or counted yet.
    ///
    /// # Errors
    /// The body failed before either.
    pub fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        loop {
            if self.is_empty() || matches!(self.source, Source::Begun(_)) {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.poll_source(cx)) {
                None => self.source = Source::Empty,
                Some(Err(error)) => return Poll::Ready(Err(self.fail(error))),
                Some(Ok(frame)) if frame.data_ref().is_some_and(Bytes::is_empty) => {
                    if HttpBody::is_end_stream(self) {
                        self.source = Source::Empty;
                    }
                }
                Some(Ok(first)) => {
                    let rest = std::mem::replace(&mut self.source, Source::Empty);
                    self.source = Source::Begun(Box::new(Begun { first, rest }));
                }
            }
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.source {
            Source::Empty => Poll::Ready(None),
            Source::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.source = Source::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Source::Client(incoming) => {
                Pin::new(incoming).poll_frame(cx).map(|frame| frame.map(|result| result.map_err(client_error)))
            }
            Source::ClientStream(body) => Pin::new(body).poll_frame(cx),
            Source::Stream(body) => body.as_mut().poll_frame(cx),
            Source::Begun(_) => {
                let Source::Begun(begun) = std::mem::replace(&mut self.source, Source::Empty) else { unreachable!("it was one") };
                self.source = begun.rest;
                Poll::Ready(Some(Ok(begun.first)))
            }
            Source::Backend(body) => match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Err(error)) => {
                    self.source = Source::BrokeOff(Some(backend_error(error)));
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                frame => Poll::Ready(frame.map(|result| result.map_err(backend_error))),
            },
            Source::Made(body) => body.as_mut().poll_frame(cx),
            Source::BrokeOff(error) => Poll::Ready(error.take().map(Err)),
        }
    }

    /// Counts a frame, or turns it into the failure it means.
    fn pass(&mut self, frame: Result<Frame<Bytes>, BodyError>) -> Result<Frame<Bytes>, BodyError> {
        let mut frame = frame?;
        if let Some(trailers) = frame.trailers_mut() {
            self.clean(trailers)?;
        }
        if let Some(data) = frame.data_ref() {
            let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
            self.passed = self.passed.saturating_add(bytes);
            if self.passed > self.limit {
                return Err(Fault::TooLarge(self.limit).into());
            }
            if let Some(watcher) = &self.watcher {
                watcher.passed(self.way, bytes);
            }
        }
        if let Some(idle) = &mut self.idle {
            idle.moved = true;
        }
        Ok(frame)
    }

    /// Takes out of trailers what may not stand there. Only a request's body has a guard.
    fn clean(&self, trailers: &mut HeaderMap) -> Result<(), BodyError> {
        match &self.guard {
            Some(_) if !trailers::are_within_limits(trailers) => return Err(Fault::ClientMalformed.into()),
            Some(guard) => trailers::clean_request(trailers, guard),
            None => trailers::clean_answer(trailers),
        }
        Ok(())
    }

    fn fail(&mut self, error: BodyError) -> BodyError {
        self.source = Source::Empty;
        if let Some(watcher) = self.watcher.take() {
            watcher.failed(self.way, error.fault);
        }
        error
    }

    fn end(&mut self) {
        self.source = Source::Empty;
        if let Some(watcher) = self.watcher.take() {
            watcher.ended(self.way);
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(gate) = &mut this.gate {
            ready!(gate.poll_open(cx));
            this.gate = None;
        }
        match this.poll_source(cx) {
            Poll::Ready(Some(frame)) => match this.pass(frame) {
                // Nothing is left of its trailers: the body ends without any.
                Ok(frame) if frame.trailers_ref().is_some_and(HeaderMap::is_empty) => {
                    this.end();
                    Poll::Ready(None)
                }
                Ok(frame) => Poll::Ready(Some(Ok(frame))),
                Err(error) => Poll::Ready(Some(Err(this.fail(error)))),
            },
            Poll::Ready(None) => {
                this.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let Some(idle) = &mut this.idle else { return Poll::Pending };
                ready!(idle.poll_over(cx));
                let fault = match this.way {
                    Direction::In => Fault::ClientStalled,
                    Direction::Out => Fault::BackendStalled,
                };
                Poll::Ready(Some(Err(this.fail(fault.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Whole(_) | Source::BrokeOff(_) | Source::Begun(_) => false,
            Source::Client(incoming) => HttpBody::is_end_stream(incoming),
            Source::ClientStream(body) => body.is_end_stream(),
            Source::Stream(body) => body.is_end_stream(),
            Source::Backend(body) => HttpBody::is_end_stream(body),
            Source::Made(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Whole(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Source::Client(incoming) => incoming.size_hint(),
            Source::ClientStream(body) => body.size_hint(),
            Source::Stream(body) => body.size_hint(),
            Source::Backend(body) => HttpBody::size_hint(body),
            Source::Made(body) => body.size_hint(),
            Source::BrokeOff(_) | Source::Begun(_) => SizeHint::default(),
        }
    }
}

/// A body that hyper drops at its last byte was never asked for the `None` behind it.
impl Drop for Body {
    fn drop(&mut self) {
        if self.watcher.is_some() && HttpBody::is_end_stream(self) {
            self.end();
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("way", &self.way).field("size", &HttpBody::size_hint(self)).finish_non_exhaustive()
    }
}

/// A broken chunk is the client's mistake; everything else means that it is no longer there.
fn client_error(error: hyper::Error) -> BodyError {
    let framing = std::error::Error::source(&error)
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .is_some_and(|io| matches!(io.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData));
    BodyError { fault: if framing { Fault::ClientMalformed } else { Fault::ClientLeft }, cause: Some(Box::new(error)) }
}

/// In words: nobody shall look for a code among the causes and hand it on. A client would take a backend's NO_ERROR for the
/// end, and ask again after a REFUSED_STREAM.
fn backend_error(error: BackendBodyError) -> BodyError {
    BodyError { fault: Fault::BackendBroke, cause: Some(ErrorChain(&error).to_string().into()) }
}

/// Time without progress. The timer is made when something is first waited for, and set again at most once each span.
struct Idle {
    span: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    moved: bool,
}

impl Idle {
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let span = self.span;
        let timer = self.timer.get_or_insert_with(|| {
            self.moved = false;
            Box::pin(tokio::time::sleep(span))
        });
        loop {
            ready!(timer.as_mut().poll(cx));
            if !std::mem::take(&mut self.moved) {
                return Poll::Ready(());
            }
            timer.as_mut().reset(Instant::now() + span);
        }
    }
}
