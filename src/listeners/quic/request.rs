//! One request and its answer, each on its half of a stream.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame};

use super::request_body::{Incoming, ReadError, Upload};
use super::response_stream::{Gone, Outgoing};
use super::session::Session;
use super::timeout::within;
use crate::listeners::http::Unreadable;
use crate::listeners::http3::code::Code;
use crate::listeners::http3::frames::{FrameError, Piece};
use crate::listeners::http3::qpack::decode::{SectionError, decode};
use crate::listeners::http3::qpack::encode;
use crate::listeners::http3::{message, varint};
use crate::proxy::body::continues::Continue;
use crate::proxy::body::{Body, BodyError};
use crate::proxy::early_hints::Hints;
use crate::proxy::error_response;
use crate::proxy::serve::serve;

/// What is gathered before it is written, where an answer comes faster than that.
const BATCH: usize = 64 << 10;
/// A longer answer counts as open until the client has acknowledged its end; a shorter one is waited for by the clock.
const SHORT: usize = 16 << 10;
/// Room for a header of usual size.
const HEADER: usize = 512;

/// Why there is no request to answer.
enum NoRequest {
    /// The client ended the stream, or did not go on.
    Given(Code),
    /// Its header is over the limit.
    TooLarge,
    /// Its header can be read in two ways.
    Malformed,
    /// It broke the rules of the connection.
    Breach(Code),
}

/// Answers what comes on a stream.
pub(super) async fn answer(session: Rc<Session>, send: quinn::SendStream, recv: quinn::RecvStream) {
    let mut incoming = Incoming::new(recv, session.limits().section);
    let mut outgoing = Outgoing::new(send);
    match request(&session, &mut incoming).await {
        Ok(request) => {
            let open = session.begin();
            let taken = exchange(&session, request, incoming, outgoing).await;
            drop(open);
            session.ended(taken == Taken::Yes);
        }
        Err(NoRequest::Given(code)) => {
            outgoing.reset(code);
            session.ended(false);
        }
        Err(NoRequest::Breach(code)) => {
            outgoing.reset(code);
            session.breach(code);
        }
        Err(NoRequest::Malformed) => {
            session.unreadable(Unreadable::Http3);
            incoming.stop(Code::MessageError);
            outgoing.reset(Code::MessageError);
        }
        Err(NoRequest::TooLarge) => {
            session.unreadable(Unreadable::HeaderSize(session.limits().allowed));
            incoming.stop(Code::NoError);
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            let refused = error_response::own(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text, Bytes::new(), false);
            // Who is gone is gone.
            let _ = download(&session, &mut outgoing, refused).await;
        }
    }
}

/// Reads the header, and what of the body has come with it.
async fn request(session: &Rc<Session>, incoming: &mut Incoming) -> Result<Request<()>, NoRequest> {
    let limits = session.limits();
    let slow = || NoRequest::Given(Code::RequestRejected);
    let first = within(limits.header, pin!(incoming.piece())).await.ok_or_else(slow)?;
    let block = match first.map_err(no_request)? {
        Some(Piece::Section(block)) => block,
        Some(Piece::Data(_)) | None => return Err(NoRequest::Given(Code::RequestIncomplete)),
    };
    let section = decode(&block, limits.section).map_err(|error| match error {
        SectionError::Broken => NoRequest::Breach(Code::DecompressionFailed),
        SectionError::TooLarge => NoRequest::TooLarge,
    })?;
    let request = message::request(&section).map_err(|message::Malformed| NoRequest::Malformed)?;
    // As far as it has come; `proxy` waits for the rest where it has to know.
    let looked = poll_fn(|cx| match incoming.poll_ahead(cx) {
        Poll::Ready(result) => Poll::Ready(result),
        Poll::Pending => Poll::Ready(Ok(())),
    })
    .await;
    looked.map_err(no_request)?;
    Ok(request)
}

fn no_request(error: ReadError) -> NoRequest {
    match error {
        ReadError::Left(_) => NoRequest::Given(Code::RequestCancelled),
        ReadError::Frame(FrameError::TooLarge(_)) => NoRequest::TooLarge,
        ReadError::Frame(error) => NoRequest::Breach(error.code()),
    }
}

