//! One request on a stream: its header, its body beside the wait for an answer, and what a failure means.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode};
use tokio::time::Sleep;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::super::failure::SendOutcome;
use super::super::first_byte_timeout::Patience;
use super::super::interim::Interim;
use super::super::upload_progress::{Facts, Sending};
use super::super::{RequestBody, SendError};
use super::body::Stream;
use super::connection::StreamPermit;
use super::request::{self, Head};
use super::upload::{Cut, Upload};
use crate::base::task;
use crate::proxy::forward::PrebuiltHeaders;
use crate::proxy::h1::length;

/// Sends the request in `slot` and waits for the answer's header. The request is in the slot again where the backend
/// cannot have acted on it, or where a connection that had been in use was closed; never once its body was begun.
pub(in super::super) async fn ask<B: RequestBody>(
    seat: StreamPermit,
    slot: &mut Option<Request<B>>,
    prebuilt: Option<PrebuiltHeaders<'_>>,
    first_byte: Option<Duration>,
) -> Result<Response<Stream>, SendOutcome> {
    let asked = slot.as_ref().expect("there is a request to send");
    let Head { mut request, websocket } = request::head(asked, seat.scheme());
    if let Some(prebuilt) = prebuilt {
        prebuilt.add_to(request.headers_mut());
    }
    let mut sender = seat.sender();
    if websocket.is_some() && !sender.is_extended_connect_protocol_enabled() {
        return Err(SendOutcome::Failed(SendError::NoWebSocket));
    }
    let bare = websocket.is_some() || slot.as_ref().is_some_and(|request| request.body().is_end_stream());
    let Ok((response, stream)) = sender.send_request(request, bare && websocket.is_none()) else {
        // The connection goes away, or is gone.
        seat.retire();
        return Err(SendOutcome::Unsent);
    };
    let request = slot.take().expect("there is a request to send");
    let mut asked = Asked::new(response, Interim::of(&request));
    let (parts, body) = request.into_parts();
    if bare {
        return match asked.answer(None::<&mut Upload<B>>, first_byte).await {
            Ok(response) => Ok(answered(response, seat, websocket.map(|key| (key, stream)), None)),
            Err(error) => {
                let again = is_whole(&error, &seat);
                *slot = again.then(|| Request::from_parts(parts, body));
                Err(SendOutcome::Failed(error))
            }
        };
    }
    let mut upload = Upload::new(body, stream, Rc::clone(&asked.facts));
    match asked.answer(Some(&mut upload), first_byte).await {
        Ok(response) => {
            let rest = (asked.facts.sending.get() != Sending::Complete).then(|| {
                // A backend may answer while it is still being prebuilt: an answer nobody takes must not hold that up.
                task::spawn_local("request body", async move { drop(poll_fn(|cx| upload.poll(cx)).await) })
            });
            Ok(answered(response, seat, None, rest))
        }
        Err(error) => {
            let body = upload.untouched().filter(|_| is_whole(&error, &seat));
            *slot = body.map(|body| Request::from_parts(parts, body));
            Err(SendOutcome::Failed(error))
        }
    }
}

/// Whether the same request may be thought of again, and what the failure means for the connection.
fn is_whole(error: &SendError, seat: &StreamPermit) -> bool {
    match error {
        SendError::Refused(_) => {
            seat.refused();
            true
        }
        SendError::ClosedBeforeAnswer(_) => {
            seat.retire();
            seat.reused
        }
        // Whether the backend or the way to it is slow cannot be prebuilt; the next request finds out on a new one.
        SendError::FirstByteTimeout(_) => {
            seat.retire();
            false
        }
        SendError::Connect(_)
        | SendError::CutOff(_)
        | SendError::BadAnswer(_)
        | SendError::StreamReset(_)
        | SendError::NoWebSocket
        | SendError::HeaderTooLarge(_)
        | SendError::ClientBody(_) => false,
    }
}

fn answered(
    response: Response<RecvStream>,
    seat: StreamPermit,
    websocket: Option<(HeaderValue, SendStream<Bytes>)>,
    upload: Option<tokio::task::JoinHandle<Option<()>>>,
) -> Response<Stream> {
    let (mut parts, received) = response.into_parts();
    let tunnel = match websocket {
        Some((key, stream)) if parts.status.is_success() => {
            // As HTTP/1.1 says it, for who asked by HTTP/1.1; the key has done its duty here.
            parts.status = StatusCode::SWITCHING_PROTOCOLS;
            let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).expect("base64 is a header value");
            parts.headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
            parts.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            parts.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            Some(stream)
        }
        Some((_, mut stream)) => {
            let _over = stream.send_data(Bytes::new(), true);
            None
        }
        None => None,
    };
    let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| length::read(value.as_bytes()));
    let body = Stream::new(received, tunnel, upload, length, seat);
    Response::from_parts(parts, body)
}

/// A request whose header is on its way.
struct Asked {
    response: ResponseFuture,
    facts: Rc<Facts>,
    interim: Interim,
}

impl Asked {
    fn new(response: ResponseFuture, interim: Interim) -> Self {
        let facts = Rc::new(Facts::default());
        facts.sending.set(Sending::Complete);
        Self { response, facts, interim }
    }

    /// The answer's header; meanwhile the body is sent.
    async fn answer<B: RequestBody>(
        &mut self,
        mut upload: Option<&mut Upload<B>>,
        first_byte: Option<Duration>,
    ) -> Result<Response<RecvStream>, SendError> {
        let mut patience = first_byte.map(Patience::new);
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| {
            self.take_interim(cx)?;
            if let Poll::Ready(result) = pin!(&mut self.response).poll(cx) {
                return Poll::Ready(result.map_err(error_of).and_then(with_a_length_that_fits));
            }
            if let Some(way) = &mut upload
                && let Poll::Ready(result) = way.poll(cx)
            {
                upload = None;
                if let Err(Cut::ByClient(cause)) = result {
                    return Poll::Ready(Err(SendError::ClientBody(cause)));
                }
            }
            match &mut patience {
                Some(patience) => patience.poll_over(&self.facts, &mut timer, cx).map(Err),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// What comes before the answer. An error is the answer's, too.
    fn take_interim(&mut self, cx: &mut Context<'_>) -> Result<(), SendError> {
        while let Poll::Ready(Some(Ok(interim))) = self.response.poll_informational(cx) {
            let links = || interim.headers().get_all(header::LINK).iter().cloned();
            self.interim.take(interim.status(), links).map_err(|error| SendError::BadAnswer(error.into()))?;
        }
        Ok(())
    }
}

/// A length that many programs cannot hold is no answer, whatever version of HTTP it comes by.
fn with_a_length_that_fits(response: Response<RecvStream>) -> Result<Response<RecvStream>, SendError> {
    match response.headers().get(header::CONTENT_LENGTH) {
        Some(value) if length::read(value.as_bytes()).is_none() => {
            Err(SendError::BadAnswer("its Content-Length is no number up to 2^63-1".into()))
        }
        Some(_) | None => Ok(response),
    }
}

/// What the end of a stream before its answer means (RFC 9113 sections 6.8 and 8.7).
fn error_of(error: h2::Error) -> SendError {
    if error.is_io() {
        SendError::ClosedBeforeAnswer(Some(error.into()))
    } else if error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM)) {
        SendError::Refused(error.into())
    } else if error.is_remote() && error.is_reset() {
        SendError::StreamReset(error.into())
    } else {
        SendError::BadAnswer(error.into())
    }
}
