//! The request, its answer, and the first moments of a WebSocket.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::header::{self, HeaderMap};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::connect::{Wire, done, failed};
use super::report::{By, End, Step};
use crate::base::error_chain::ErrorChain;
use crate::base::escape::escaped;
use crate::base::task;
use crate::diagnostics::explain::ExplainRequest;

/// How long a WebSocket is watched for being closed at once: an application that refuses a token does so by then.
const WATCH: Duration = Duration::from_secs(1);
/// Of a page that came instead of a WebSocket.
const LARGEST_PAGE: usize = 16 << 10;
/// Characters of it that are repeated.
const MAX_SHOWN: usize = 120;
/// The first message is looked at, not kept.
const LARGEST_MESSAGE: usize = 1 << 20;

/// Sends the request over `stream` and tells what comes of it.
pub(super) async fn talk(stream: Box<dyn Wire>, question: &ExplainRequest, limit: Duration, steps: &mut Vec<Step>) -> End {
    let started = Instant::now();
    let key = question.asks_websocket().then(generate_key);
    let answered = timeout(limit, ask(stream, question, key.as_deref())).await;
    let response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return no_answer(steps, started, format!("no HTTP answer: {}", ErrorChain(&error)), false),
        Err(_) => return no_answer(steps, started, format!("no first byte within {} s", limit.as_secs()), true),
    };
    match (response.status(), key) {
        (StatusCode::SWITCHING_PROTOCOLS, Some(key)) => match granted(response.headers(), &key) {
            Ok(()) => {
                steps.push(done("http", started, "101 Switching Protocols".into()));
                open(response, limit, steps).await
            }
            Err(why) => {
                steps.push(failed("http", started, format!("101, but {why}")));
                End::BadUpgrade { why }
            }
        },
        (_, key) => answer(response, key.is_some(), started, limit, steps).await,
    }
}

async fn ask(stream: Box<dyn Wire>, question: &ExplainRequest, key: Option<&str>) -> Result<Response<Incoming>, hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    task::spawn_local("probe", connection.with_upgrades());
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = question.method.clone();
    *request.uri_mut() = question.target.clone();
    request.headers_mut().clone_from(&question.headers);
    let headers = request.headers_mut();
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static("doorward-probe"));
    if let Some(key) = key.and_then(|key| HeaderValue::try_from(key).ok()) {
        headers.insert(header::SEC_WEBSOCKET_KEY, key);
        headers.entry(header::SEC_WEBSOCKET_VERSION).or_insert(HeaderValue::from_static("13"));
    }
    sender.send_request(request).await
}

fn no_answer(steps: &mut Vec<Step>, started: Instant, why: String, timed_out: bool) -> End {
    let why = escaped(&why, MAX_SHOWN);
    steps.push(failed("http", started, why.clone()));
    End::NoAnswer { why, timed_out }
}

/// RFC 6455 section 4.1: what a client checks before it believes a 101.
fn granted(headers: &HeaderMap, key: &str) -> Result<(), String> {
    let upgrade = headers.get(header::UPGRADE).map(HeaderValue::as_bytes);
    if !upgrade.is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")) {
        return Err("without `Upgrade: websocket`".into());
    }
    let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    if accept == Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        Ok(())
    } else {
        Err("its Sec-WebSocket-Accept does not answer our key".into())
    }
}

async fn answer(response: Response<Incoming>, websocket: bool, started: Instant, limit: Duration, steps: &mut Vec<Step>) -> End {
    let (parts, body) = response.into_parts();
    let (status, by) = (parts.status, by(&parts.headers));
    let words = match timeout(limit, Limited::new(body, LARGEST_PAGE).collect()).await {
        Ok(Ok(body)) => first_words(&parts.headers, &body.to_bytes()),
        Ok(Err(_)) | Err(_) => String::new(),
    };
    let ok = !websocket && (status.is_success() || status.is_redirection());
    let seen = format!("{status} from {}{words}", name(by));
    steps.push(Step { ok, ..done("http", started, seen) });
    match parts.headers.get(header::LOCATION) {
        Some(to) if status.is_redirection() => {
            End::Redirected { status: status.as_u16(), to: to.to_str().ok().map(str::to_owned), by }
        }
        _ => End::Answered { status: status.as_u16(), by },
    }
}

