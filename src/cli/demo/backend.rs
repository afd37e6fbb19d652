//! The demo's backend: one page, what it saw of its request, a clock as server-sent events, and a chat over WebSocket.
//! It speaks plain HTTP/1.1 on the loopback interface, like any backend of yours; the gateway does the rest.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc::sync_channel;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap, VIA};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, Interval};

use super::chat::{self, Room};
use crate::base::task;

/// A demo serves one person with a few windows; beyond this, new connections wait.
const MAX_CONNECTIONS: usize = 256;

const PAGE: &str = include_str!("page.html");

/// The page's script and style stand in the page, and it talks to nobody but its own origin.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'";

type Answer = Response<Either<Full<Bytes>, Ticks>>;

/// Starts the backend on a free port of 127.0.0.1 and a thread of its own; it ends with the process.
pub(super) fn start() -> io::Result<SocketAddr> {
    let (tell, told) = sync_channel(1);
    thread::Builder::new().name("demo-backend".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
        let started = runtime.and_then(|runtime| {
            let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
            Ok((listener.local_addr()?, listener, runtime))
        });
        match started {
            Ok((addr, listener, runtime)) => {
                let _ = tell.send(Ok(addr));
                runtime.block_on(serve(listener));
            }
            Err(error) => drop(tell.send(Err(error))),
        }
    })?;
    told.recv().map_err(|_| io::Error::other("the demo's backend ended before it listened"))?
}

/// Serves for as long as it is polled.
async fn serve(listener: TcpListener) {
    let room = Rc::new(Room::new());
    let seats = Rc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let seat = Rc::clone(&seats);
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let room = Rc::clone(&room);
        task::spawn_local("demo connection", async move {
            let _seat = seat.acquire().await.expect("the demo's semaphore is never closed");
            let service = service_fn(move |request| {
                let room = Rc::clone(&room);
                async move { Ok::<_, Infallible>(answer(request, &room)) }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(60));
            // A connection that breaks is the gateway's to report.
            let _ = server.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        });
    }
}

fn answer(request: Request<Incoming>, room: &Rc<Room>) -> Answer {
    let known = matches!(request.uri().path(), "/" | "/facts" | "/ticks" | "/ws");
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/") => text("text/html; charset=utf-8", PAGE.into()),
        (&Method::GET | &Method::HEAD, "/facts") => text("application/json", facts(request.headers()).into()),
        (&Method::GET, "/ticks") => {
            let mut answer = Response::new(Either::Right(Ticks::new(Rc::clone(room))));
            answer.headers_mut().insert(CONTENT_TYPE, "text/event-stream".parse().expect("a media type is a header value"));
            answer.headers_mut().insert(CACHE_CONTROL, "no-store".parse().expect("a directive is a header value"));
            answer
        }
        (&Method::GET, "/ws") => chat::upgrade(request, room).map(|()| Either::Left(Full::default())),
        _ => status(if known { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND }),
    }
}

fn status(code: StatusCode) -> Answer {
    let mut answer = text("text/plain; charset=utf-8", format!("{code}\n").into());
    *answer.status_mut() = code;
    answer
}

fn text(kind: &'static str, body: Bytes) -> Answer {
    Response::builder()
        .header(CONTENT_TYPE, kind)
        .header(CACHE_CONTROL, "no-store")
        .header(CONTENT_SECURITY_POLICY, POLICY)
        .header("x-content-type-options", "nosniff")
        .body(Either::Left(Full::new(body)))
        .expect("constant headers are valid")
}

/// What the gateway told its backend of the request, as JSON.
fn facts(headers: &HeaderMap) -> String {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    serde_json::json!({
        "host": said(HOST.as_str()),
        "proto": said("x-forwarded-proto"),
        "client": said("x-forwarded-for"),
        "forwarded_host": said("x-forwarded-host"),
        "request_id": said("x-request-id"),
        "via": said(VIA.as_str()),
    })
    .to_string()
}

/// A clock that ticks each second for as long as somebody listens (server-sent events, WHATWG HTML section 9.2).
struct Ticks {
    room: Rc<Room>,
    every: Interval,
    since: Instant,
}

impl Ticks {
    fn new(room: Rc<Room>) -> Self {
        Self { room, every: tokio::time::interval(Duration::from_secs(1)), since: Instant::now() }
    }
}

impl Body for Ticks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let now = ready!(self.every.poll_tick(cx));
        let seconds = now.duration_since(self.since).as_secs();
        let event = format!("data: {{\"seconds\":{seconds},\"open\":{}}}\n\n", self.room.open());
        Poll::Ready(Some(Ok(Frame::data(event.into()))))
    }
}
