//! A backend that does as a request's path says, and counts what it saw.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use doorward::base::task;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::server::Server;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What the backend saw of clients.
#[derive(Default)]
pub struct Seen {
    /// Bytes of bodies it was sent.
    pub uploaded: AtomicUsize,
    /// Bytes of bodies it could hand over.
    pub downloaded: AtomicUsize,
    /// Requests it was asked to leave without an answer, and those of them that were given up.
    pub waiting: AtomicUsize,
    pub given_up: AtomicUsize,
}

/// Starts it at a free port.
pub fn start(seen: Arc<Seen>) -> Server {
    Server::start("obedient backend", ([127, 0, 0, 1], 0).into(), move |listener| async move {
        while let Ok((socket, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            task::spawn("obedient backend connection", async move {
                let service = service_fn(move |request| answer(Arc::clone(&seen), request));
                // Some break off on purpose.
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
            });
        }
    })
}

async fn answer(seen: Arc<Seen>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut words = path.trim_start_matches('/').split('/');
    Ok(match (words.next(), words.next().and_then(|number| number.parse::<usize>().ok())) {
        (Some("echo"), _) => echo(seen, request),
        (Some("bytes"), Some(length)) => bytes(seen, length),
        (Some("break"), Some(length)) => breaking(length),
        (Some("wait"), _) => {
            seen.waiting.fetch_add(1, Ordering::Relaxed);
            let _left = Left(seen);
            std::future::pending::<()>().await;
            unreachable!("it waits for ever")
        }
        _ => said(&request),
    })
}

/// Counts a request that was dropped before its answer.
struct Left(Arc<Seen>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.given_up.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the request looked like.
fn said(request: &Request<Incoming>) -> Response<Body> {
    let fields: String = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let text = format!("{} {}\n{fields}", request.method(), request.uri());
    Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync())
}

/// The request's body, trailers included, as it comes.
fn echo(seen: Arc<Seen>, request: Request<Incoming>) -> Response<Body> {
    let body = request.into_body().map_err(std::io::Error::other).map_frame(move |frame| {
        if let Some(data) = frame.data_ref() {
            seen.uploaded.fetch_add(data.len(), Ordering::Relaxed);
        }
        frame
    });
    Response::builder().header("trailer", "x-sum").body(body.boxed_unsync()).unwrap()
}

/// Byte `n` of what [`bytes`] sends.
pub fn byte(n: usize) -> u8 {
    (n % 251) as u8
}

fn bytes(seen: Arc<Seen>, length: usize) -> Response<Body> {
    const PIECE: usize = 10_000;
    let pieces = stream::iter((0..length).step_by(PIECE).map(move |from| {
        let piece: Vec<u8> = (from..length.min(from + PIECE)).map(byte).collect();
        seen.downloaded.fetch_add(piece.len(), Ordering::Relaxed);
        Ok(Frame::data(Bytes::from(piece)))
    }));
    Response::builder().header("content-length", length).body(StreamBody::new(pieces).boxed_unsync()).unwrap()
}

/// Breaks off behind `length` bytes.
fn breaking(length: usize) -> Response<Body> {
    let pieces = stream::iter([Ok(length), Err(std::io::Error::other("on purpose"))]).then(|piece| async {
        if piece.is_err() {
            // What came before is on its way first.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        piece.map(|length| Frame::data(Bytes::from(vec![b'x'; length])))
    });
    Response::new(StreamBody::new(pieces).boxed_unsync())
}
