//! One HTTP/1.1 connection to a backend, driven by whoever uses it.
//!
//! Chosen: a client of our own over httparse, the parser that hyper uses. Rejected: hyper's client, which serves a handle and
//! a connection that may live in different tasks. Both ends of its channels were polled in this one task, each request
//! moved through them a dozen times, and a request that might be sent again had to be read back from the bytes written.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::HeaderMap;
use http::{Method, Request, Response};
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;

use super::super::stream::BackendStream;
use super::failure::{Cause, SendOutcome};
use super::first_byte_timeout::Patience;
use super::interim::Interim;
use super::upload_progress::Facts;
use super::{RequestBody, SendError};
use crate::proxy::forward::PrebuiltHeaders;
use crate::proxy::h1::framing::{Framing, Next};

use head::{Found, Head};
use read_buf::ReadBuffer;
use write::Upload;

mod head;
mod read_buf;
mod write;

/// One connection.
pub(super) struct H1Connection<B: RequestBody> {
    stream: BackendStream,
    inlet: ReadBuffer,
    upload: Upload<B>,
    facts: Facts,
    /// What the present answer's body still is.
    framing: Framing,
    /// Whether another request may follow.
    is_persistent: bool,
    /// Made when first needed and then only moved: moving a timer to later costs next to nothing.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<B: RequestBody> H1Connection<B> {
    pub(super) fn new(stream: BackendStream) -> Self {
        Self {
            stream,
            inlet: ReadBuffer::new(),
            upload: Upload::new(),
            facts: Facts::default(),
            framing: Framing::Sized(0),
            is_persistent: true,
            timer: None,
        }
    }

    /// Whether both messages of the last exchange are complete, another one may follow, and the backend has said nothing
    /// unasked.
    pub(super) fn is_reusable(&mut self) -> bool {
        if !self.is_persistent || !self.is_over() || !self.inlet.bytes.is_empty() {
            return false;
        }
        // A body may be complete by its length and only have to be asked once more to say so.
        let mut nobody = Context::from_waker(Waker::noop());
        let sent = self.upload.is_complete() || self.upload.poll(&mut self.stream, &self.facts, &mut nobody).is_ready();
        sent && self.upload.is_complete() && self.is_quiet()
    }