/// What a backend answers comes with our `Via`, what the gateway answers itself with our name.
fn by(headers: &HeaderMap) -> By {
    let names_us = |name| {
        headers
            .get_all(name)
            .iter()
            .any(|value: &HeaderValue| value.as_bytes().windows(8).any(|window| window.eq_ignore_ascii_case(b"doorward")))
    };
    if names_us(header::VIA) {
        By::Backend
    } else if names_us(header::SERVER) {
        By::Gateway
    } else {
        By::Other
    }
}

const fn name(by: By) -> &'static str {
    match by {
        By::Gateway => "the gateway itself",
        By::Backend => "the backend, through the gateway",
        By::Other => "a server that does not say that it is doorward",
    }
}

/// The first words of a page for people or programs; HTML has too many before its first.
fn first_words(headers: &HeaderMap, body: &[u8]) -> String {
    let html = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let text = String::from_utf8_lossy(body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if html || line.is_empty() { String::new() } else { format!(": {}", escaped(line, MAX_SHOWN)) }
}

/// Pings, and watches whether it stays open.
async fn open(response: Response<Incoming>, limit: Duration, steps: &mut Vec<Step>) -> End {
    let started = Instant::now();
    let Ok(upgraded) = hyper::upgrade::on(response).await else {
        steps.push(failed("websocket", started, "ended at once, without a close frame".into()));
        return End::ClosedAtOnce { code: None };
    };
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST_MESSAGE)).max_frame_size(Some(LARGEST_MESSAGE));
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(config)).await;
    // When it cannot be sent, the reading below tells why.
    let _ = socket.send(Message::Ping(Bytes::from_static(b"doorward"))).await;
    let mut watched = Watched::default();
    let end = loop {
        let patience = if watched.pong.is_some() { WATCH } else { limit }.saturating_sub(started.elapsed());
        match timeout(patience, socket.next()).await {
            Err(_) if watched.pong.is_some() => break End::Open,
            Err(_) => break End::Silent,
            Ok(Some(Ok(message))) => {
                if let Some(code) = watched.take(&message, started) {
                    break End::ClosedAtOnce { code };
                }
            }
            Ok(Some(Err(_)) | None) => break End::ClosedAtOnce { code: None },
        }
    };
    steps.push(Step { ok: end == End::Open, ..done("websocket", started, watched.told(&end)) });
    let _ = timeout(WATCH, socket.close(None)).await;
    end
}

/// What came over a WebSocket.
#[derive(Default)]
struct Watched {
    pong: Option<Duration>,
    first: Option<String>,
    reason: String,
}

impl Watched {
    /// The code, when the message closes.
    fn take(&mut self, message: &Message, started: Instant) -> Option<Option<u16>> {
        match message {
            Message::Pong(_) => self.pong = Some(started.elapsed()),
            Message::Text(text) => self.first(&format!("text of {} bytes", text.len())),
            Message::Binary(bytes) => self.first(&format!("{} bytes", bytes.len())),
            Message::Close(frame) => {
                self.reason = frame.as_ref().map(|frame| escaped(frame.reason.as_str(), MAX_SHOWN)).unwrap_or_default();
                return Some(frame.as_ref().map(|frame| frame.code.into()));
            }
            Message::Ping(_) | Message::Frame(_) => (),
        }
        None
    }

    fn first(&mut self, what: &str) {
        self.first.get_or_insert_with(|| what.to_owned());
    }

    fn told(&self, end: &End) -> String {
        let mut facts = Vec::new();
        facts.extend(self.pong.map(|after| format!("pong after {} ms", after.as_millis())));
        facts.extend(self.first.as_ref().map(|first| format!("first message: {first}")));
        facts.push(match end {
            End::ClosedAtOnce { code: Some(code) } if self.reason.is_empty() => format!("closed with {code}"),
            End::ClosedAtOnce { code: Some(code) } => format!("closed with {code}: {}", self.reason),
            End::ClosedAtOnce { code: None } => "ended without a close frame".to_owned(),
            End::Silent => "no answer to our ping".to_owned(),
            _ => "stays open".to_owned(),
        });
        facts.join(", ")
    }
}
