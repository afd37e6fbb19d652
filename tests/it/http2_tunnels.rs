//! WebSockets over HTTP/2 (RFC 8441), which share their connection with requests.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::gateway::Gateway;
use crate::support::line::Line;
use crate::support::{client, echo, server, wait};

const SOON: Duration = wait::LIMIT;

#[test]
fn a_websocket_over_http_2_outlives_the_limits_of_its_connection() {
    let backend = echo::start();
    let short = "timeouts {\n    header 1s\n    send 1s\n    idle 1s\n}";
    let site = format!("{short}\nlocalhost {{\n    proxy {}\n}}", backend.address().port());
    let (gateway, root) = Gateway::on_localhost(&site);
    let runtime = server::runtime();
    let open = || runtime.block_on(client::websocket_over_http_2("localhost", gateway.https, "/ws", &root));
    let (mut quiet, mut talking) = (open(), open());
    let talk = |socket: &mut _| runtime.block_on(async { tokio::time::timeout(SOON, echoes(socket)).await.expect("in time") });
    for _ in 0..3 {
        // One round is as long as a connection that rests may stand.
        talk(&mut talking);
        let mut line = Line::open("localhost", gateway.https, &root);
        line.say(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(line.answer().starts_with("HTTP/1.1 200"));
        line.rest(SOON).expect("a connection that rests is closed");
    }
    talk(&mut talking);
    talk(&mut quiet);
    drop((talking, quiet));
    let is_tunnel = |line: &&str| line.contains(r#""scheme":"wss""#) && line.contains(r#""version":"HTTP/2.0""#);
    wait::until_true("both are logged", SOON, || {
        // The client's connections are driven in here.
        runtime.block_on(tokio::task::yield_now());
        gateway.output().lines().filter(is_tunnel).count() == 2
    });
}

async fn echoes<S>(socket: &mut WebSocketStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.send(Message::text("still there?")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("still there?"));
}