    /// Whether the backend has neither closed it nor spoken. Costs no call to the system while nothing came.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        self.stream.is_quiet(&mut nobody) || self.inlet.poll_fill(&mut self.stream, &mut nobody).is_pending()
    }

    /// Begins to rest: no task is woken for it, and it holds no more than a small buffer.
    pub(super) fn rest(&mut self) {
        self.inlet.rest();
        self.upload.rest();
    }

    /// Sends the request in `slot` and reads until the answer's header is here. The request stays in the slot with
    /// [`SendOutcome::Unsent`], and where `keep` is set and the connection ended before anything was answered; `keep` is for
    /// requests that are nothing but a header.
    pub(super) async fn ask(
        &mut self,
        slot: &mut Option<Request<B>>,
        prebuilt: Option<PrebuiltHeaders<'_>>,
        keep: bool,
        first_byte: Option<Duration>,
    ) -> Result<Response<()>, SendOutcome> {
        let mut asked = self.begin(slot, prebuilt);
        let mut patience = first_byte.map(Patience::new);
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(Err(cause)) = self.upload.poll(&mut self.stream, &self.facts, cx) {
                return Poll::Ready(Err(SendError::ClientBody(cause)));
            }
            match self.poll_head(&mut asked, slot, cx) {
                Poll::Pending => match &mut patience {
                    Some(patience) => patience.poll_over(&self.facts, &mut self.timer, cx).map(Err),
                    None => Poll::Pending,
                },
                outcome => outcome,
            }
        })
        .await;
        match outcome {
            Ok(Head { response, framing, persistent }) => {
                (self.framing, self.is_persistent) = (framing, persistent);
                Ok(response)
            }
            Err(error) => {
                let was_unsent = self.upload.is_deaf() && self.facts.progress.get() == asked.progress && slot.is_some();
                if was_unsent && error.nothing_was_answered() {
                    return Err(SendOutcome::Unsent);
                }
                if !keep || !error.nothing_was_answered() {
                    *slot = None;
                }
                Err(SendOutcome::Failed(error))
            }
        }
    }

    /// A request without a body stays in its slot until there is an answer.
    fn begin(&mut self, slot: &mut Option<Request<B>>, prebuilt: Option<PrebuiltHeaders<'_>>) -> Asked {
        let request = slot.as_ref().expect("there is a request to send");
        let asked = Asked {
            is_head: request.method() == Method::HEAD,
            interim: Interim::of(request),
            has_spoken: false,
            progress: self.facts.progress.get(),
        };
        if request.body().is_end_stream() {
            self.upload.begin_bare(request, prebuilt, &self.facts);
        } else if let Some(request) = slot.take() {
            let (parts, body) = request.into_parts();
            self.upload.begin(&parts, prebuilt, body, &self.facts);
        }
        asked
    }

    /// The answer's header, in the memory of the request's.
    fn poll_head(
        &mut self,
        asked: &mut Asked,
        slot: &mut Option<Request<B>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, SendError>> {
        loop {
            while !self.inlet.bytes.is_empty() {
                let found = head::read(&self.inlet.bytes, asked.is_head, || emptied(slot.take()));
                match found.map_err(SendError::from)? {
                    Found::Part => break,
                    Found::Interim { status, length } => {
                        let bytes = &self.inlet.bytes[..length];
                        let taken = asked.interim.take(status, || head::links(bytes));
                        taken.map_err(|error| SendError::BadAnswer(error.into()))?;
                        self.inlet.bytes.advance(length);
                    }
                    Found::Head { head, length } => {
                        self.inlet.bytes.advance(length);
                        return Poll::Ready(Ok(head));
                    }
                }
            }
            match self.inlet.poll_fill(&mut self.stream, cx) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => asked.has_spoken = true,
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(asked.cut(io::ErrorKind::UnexpectedEof.into()))),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(asked.cut(error))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The next frame of the answer's body; meanwhile what is left of the request is sent.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cause>>> {
        loop {
            match self.framing.next(&mut self.inlet.bytes)? {
                Next::Frame(frame) => {
                    // Nobody need ask for what comes behind trailers.
                    if frame.is_trailers() {
                        self.framing = Framing::Sized(0);
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Next::End => {
                    self.framing = Framing::Sized(0);
                    return Poll::Ready(None);
                }
                Next::Lacking => (),
            }
            if !self.upload.is_complete()
                && let Poll::Ready(Err(cause)) = self.upload.poll(&mut self.stream, &self.facts, cx)
            {
                return Poll::Ready(Some(Err(cause)));
            }
            match self.inlet.poll_fill(&mut self.stream, cx) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => (),
                Poll::Ready(Ok(_)) if matches!(self.framing, Framing::UntilClose) => return Poll::Ready(None),
                Poll::Ready(Ok(_)) => return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()))),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether it is known that no more of the answer's body comes.
    pub(super) const fn is_over(&self) -> bool {
        self.framing.is_over()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.framing.size_hint()
    }

    /// The stream itself once HTTP is over on it, with what was read beyond HTTP.
    pub(super) fn into_stream(self) -> (BackendStream, Bytes) {
        (self.stream, self.inlet.bytes.freeze())
    }
}

/// What must be known of a request to make sense of its answer.
struct Asked {
    is_head: bool,
    interim: Interim,
    /// Whether anything of an answer came.
    has_spoken: bool,
    /// How far the connection was before anything of it was written.
    progress: u32,
}

impl Asked {
    /// What the connection's end means now.
    fn cut(&self, error: io::Error) -> SendError {
        let cause = Cause::from(error);
        if self.has_spoken { SendError::CutOff(cause) } else { SendError::ClosedBeforeAnswer(Some(cause)) }
    }
}

/// The memory of a request's header, for its answer's.
fn emptied<B>(request: Option<Request<B>>) -> HeaderMap {
    let mut headers = request.map(|request| request.into_parts().0.headers).unwrap_or_default();
    headers.clear();
    headers
}
