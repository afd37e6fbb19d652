//! One connection of HTTP/1.1, from its first request to its end.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body as _, Frame};
use tokio::io::AsyncWrite;
use tokio::time::Sleep;

use super::answer::{self, Asked, Coding};
use super::head::{self, Found, Head, HeadLimits, Unreadable};
use super::linger::{Allowance, MAX_DRAIN, MAX_LINGER};
use super::wire::{ClientState, RequestBody, Wire};
use crate::listeners::connections::Finish;
use crate::listeners::open::Open;
use crate::proxy::body::Body;
use crate::proxy::client_io::{Activity, ClientIo, OpenRequest};
use crate::proxy::h1::framing::{Framing, Next};
use crate::proxy::h1::outlet::Outlet;
use crate::proxy::handover::{Giver, HandedOver, handover};
use crate::proxy::serve::Broken;

/// Requests that are answered before other connections have their turn.
const MAX_TURN: u32 = 16;

/// How long the next piece of an answer may take once the client has ended its half of the connection. A half-closed connection
/// does not mean that the client is no longer interested (RFC 9112 section 6.3), and `nc` and programs that send first and read
/// afterwards wait for their answer; but a client that has left looks the same until something is written to it, and its
/// backend works in vain until then. Apache and, before version 3.3, HAProxy serve such clients without a limit; nginx, Envoy, Node,
/// hyper and servers in Go give their requests up at once.
const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(5);

/// What answers the requests of a connection.
pub trait Service {
    /// An answer to come.
    type Answering: Future<Output = Result<Response<Open<Body>>, Broken>>;

    /// Answers a request.
    fn answer(&self, request: Request<Body>, open: OpenRequest) -> Self::Answering;

    /// Answers bytes of which no request could be made.
    fn refuse(&self, unreadable: &Unreadable, open: OpenRequest) -> Response<Open<Body>>;

    /// The `Date` of an answer that has none.
    fn date(&self) -> HeaderValue;
}

/// See the module.
pub struct Connection<S: Service> {
    service: S,
    limits: HeadLimits,
    activity: Arc<Activity>,
    wire: Rc<RefCell<Wire>>,
    outlet: Outlet,
    is_unflushed: bool,
    phase: Phase,
    /// Bytes of a head in which no end was found.
    seen: usize,
    /// The present request.
    asked: Asked,
    answering: Pin<Box<Option<S::Answering>>>,
    /// Takes the connection over where an upgrade is granted.
    giver: Option<Giver>,
    /// Runs while a client that has ended its half waits.
    half_closed: Option<Pin<Box<Sleep>>>,
    /// Memory of the last answer's fields, for the next request's.
    spare: HeaderMap,
    /// Nothing new is taken.
    is_finishing: bool,
    has_served: bool,
}

/// What a connection is at.
enum Phase {
    /// Waits for a head, or reads one.
    Head,
    /// Waits for the answer.
    Answer,
    /// Writes it.
    Send(Download),
    /// Reads the rest of the request's body, which has no further use.
    Drain(Allowance),
    /// Has written all it will, and closes.
    Close(Ending),
    Over,
}

/// An answer that is being written.
struct Download {
    /// Held until all of it is written.
    body: Open<Body>,
    coding: Coding,
    /// Whether the body has ended.
    has_ended: bool,
    is_switch: bool,
    /// Whether what is behind the request is no request.
    is_refusal: bool,
}

struct Ending {
    is_shut: bool,
    /// `None` where the client has nothing more to send, as far as is known.
    allowance: Option<Allowance>,
}

/// How much of an answer's body was taken in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// All of it.
    All,
    /// As much as there is room for.
    Enough,
    /// As much as there is now.
    Waits,
}

/// The answer's body failed, or is not as long as its head says. What was written must not look complete.
struct Truncated;