async fn exchange(session: &Rc<Session>, mut request: Request<()>, incoming: Incoming, mut outgoing: Outgoing) -> Taken {
    let continues = Continue::expected_by(request.headers()).filter(|_| !incoming.is_over());
    let body = if incoming.is_over() {
        Body::empty()
    } else {
        let expected = message::length(request.headers());
        Body::stream(Upload::new(incoming, Rc::clone(session), expected, continues.clone()))
    };
    let mut stopped = pin!(outgoing.stopped());
    let hints = Hints::wanted_by(request.headers());
    if let Some(hints) = &hints {
        request.extensions_mut().insert(hints.clone());
    }
    let worker = Rc::clone(session.context().worker());
    let mut serving = pin!(serve(worker, session.connection(), request.map(|()| body)));
    let response = loop {
        let interim = tokio::select! {
            biased;
            response = &mut serving => break response,
            () = &mut stopped => return cancelled(outgoing),
            interim = poll_fn(|cx| match continues.as_ref().and_then(Continue::take) {
                Some(owed) => Poll::Ready(owed),
                None => hints.as_ref().map_or(Poll::Pending, |hints| hints.poll_next(cx)),
            }) => interim,
        };
        // To its end, whatever comes meanwhile.
        if write_interim(session, &mut outgoing, &interim).await.is_err() {
            return cancelled(outgoing);
        }
    };
    // What came together with the answer.
    while let Some(hint) = hints.as_ref().and_then(Hints::next) {
        if write_interim(session, &mut outgoing, &hint).await.is_err() {
            return cancelled(outgoing);
        }
    }
    let Ok(response) = response else { return cancelled(outgoing) };
    let written = tokio::select! {
        biased;
        written = download(session, &mut outgoing, response) => written,
        () = &mut stopped => return cancelled(outgoing),
    };
    match written {
        Ok(length) if length > SHORT => stopped.await,
        Ok(_) => (),
        Err(Broken::Gone) => return cancelled(outgoing),
        Err(Broken::Source) => outgoing.reset(Code::InternalError),
    }
    Taken::Yes
}

/// Whether the client waited for its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Yes,
    No,
}

fn cancelled(mut outgoing: Outgoing) -> Taken {
    outgoing.reset(Code::RequestCancelled);
    Taken::No
}

/// Writes what comes before an answer.
async fn write_interim(session: &Session, outgoing: &mut Outgoing, interim: &Response<()>) -> Result<(), Gone> {
    let mut batch = Batch::default();
    batch.section(|out| encode::answer(interim.status(), interim.headers(), out));
    outgoing.write(&mut batch.take(), session.limits().send).await
}

/// Why an answer was not written to its end.
enum Broken {
    /// The client does not take it.
    Gone,
    /// There is no more of it, though there should be.
    Source,
}

impl From<Gone> for Broken {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Writes an answer: its header with what is there of its body, then the body as it comes.
async fn download(session: &Session, outgoing: &mut Outgoing, response: Response<Body>) -> Result<usize, Broken> {
    let patience = session.limits().send;
    let (mut parts, mut body) = response.into_parts();
    if !parts.headers.contains_key(header::DATE) {
        parts.headers.insert(header::DATE, session.context().date());
    }
    let mut batch = Batch::default();
    batch.section(|out| encode::answer(parts.status, &parts.headers, out));
    let mut written = 0;
    loop {
        let more = batch.gather(&mut body).await.map_err(|_| Broken::Source)?;
        written += batch.length;
        let mut chunks = batch.take();
        outgoing.write(&mut chunks, patience).await?;
        if !more {
            outgoing.finish();
            return Ok(written);
        }
    }
}

/// What is to be written at once.
#[derive(Default)]
struct Batch {
    /// Heads and sections behind the last piece of data.
    plain: Vec<u8>,
    chunks: Vec<Bytes>,
    length: usize,
}

impl Batch {
    /// Adds a header section.
    fn section(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut section = Vec::with_capacity(HEADER);
        write(&mut section);
        self.plain.reserve(varint::HEAD + section.len());
        varint::put_head(varint::HEADERS, section.len(), &mut self.plain);
        self.plain.extend_from_slice(&section);
    }

    fn data(&mut self, data: Bytes) {
        varint::put_head(varint::DATA, data.len(), &mut self.plain);
        self.length += data.len();
        self.chunks.push(std::mem::take(&mut self.plain).into());
        self.chunks.push(data);
    }

    fn frame(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) if data.is_empty() => (),
            Ok(data) => self.data(data),
            Err(other) => {
                let trailers: Option<HeaderMap> = other.into_trailers().ok();
                if let Some(trailers) = trailers {
                    self.section(|out| encode::trailers(&trailers, out));
                }
            }
        }
    }

    /// Adds what there is of `body`; waits only if there is nothing to write otherwise. Says whether more will come.
    async fn gather(&mut self, body: &mut Body) -> Result<bool, BodyError> {
        poll_fn(|cx| {
            while self.length < BATCH {
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => self.frame(frame),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                    Poll::Ready(None) => return Poll::Ready(Ok(false)),
                    Poll::Pending if self.chunks.is_empty() && self.plain.is_empty() => return Poll::Pending,
                    Poll::Pending => break,
                }
            }
            Poll::Ready(Ok(true))
        })
        .await
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.length = 0;
        if !self.plain.is_empty() {
            self.chunks.push(std::mem::take(&mut self.plain).into());
        }
        std::mem::take(&mut self.chunks)
    }
}
