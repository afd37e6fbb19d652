//! A request on its way to a backend: its header, and its body in the framing that the header says.
//!
//! A backend that answers early, say 413, may stop reading the request and even reset the connection behind its answer.
//! So a failed write is no failure here: the rest of the request goes nowhere, and reading says how it ends. Such a
//! connection is never used again.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{self, HeaderMap};
use http::{Request, request};
use http_body::Frame;
use tokio::io::AsyncWrite;

use super::super::RequestBody;
use super::super::failure::Cause;
use super::super::upload_progress::{Facts, Sending};
use super::head::{self, Coding};
use crate::proxy::forward::PrebuiltHeaders;
use crate::proxy::h1::outlet::Outlet;
use crate::proxy::upstream::stream::BackendStream;

/// See the module.
pub(super) struct Upload<B> {
    /// What is written next.
    out: Outlet,
    body: Option<B>,
    /// As the header says it; of a length, what is still owed.
    coding: Coding,
    is_unflushed: bool,
    is_deaf: bool,
}

/// The body is not as long as the header said; a backend would take what follows for another request.
#[derive(Debug, thiserror::Error)]
#[error("the request's body does not have the length that its header says")]
struct WrongLength;

impl<B: RequestBody> Upload<B> {
    pub(super) const fn new() -> Self {
        Self { out: Outlet::new(), body: None, coding: Coding::None, is_unflushed: false, is_deaf: false }
    }

    /// Begins a request that is nothing but a header.
    pub(super) fn begin_bare(&mut self, request: &Request<B>, prebuilt: Option<PrebuiltHeaders<'_>>, facts: &Facts) {
        facts.sending.set(Sending::Complete);
        let line = (request.method(), request.uri());
        head::write(self.out.plain(), line, request.headers(), prebuilt, Coding::None);
    }

    /// Begins a request with a body.
    pub(super) fn begin(&mut self, parts: &request::Parts, prebuilt: Option<PrebuiltHeaders<'_>>, body: B, facts: &Facts) {
        facts.sending.set(Sending::Flowing);
        let is_chunked = parts.headers.contains_key(header::TRANSFER_ENCODING);
        let said = parts.headers.get(header::CONTENT_LENGTH).filter(|_| !is_chunked);
        let length = said.map_or_else(|| body.size_hint().exact(), |said| said.to_str().ok()?.parse().ok());
        self.coding = length.filter(|_| !is_chunked).map_or(Coding::Chunked, Coding::Length);
        head::write(self.out.plain(), (&parts.method, &parts.uri), &parts.headers, prebuilt, self.coding);
        self.body = Some(body);
    }

    /// Whether all of the request was written, and the backend took it.
    pub(super) fn is_complete(&self) -> bool {
        self.body.is_none() && self.out.is_empty() && !self.is_unflushed && !self.is_deaf
    }

    /// Whether the backend stopped reading.
    pub(super) const fn is_deaf(&self) -> bool {
        self.is_deaf
    }

    /// Writes what can be written; ready when nothing is left to write.
    ///
    /// # Errors
    /// The client's side of the body failed.
    pub(super) fn poll(&mut self, stream: &mut BackendStream, facts: &Facts, cx: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        loop {
            let body = self.poll_take_in(cx);
            if let Poll::Ready(Err(_)) = body {
                self.body = None;
                facts.sending.set(Sending::Failed);
                return body;
            }
            if self.out.is_empty() {
                ready!(self.poll_flush(stream, cx));
                facts.sending.set(if body.is_pending() { Sending::WaitsForClient } else { Sending::Complete });
                return body;
            }
            facts.sending.set(Sending::Flowing);
            ready!(self.poll_write(stream, facts, cx));
        }
    }

    /// Asks the body for what there is room for. Pending means that the client has to send more first.
    fn poll_take_in(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        while let Some(body) = &mut self.body
            && self.out.has_room()
        {
            let frame = ready!(Pin::new(&mut *body).poll_frame(cx)).transpose().map_err(Into::into)?;
            let is_last = frame.is_none() || body.is_end_stream();
            let trailers = match frame.map(Frame::into_data) {
                Some(Ok(mut data)) => {
                    self.put(data.copy_to_bytes(data.remaining()))?;
                    None
                }
                Some(Err(frame)) => frame.into_trailers().ok(),
                None => None,
            };
            if is_last || trailers.is_some() {
                self.body = None;
                self.end(trailers.as_ref())?;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn put(&mut self, data: Bytes) -> Result<(), WrongLength> {
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.coding {
            Coding::Length(left) => {
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                *left = left.checked_sub(length).ok_or(WrongLength)?;
            }
            Coding::Chunked => (),
            Coding::None => return Err(WrongLength),
        }
        self.out.put(data, self.coding == Coding::Chunked);
        Ok(())
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), WrongLength> {
        match self.coding {
            Coding::None | Coding::Length(0) => Ok(()),
            Coding::Length(_) => Err(WrongLength),
            Coding::Chunked => {
                self.out.end_chunks(trailers);
                Ok(())
            }
        }
    }

    fn poll_write(&mut self, stream: &mut BackendStream, facts: &Facts, cx: &mut Context<'_>) -> Poll<()> {
        let written = ready!(self.out.poll_write(stream, cx));
        match written {
            Ok(bytes) if bytes > 0 => {
                facts.moved();
                self.is_unflushed = true;
            }
            Ok(_) | Err(_) => {
                self.is_deaf = true;
                self.body = None;
                self.out.clear();
            }
        }
        Poll::Ready(())
    }

    fn poll_flush(&mut self, stream: &mut BackendStream, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_unflushed {
            let flushed = ready!(Pin::new(stream).poll_flush(cx));
            self.is_unflushed = false;
            self.is_deaf |= flushed.is_err();
        }
        Poll::Ready(())
    }

    /// Lets go of memory that a usual request does not need.
    pub(super) fn rest(&mut self) {
        self.out.rest();
    }
}
