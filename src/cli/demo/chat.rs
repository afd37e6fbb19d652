//! The demo's chat: who is connected hears what anybody says, and gets an echo of its own pings.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, HOST, HeaderMap, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use crate::base::task;

/// No line of a chat is longer, with its JSON around it.
const MAX_MESSAGE: usize = 4 << 10;
/// Characters of a line that are passed on.
const MAX_LINE: usize = 500;
/// Lines a slow window may be behind before it misses some.
const BACKLOG: usize = 64;

/// Everybody connected.
pub(super) struct Room {
    said: broadcast::Sender<String>,
    next: Cell<u32>,
}

/// What a page says.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum FromPage {
    /// Sent back as it is, to measure the way.
    Ping { at: f64 },
    /// For everybody.
    Say { text: String },
}

/// What a page is told.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum ToPage<'a> {
    /// Its number, once.
    Hello { you: u32 },
    /// Its own ping.
    Pong { at: f64 },
    /// Somebody spoke.
    Said { who: u32, text: &'a str },
}

impl ToPage<'_> {
    fn text(&self) -> String {
        serde_json::to_string(self).expect("messages to the page have text keys only")
    }
}

impl Room {
    /// Nobody is here yet.
    pub(super) fn new() -> Self {
        Self { said: broadcast::Sender::new(BACKLOG), next: Cell::new(1) }
    }

    /// How many are connected.
    pub(super) fn open(&self) -> usize {
        self.said.receiver_count()
    }

    fn number(&self) -> u32 {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        number
    }
}

/// Answers the opening handshake (RFC 6455 section 4.2.2) and talks on once the connection is handed over.
pub(super) fn upgrade(mut request: Request<Incoming>, room: &Rc<Room>) -> Response<()> {
    let refuse = |code| Response::builder().status(code).body(()).expect("a status alone is a valid answer");
    let headers = request.headers();
    let is = |name, value: &str| headers.get(name).is_some_and(|seen| seen.as_bytes().eq_ignore_ascii_case(value.as_bytes()));
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY).filter(|_| is(UPGRADE, "websocket") && is(SEC_WEBSOCKET_VERSION, "13")) else {
        return refuse(StatusCode::UPGRADE_REQUIRED);
    };
    if !is_own_page(headers) {
        return refuse(StatusCode::FORBIDDEN);
    }
    let accept = derive_accept_key(key.as_bytes());
    let room = Rc::clone(room);
    let coming = hyper::upgrade::on(&mut request);
    task::spawn_local("demo chat", async move {
        if let Ok(connection) = coming.await {
            let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, Some(config)).await;
            talk(socket, &room).await;
        }
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept)
        .body(())
        .expect("an accept key is a header value")
}

/// Browsers say which page opens a WebSocket; only ours may. Tools send no Origin and may, too.
fn is_own_page(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    authority.is_some() && authority == headers.get(HOST).and_then(|host| host.to_str().ok())
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

async fn talk(mut socket: Socket, room: &Room) {
    let you = room.number();
    let mut heard = room.said.subscribe();
    if socket.send(Message::text(ToPage::Hello { you }.text())).await.is_err() {
        return;
    }
    loop {
        let line = tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => match reply(&text, you, room) {
                    Some(line) => line,
                    None => continue,
                },
                // Pings and the close are answered by the library.
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            },
            line = heard.recv() => match line {
                Ok(line) => line,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            },
        };
        if socket.send(Message::text(line)).await.is_err() {
            return;
        }
    }
}

/// What goes back to the one who spoke; what is for everybody goes to the room.
fn reply(text: &str, you: u32, room: &Room) -> Option<String> {
    match serde_json::from_str(text).ok()? {
        FromPage::Ping { at } => Some(ToPage::Pong { at }.text()),
        FromPage::Say { text } => {
            let text: String = text.chars().take(MAX_LINE).collect();
            // Fails when nobody is there, and whoever spoke is.
            let _ = room.said.send(ToPage::Said { who: you, text: &text }.text());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite;

    use super::super::backend;
    use super::*;

    fn connect(
        addr: std::net::SocketAddr,
        origin: Option<String>,
    ) -> Result<tungstenite::WebSocket<std::net::TcpStream>, String> {
        let stream = std::net::TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let mut request = tungstenite::ClientRequestBuilder::new(format!("ws://{addr}/ws").parse().unwrap());
        if let Some(origin) = origin {
            request = request.with_header("Origin", origin);
        }
        tungstenite::client(request, stream).map(|(socket, _)| socket).map_err(|error| error.to_string())
    }

    fn next(socket: &mut tungstenite::WebSocket<std::net::TcpStream>) -> String {
        socket.read().unwrap().into_text().unwrap().to_string()
    }

    #[test]
    fn what_one_says_everybody_hears_and_pings_come_back() {
        let addr = backend::start().unwrap();
        let mut one = connect(addr, None).unwrap();
        let mut two = connect(addr, Some(format!("http://{addr}"))).unwrap();
        assert_eq!(
            (next(&mut one), next(&mut two)),
            (r#"{"kind":"hello","you":1}"#.into(), r#"{"kind":"hello","you":2}"#.into())
        );
        one.send(Message::text(r#"{"kind":"ping","at":1.5}"#)).unwrap();
        assert_eq!(next(&mut one), r#"{"kind":"pong","at":1.5}"#);
        one.send(Message::text("not json")).unwrap();
        two.send(Message::text(r#"{"kind":"say","text":"<b>hello"}"#)).unwrap();
        assert_eq!(next(&mut one), r#"{"kind":"said","who":2,"text":"<b>hello"}"#);
        assert_eq!(next(&mut two), r#"{"kind":"said","who":2,"text":"<b>hello"}"#);
    }

    #[test]
    fn another_page_is_refused() {
        let addr = backend::start().unwrap();
        let error = connect(addr, Some("https://evil.example".into())).unwrap_err();
        assert!(error.contains("403"), "{error}");
    }
}