impl<S: Service> Connection<S> {
    /// A connection whose first request is still to come.
    pub fn new(io: ClientIo, service: S, limits: HeadLimits, activity: Arc<Activity>) -> Self {
        Self {
            service,
            limits,
            activity,
            wire: Wire::new(io),
            outlet: Outlet::new(),
            is_unflushed: false,
            phase: Phase::Head,
            seen: 0,
            asked: Asked { is_head: false, version: Version::HTTP_11, persistent: true },
            answering: Box::pin(None),
            giver: None,
            half_closed: None,
            spare: HeaderMap::new(),
            is_finishing: false,
            has_served: false,
        }
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut turns = MAX_TURN;
        loop {
            match self.phase {
                Phase::Head if turns == 0 => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Phase::Head => {
                    turns -= 1;
                    ready!(self.poll_head(cx));
                }
                Phase::Answer => ready!(self.poll_answer(cx)),
                Phase::Send(_) => ready!(self.poll_send(cx)),
                Phase::Drain(_) => ready!(self.poll_drain(cx)),
                Phase::Close(_) => ready!(self.poll_close(cx)),
                Phase::Over => return Poll::Ready(()),
            }
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut wire = self.wire.borrow_mut();
            let bytes = &mut wire.bytes;
            let is_worth_it = self.seen == 0 || bytes.len() >= self.limits.room || head::may_be_whole(bytes, self.seen);
            if !bytes.is_empty() && is_worth_it {
                match head::read(bytes, &self.limits, &mut self.spare) {
                    Found::Part => self.seen = bytes.len(),
                    Found::Head(head) => {
                        drop(wire);
                        self.begin(head);
                        return Poll::Ready(());
                    }
                    Found::RejectedHello(unreadable) => {
                        drop(wire);
                        self.refuse(&unreadable);
                        return Poll::Ready(());
                    }
                }
            }
            // The first request of a connection is served even if it comes late.
            if self.is_finishing && self.has_served && wire.bytes.is_empty() {
                self.phase = Phase::Close(Ending { is_shut: false, allowance: None });
                return Poll::Ready(());
            }
            match ready!(wire.poll_read_little(cx)) {
                Ok(0) if wire.bytes.is_empty() => self.phase = Phase::Close(Ending { is_shut: false, allowance: None }),
                Ok(0) | Err(_) => self.phase = Phase::Over,
                Ok(_) => continue,
            }
            return Poll::Ready(());
        }
    }

    fn begin(&mut self, head: Head) {
        let Head { mut request, framing, persistent, expects_continue, asks_upgrade } = head;
        self.seen = 0;
        self.asked = Asked { is_head: request.method() == Method::HEAD, version: request.version(), persistent };
        let has_body = !framing.is_over();
        {
            let mut wire = self.wire.borrow_mut();
            wire.serial += 1;
            wire.framing = framing;
            let has_begun = !wire.bytes.is_empty();
            wire.owes_continue = expects_continue && !has_begun;
            if expects_continue && has_begun {
                take_expectation_out(request.headers_mut());
            }
        }
        if asks_upgrade {
            let (giver, handover) = handover();
            request.extensions_mut().insert(handover);
            self.giver = Some(giver);
        }
        let body = if has_body { Body::stream(RequestBody::new(&self.wire)) } else { Body::empty() };
        let open = self.activity.begin();
        self.answering.set(Some(self.service.answer(request.map(|()| body), open)));
        self.phase = Phase::Answer;
    }

    fn refuse(&mut self, unreadable: &Unreadable) {
        let request = &unreadable.request;
        self.asked = Asked { is_head: request.method() == Method::HEAD, version: request.version(), persistent: false };
        self.wire.borrow_mut().framing = Framing::Sized(0);
        let response = self.service.refuse(unreadable, self.activity.begin());
        self.begin_answer(response, true);
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let answering = self.answering.as_mut().as_pin_mut().expect("it was put here with the phase");
        let answered = match answering.poll(cx) {
            Poll::Ready(answered) => answered,
            Poll::Pending if self.is_client_gone(cx) => Err(Broken),
            Poll::Pending => return Poll::Pending,
        };
        self.answering.set(None);
        match answered {
            Ok(response) => self.begin_answer(response, false),
            Err(_) => self.phase = Phase::Over,
        }
        Poll::Ready(())
    }

