//! A backend that keeps every request it is sent, reads each byte strictly, and remembers what it could not read.

use std::sync::{Arc, Mutex, MutexGuard};

use doorward::base::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::Server;
use super::strict::{self, Heard, Rules, Unread};

/// The running backend.
pub struct Recorder {
    server: Server,
    tape: Arc<Mutex<Tape>>,
}

/// What it heard so far.
#[derive(Default)]
pub struct Tape {
    pub heard: Vec<Heard>,
    /// Bytes that were no request in exactly one way, or came where nothing may come.
    pub wrong: Vec<String>,
}

impl Recorder {
    /// Starts it at a free port.
    pub fn start() -> Self {
        let tape = Arc::<Mutex<Tape>>::default();
        let shared = Arc::clone(&tape);
        let server = Server::start("recorder", ([127, 0, 0, 1], 0).into(), move |listener| async move {
            while let Ok((socket, _)) = listener.accept().await {
                task::spawn("recorder connection", listen(Arc::clone(&shared), socket));
            }
        });
        Self { server, tape }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// What it heard so far.
    pub fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().expect("no connection panics")
    }
}

async fn listen(tape: Arc<Mutex<Tape>>, mut socket: TcpStream) {
    let mut bytes = Vec::new();
    loop {
        match strict::read(&bytes, Rules::Strict) {
            Ok((heard, count)) => {
                bytes.drain(..count);
                let answer = answer(&heard);
                tape.lock().expect("no connection panics").heard.push(heard);
                if socket.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
            Err(Unread::Incomplete) => match socket.read_buf(&mut bytes).await {
                Ok(count) if count > 0 => (),
                // A request that is broken off is the gateway's way to say that its client broke off.
                _ => return,
            },
            Err(Unread::Wrong(what)) => {
                tape.lock().expect("no connection panics").wrong.push(what);
                return;
            }
        }
    }
}

/// What an answer will need (RFC 8297).
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nSet-Cookie: a=b\r\n\r\n";

/// The target says what it wants to be answered.
fn answer(heard: &Heard) -> String {
    let length = if heard.method == "HEAD" { "" } else { "ok" };
    match heard.target.as_str() {
        "/switches-to-nothing" => "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n".to_owned(),
        "/switches-with-a-wrong-key" => {
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n"
                .to_owned()
        }
        "/refuses" => "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 2\r\n\r\nno".to_owned(),
        "/hints" => format!("{HINTS}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        "/hints-and-no-more" => HINTS.to_owned(),
        _ => format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{length}"),
    }
}
