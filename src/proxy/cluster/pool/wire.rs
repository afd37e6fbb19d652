//! One HTTP/1.1 connection to a backend: hyper's two halves of it, driven by whoever uses it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::time::Sleep;

use super::patience::Patience;
use super::relay::{Muted, Relay};
use super::watched::{Facts, Sending, Tracked, Watched};
use super::{Home, RequestBody, SendError};
use crate::proxy::cluster::stream::BackendStream;

/// One connection.
pub(super) struct Wire<B: RequestBody> {
    sender: http1::SendRequest<Tracked<B>>,
    connection: http1::Connection<TokioIo<Watched>, Tracked<B>>,
    facts: Rc<Facts>,
    relay: Arc<Relay>,
    /// `relay`, as what hyper wakes.
    waker: Waker,
    /// Made when first needed and then only moved: moving a timer to later costs next to nothing.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether hyper is done with the connection; it must not be polled again.
    over: bool,
    /// Where it rests after the present exchange.
    pub(super) home: Option<Home<B>>,
}

/// How an exchange was lost.
pub(super) enum Lost {
    /// Nothing of it was written.
    Unsent,
    /// It was, at least in part.
    Failed(SendError),
}

/// How the wait for an answer ended.
enum Outcome<B> {
    OfHyper(Result<Response<Incoming>, TrySendError<Request<Tracked<B>>>>),
    OfOurs(SendError),
}

impl<B: RequestBody> Wire<B> {
    pub(super) async fn open(stream: BackendStream) -> Self {
        let facts = Rc::new(Facts::default());
        let io = TokioIo::new(Watched { stream, facts: Rc::clone(&facts) });
        let (sender, connection) =
            http1::Builder::new().handshake(io).await.expect("hyper's HTTP/1.1 client sends nothing before the first request");
        let relay = Relay::new();
        let waker = Waker::from(Arc::clone(&relay));
        Self { sender, connection, facts, relay, waker, timer: None, over: false, home: None }
    }

    /// Lets the connection read and write what it can. `cx`'s task is woken when it can do more.
    pub(super) fn drive(&mut self, cx: &Context<'_>) {
        if self.over {
            return;
        }
        self.relay.aim(cx.waker());
        let connection = Pin::new(&mut self.connection);
        // An error reaches the answer or its body through hyper's channels.
        self.over = connection.poll(&mut Context::from_waker(&self.waker)).is_ready();
    }

    /// Whether HTTP is over on it: closed, broken or upgraded.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// Whether both messages of the last exchange are complete and another one may follow. Does not look at the socket.
    pub(super) fn is_reusable(&self) -> bool {
        !self.over && !self.facts.deaf.get() && self.sender.is_ready()
    }

    /// As [`is_reusable`](Self::is_reusable), after driving it once more for nobody.
    pub(super) fn is_reusable_now(&mut self) -> bool {
        self.drive(&Context::from_waker(Waker::noop()));
        self.is_reusable()
    }

    /// Begins to rest. It was driven until it had to wait for its socket, so whatever comes from there wakes the relay.
    pub(super) fn rest(&self) {
        self.relay.rest();
    }

    /// Whether the backend has left it alone since [`rest`](Self::rest), or has at least neither closed it nor spoken.
    pub(super) fn rested_well(&mut self) -> bool {
        !self.relay.was_stirred() || {
            let reusable = self.is_reusable_now();
            self.relay.rest();
            reusable
        }
    }

    /// For what wakes the connection from the very task that will drive it next.
    pub(super) fn mute(&self) -> Muted<'_> {
        self.relay.mute()
    }

    /// Sends the request in `slot` and drives the connection until the answer's header is here. The request is in the slot
    /// again with [`Lost::Unsent`], and where `keep` is set and the connection ended before anything was answered; `keep`
    /// is for requests that are nothing but a header.
    pub(super) async fn ask(
        &mut self,
        slot: &mut Option<Request<B>>,
        keep: bool,
        first_byte: Option<Duration>,
    ) -> Result<Response<Incoming>, Lost> {
        self.facts.written.begin(keep);
        let (parts, body) = slot.take().expect("there is a request to send").into_parts();
        let (tracked, bare) = Tracked::new(body, &self.facts);
        let answer = {
            let _muted = self.relay.mute();
            self.sender.try_send_request(Request::from_parts(parts, tracked))
        };
        let mut answer = pin!(answer);
        let mut patience = first_byte.map(Patience::new);
        let outcome = poll_fn(|cx| {
            self.drive(cx);
            match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => Poll::Ready(Outcome::OfHyper(outcome)),
                Poll::Pending if self.over => Poll::Ready(Outcome::OfOurs(SendError::ClosedBeforeAnswer(None))),
                Poll::Pending => match &mut patience {
                    Some(patience) => patience.poll_over(&self.facts, &mut self.timer, cx).map(Outcome::OfOurs),
                    None => Poll::Pending,
                },
            }
        })
        .await;
        let error = match outcome {
            Outcome::OfHyper(Ok(response)) => return Ok(response),
            Outcome::OfOurs(error) => error,
            Outcome::OfHyper(Err(mut error)) => match error.take_message() {
                Some(request) => {
                    let (parts, tracked) = request.into_parts();
                    let body = tracked.into_body().or(bare).expect("a body is either tracked or bare");
                    *slot = Some(Request::from_parts(parts, body));
                    return Err(Lost::Unsent);
                }
                None => self.error_of(error),
            },
        };
        if error.nothing_was_answered() {
            *slot = bare.and_then(|body| self.facts.written.read_back(body));
        }
        Err(Lost::Failed(error))
    }

    fn error_of(&self, error: TrySendError<Request<Tracked<B>>>) -> SendError {
        let error = error.into_error();
        if self.facts.sending.get() == Sending::Failed {
            SendError::ClientBody(error.into())
        } else if error.is_parse() || error.is_parse_too_large() {
            SendError::BadAnswer(error.into())
        } else if self.facts.answered.get() {
            SendError::CutOff(error.into())
        } else {
            SendError::ClosedBeforeAnswer(Some(error.into()))
        }
    }

    /// The stream itself once HTTP is over on it, with what was read beyond HTTP.
    pub(super) fn into_stream(self) -> (BackendStream, Bytes) {
        let parts = self.connection.into_parts();
        (parts.io.into_inner().stream, parts.read_buf)
    }
}