    fn begin_answer(&mut self, response: Response<Open<Body>>, is_refusal: bool) {
        let (mut parts, body) = response.into_parts();
        let is_switch = parts.status == StatusCode::SWITCHING_PROTOCOLS;
        if !is_switch {
            self.giver = None;
        }
        {
            let mut wire = self.wire.borrow_mut();
            self.outlet.plain().extend_from_slice(std::mem::take(&mut wire.interim));
            // A client that was not told to send its body may send the next request instead, or the body all the same. What came
            // before this answer can only be the body.
            let is_in_doubt = std::mem::take(&mut wire.owes_continue) && wire.bytes.is_empty();
            let is_too_long = !wire.has_reader && matches!(wire.framing, Framing::Sized(left) if left > MAX_DRAIN);
            self.asked.persistent &= !(is_in_doubt || is_too_long || self.is_finishing || wire.is_half_closed);
        }
        let size = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        let written = answer::write(self.outlet.plain(), &parts, size, self.asked, &self.service.date());
        self.asked.persistent = written.persistent;
        parts.headers.clear();
        self.spare = parts.headers;
        let has_ended = written.coding == Coding::None;
        self.phase = Phase::Send(Download { body, coding: written.coding, has_ended, is_switch, is_refusal });
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Phase::Send(download) = &mut self.phase else { return Poll::Ready(()) };
            let Ok(taken) = download.take_in(&mut self.outlet, cx) else {
                self.phase = Phase::Over;
                return Poll::Ready(());
            };
            let (is_switch, is_refusal) = (download.is_switch, download.is_refusal);
            match ready!(self.poll_write(taken, cx)) {
                Ok(()) if taken == Taken::All => self.end_answer(is_switch, is_refusal),
                Ok(()) if taken == Taken::Enough => continue,
                // What answers is waited for, and the client is looked after meanwhile.
                Ok(()) if !self.is_client_gone(cx) => return Poll::Pending,
                Ok(()) | Err(_) => self.phase = Phase::Over,
            }
            return Poll::Ready(());
        }
    }

    /// Whether the client is given up while its answer is waited for.
    fn is_client_gone(&mut self, cx: &mut Context<'_>) -> bool {
        let state = self.wire.borrow_mut().look_after_client(cx);
        match state {
            ClientState::Open => false,
            ClientState::Gone => true,
            ClientState::HalfClosed => {
                let timer = self.half_closed.get_or_insert_with(|| Box::pin(tokio::time::sleep(HALF_CLOSED_TIMEOUT)));
                timer.as_mut().poll(cx).is_ready()
            }
        }
    }

    /// Writes all there is. Flushed is what nothing follows at once.
    fn poll_write(&mut self, taken: Taken, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.wire.borrow_mut();
        let io = wire.io()?;
        while !self.outlet.is_empty() {
            self.is_unflushed = true;
            self.half_closed = None;
            if ready!(self.outlet.poll_write(io, cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        if self.is_unflushed && taken != Taken::Enough {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// All of the answer was written.
    fn end_answer(&mut self, is_switch: bool, is_refusal: bool) {
        // Ends the answer's body, and whatever of the request's body it still holds.
        self.phase = Phase::Head;
        self.has_served = true;
        let mut wire = self.wire.borrow_mut();
        wire.serial += 1;
        wire.has_reader = false;
        if is_switch {
            if let (Some(giver), Some(io)) = (self.giver.take(), wire.io.take()) {
                // A tunnel that is gone already has no use for it.
                let _ = giver.send(HandedOver { io, leftover: Bytes::copy_from_slice(&wire.bytes) });
            }
            self.phase = Phase::Over;
        } else if !self.asked.persistent || self.is_finishing {
            let may_send = is_refusal || !wire.framing.is_over() || !wire.bytes.is_empty();
            let allowance = may_send.then(|| Allowance::new(MAX_LINGER));
            self.phase = Phase::Close(Ending { is_shut: false, allowance });
        } else if wire.framing.is_over() {
            wire.rest();
            self.outlet.rest();
        } else {
            self.phase = Phase::Drain(Allowance::new(MAX_DRAIN));
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Phase::Drain(allowance) = &mut self.phase else { return Poll::Ready(()) };
        let wire = &mut *self.wire.borrow_mut();
        loop {
            let is_over = match wire.framing.next(&mut wire.bytes) {
                Ok(Next::Frame(frame)) if frame.is_trailers() => true,
                Ok(Next::Frame(frame)) if allowance.spend(frame.data_ref().map_or(0, Bytes::len)) => false,
                Ok(Next::End) => true,
                Ok(Next::Lacking) => match wire.poll_read_little(cx) {
                    Poll::Ready(Ok(0) | Err(_)) => {
                        self.phase = Phase::Over;
                        return Poll::Ready(());
                    }
                    Poll::Ready(Ok(_)) => false,
                    Poll::Pending => {
                        ready!(allowance.poll_over(cx));
                        break;
                    }
                },
                Ok(Next::Frame(_)) | Err(_) => break,
            };
            if is_over {
                wire.framing = Framing::Sized(0);
                wire.rest();
                self.outlet.rest();
                self.activity.set_quiet();
                self.phase = Phase::Head;
                return Poll::Ready(());
            }
        }
        self.phase = Phase::Close(Ending { is_shut: false, allowance: Some(Allowance::new(MAX_LINGER)) });
        Poll::Ready(())
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Phase::Close(ending) = &mut self.phase else { return Poll::Ready(()) };
        let mut wire = self.wire.borrow_mut();
        wire.bytes.clear();
        let is_over = loop {
            if !ending.is_shut {
                let shut = wire.io().map(|io| Pin::new(io).poll_shutdown(cx));
                match shut {
                    Ok(Poll::Ready(Ok(()))) => ending.is_shut = true,
                    Ok(Poll::Ready(Err(_))) | Err(_) => break true,
                    Ok(Poll::Pending) => break ending.poll_over(cx).is_ready(),
                }
            }
            match wire.poll_discard(cx) {
                Poll::Ready(Ok(0) | Err(_)) => break true,
                Poll::Ready(Ok(bytes)) => {
                    if !ending.allowance.get_or_insert_with(|| Allowance::new(MAX_LINGER)).spend(bytes) {
                        break true;
                    }
                }
                Poll::Pending if ending.allowance.is_none() => break true,
                Poll::Pending => break ending.poll_over(cx).is_ready(),
            }
        };
        drop(wire);
        if !is_over {
            return Poll::Pending;
        }
        self.phase = Phase::Over;
        Poll::Ready(())
    }
}

/// A client that begins its body together with its header waits for nothing: the expectation is met, and neither the body is held
/// back nor the backend asked for a 100. nginx and Envoy never pass the field on. Other expectations stay, to be refused.
fn take_expectation_out(headers: &mut HeaderMap) {
    let is_met = |expect: &HeaderValue| expect.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if headers.get_all(header::EXPECT).iter().all(is_met) {
        headers.remove(header::EXPECT);
    }
}

impl Ending {
    /// Pending for ever where there is no limit; the sweep ends such a connection.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.allowance.get_or_insert_with(|| Allowance::new(MAX_LINGER)).poll_over(cx)
    }
}

impl Download {
    /// Asks the body for what there is room for.
    fn take_in(&mut self, outlet: &mut Outlet, cx: &mut Context<'_>) -> Result<Taken, Truncated> {
        while !self.has_ended {
            if !outlet.has_room() {
                return Ok(Taken::Enough);
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else { return Ok(Taken::Waits) };
            let frame = frame.transpose().map_err(|_| Truncated)?;
            self.has_ended = frame.is_none() || self.body.is_end_stream();
            let trailers = match frame.map(Frame::into_data) {
                Some(Ok(data)) => {
                    self.put(data, outlet)?;
                    None
                }
                Some(Err(frame)) => {
                    self.has_ended = true;
                    frame.into_trailers().ok()
                }
                None => None,
            };
            if self.has_ended {
                self.end(trailers.as_ref(), outlet)?;
            }
        }
        Ok(Taken::All)
    }

    fn put(&mut self, data: Bytes, outlet: &mut Outlet) -> Result<(), Truncated> {
        if let Coding::Length(left) = &mut self.coding {
            *left = left.checked_sub(u64::try_from(data.len()).unwrap_or(u64::MAX)).ok_or(Truncated)?;
        }
        outlet.put(data, self.coding == Coding::Chunked);
        Ok(())
    }

    fn end(&self, trailers: Option<&HeaderMap>, outlet: &mut Outlet) -> Result<(), Truncated> {
        match self.coding {
            Coding::Chunked => outlet.end_chunks(trailers),
            Coding::Length(left) if left > 0 => return Err(Truncated),
            Coding::Length(_) | Coding::UntilClose | Coding::None => (),
        }
        Ok(())
    }
}

impl<S: Service + Unpin> Future for Connection<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.wire.borrow_mut().is_polled = true;
        let polled = this.run(cx);
        let mut wire = this.wire.borrow_mut();
        wire.is_polled = false;
        if polled.is_pending() && wire.has_reader && !wire.owner.as_ref().is_some_and(|owner| owner.will_wake(cx.waker())) {
            wire.owner = Some(cx.waker().clone());
        }
        polled
    }
}

impl<S: Service + Unpin> Finish for Connection<S> {
    fn finish(mut self: Pin<&mut Self>) {
        self.is_finishing = true;
    }
}

#[cfg(test)]
mod tests;
