//! WebSockets over HTTP/2 (RFC 8441), which share their connection with requests.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::gateway::Gateway;
use crate::support::h2_frames::{DATA, END_HEADERS, END_STREAM, End, GOAWAY, H2, HEADERS, RST_STREAM, block, frame, request};
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

/// Sends a text over stream 1 and waits for its echo.
fn talk(client: &mut H2) {
    client.0.say(&frame(DATA, 0, 1, b"\x81\x85\0\0\0\0hello"));
    loop {
        let came = client.next().expect("the connection lives");
        assert!(came.kind != GOAWAY && (came.kind, came.stream) != (RST_STREAM, 1), "{came:?}");
        if (came.kind, came.stream) == (DATA, 1) && came.payload.ends_with(b"hello") {
            return;
        }
    }
}

/// A malformed request is an error of its stream (RFC 9113 section 8.1.1).
#[test]
fn a_malformed_request_has_its_page_and_its_record_and_tunnels_beside_it_live_on() {
    let backend = echo::start();
    let (gateway, root) = Gateway::on_localhost(&format!("localhost {{\n    proxy {}\n}}", backend.address().port()));
    let mut client = H2::open("localhost", gateway.https, &root, &[]);
    let connect = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", "localhost")];
    let connect = [&connect[..], &[(":path", "/ws"), ("sec-websocket-version", "13")]].concat();
    client.0.say(&frame(HEADERS, END_HEADERS, 1, &block(&connect)));
    talk(&mut client);
    let mut stream = 3;
    let mut check = |path: &str, field: (&str, &str), flags, expected| {
        client.0.say(&frame(HEADERS, END_HEADERS | flags, stream, &request("POST", path, &[field])));
        assert_eq!(client.end_of(stream), expected, "{path} {field:?}");
        stream += 2;
        talk(&mut client);
    };
    check("/capital", ("X-Note", "1"), END_STREAM, End::Answered(400));
    check("/control", ("x-note", "a\x01b"), END_STREAM, End::Answered(400));
    check("/connection", ("connection", "close"), END_STREAM, End::Answered(400));
    check("/blank", ("x note", "1"), END_STREAM, End::Answered(400));
    // Larger than a signed length; then larger than any.
    check("/length", ("content-length", "9223372036854775808"), 0, End::Answered(400));
    check("/endless", ("content-length", "18446744073709551616"), 0, End::Answered(400));
    for path in ["/capital", "/control", "/connection", "/blank", "/length", "/endless"] {
        let is_it = |line: &str| line.contains(r#""event":"access""#) && line.contains(&format!(r#""target":"{path}""#));
        wait::until_true(path, SOON, || gateway.output().lines().any(|line| is_it(line) && line.contains(r#""status":400"#)));
    }
}
