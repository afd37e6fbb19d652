//! One request over HTTP/2 and its answer, each on its half of a stream (RFC 9113 section 8.1), or the tunnel that they become
//! (RFC 8441).
//!
//! Chosen: the h2 crate without hyper's server above it. hyper reports some resets as the end of a body and of a tunnel, ends a
//! tunnel that broke as one that was closed, and does not say which stream a request came by.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response};
use http_body::Body as HttpBody;
use hyper::ext::Protocol;
use tokio::sync::oneshot;

use super::body::Body;
use super::body::continues::Continue;
use super::body::received::Received;
use super::early_hints::Hints;
use super::serve::Broken;

pub use on_stream::OnStream;

use on_stream::Halves;

mod on_stream;

/// Fields of one HTTP/1.1 connection, which a message of HTTP/2 never has (RFC 9113 section 8.2.2).
const OF_A_CONNECTION: [HeaderName; 5] = [
    header::CONNECTION,
    header::UPGRADE,
    header::TRANSFER_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Has a request answered by `serve`, and sends the answer. `date` gives the `Date` of an answer that has none.
pub async fn exchange<F, B>(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    serve: impl FnOnce(Request<Body>) -> F,
    date: impl FnOnce() -> HeaderValue,
) where
    F: Future<Output = Result<Response<B>, Broken>>,
    B: HttpBody<Data = Bytes> + Unpin,
{
    let TakenIn { mut request, tunnel, continues } = taken_in(request);
    let hints = Hints::wanted_by(request.headers());
    if let Some(hints) = &hints {
        request.extensions_mut().insert(hints.clone());
    }
    let answered = {
        let mut serving = pin!(serve(request));
        poll_fn(|cx| {
            let answered = serving.as_mut().poll(cx);
            // What comes before the answer. A client that is gone meanwhile gets nothing.
            if let Some(owed) = continues.as_ref().filter(|_| answered.is_pending()).and_then(Continue::take) {
                let _gone = respond.send_informational(owed);
            }
            while let Some(Poll::Ready(hint)) = hints.as_ref().map(|hints| hints.poll_next(cx)) {
                let _gone = respond.send_informational(hint);
            }
            match answered {
                Poll::Ready(answered) => Poll::Ready(answered.ok()),
                // A client that has reset its stream wants no answer.
                Poll::Pending => respond.poll_reset(cx).map(|_reset| None),
            }
        })
        .await
    };
    let Some(response) = answered else { return respond.send_reset(Reason::CANCEL) };
    let (mut parts, body) = response.into_parts();
    for name in OF_A_CONNECTION {
        parts.headers.remove(name);
    }
    parts.headers.entry(header::DATE).or_insert_with(date);
    let is_tunnel = tunnel.is_some() && parts.status.is_success();
    let is_over = !is_tunnel && body.is_end_stream();
    // A client that is gone meanwhile gets nothing.
    let Ok(stream) = respond.send_response(Response::from_parts(parts, ()), is_over) else { return };
    match tunnel {
        Some((sender, received)) if is_tunnel => drop(sender.send((received, stream))),
        _ if is_over => (),
        _ => Download { stream, body, piece: None }.await,
    }
}

/// What the halves of a CONNECT's stream go to when it is granted.
type Granted = (oneshot::Sender<Halves>, RecvStream);

/// A request as `serve` takes it.
struct TakenIn {
    request: Request<Body>,
    /// The stream of a CONNECT, which is kept for the tunnel.
    tunnel: Option<Granted>,
    /// Whether the client waits for 100.
    continues: Option<Continue>,
}

fn taken_in(request: Request<RecvStream>) -> TakenIn {
    let (mut parts, stream) = request.into_parts();
    if let Some(protocol) = parts.extensions.remove::<h2::ext::Protocol>() {
        parts.extensions.insert(Protocol::from(protocol.as_str()));
    }
    if parts.method == Method::CONNECT {
        let (sender, on) = OnStream::new();
        parts.extensions.insert(on);
        return TakenIn { request: Request::from_parts(parts, Body::empty()), tunnel: Some((sender, stream)), continues: None };
    }
    let length = length(&parts.headers);
    let continues = Continue::expected_by(&parts.headers).filter(|_| !stream.is_end_stream());
    let body = Body::received(Received::new(stream, length, continues.clone()));
    TakenIn { request: Request::from_parts(parts, body), tunnel: None, continues }
}

/// How long a body says it is, where it says so once; everything else is refused later.
fn length(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let (length, None) = (lengths.next()?, lengths.next()) else { return None };
    length.to_str().ok()?.parse().ok()
}

/// An answer's body on its way into its stream. The next piece is asked for when the client's windows have taken the one before.
struct Download<B> {
    stream: SendStream<Bytes>,
    body: B,
    /// Waits for room, and whether it is the last.
    piece: Option<(Bytes, bool)>,
}

impl<B: HttpBody<Data = Bytes> + Unpin> Future for Download<B> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // Also wakes this task by a reset while it waits for something else.
            if self.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(());
            }
            let over = match self.piece.is_some() {
                true => self.poll_send(cx),
                false => self.poll_next(cx),
            };
            match over {
                Poll::Ready(Ok(false)) => (),
                Poll::Ready(Ok(true) | Err(())) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> Download<B> {
    /// Sends the piece as soon as there is room for any of it; h2 keeps the rest. Says whether it was the last.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ()>> {
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => (),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(())),
                Poll::Pending => return Poll::Pending,
            }
        }
        let Some((piece, is_last)) = self.piece.take() else { return Poll::Ready(Ok(false)) };
        Poll::Ready(self.stream.send_data(piece, is_last).map(|()| is_last).map_err(drop))
    }

    /// Takes the next piece, or sends what needs no room. Says whether it was the last.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ()>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return Poll::Pending,
        };
        let sent = match frame {
            None => self.stream.send_data(Bytes::new(), true).map(|()| true),
            // Broken off: the client must not take it for a whole answer.
            Some(Err(_)) => {
                self.stream.send_reset(Reason::INTERNAL_ERROR);
                Ok(true)
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(piece) if piece.is_empty() => {
                    let is_last = self.body.is_end_stream();
                    if is_last { self.stream.send_data(piece, true).map(|()| true) } else { Ok(false) }
                }
                Ok(piece) => {
                    // One byte is asked for, so that an answer that waits does not reserve what others could use; h2 asks for
                    // the rest when it has the piece.
                    self.stream.reserve_capacity(1);
                    self.piece = Some((piece, self.body.is_end_stream()));
                    Ok(false)
                }
                Err(frame) => {
                    self.stream.reserve_capacity(0);
                    self.stream.send_trailers(frame.into_trailers().unwrap_or_default()).map(|()| true)
                }
            },
        };
        Poll::Ready(sent.map_err(drop))
    }
}
