//! WebSockets and other upgrades, over both protocols.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request as Asked, Response as Granted};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, frame::coding::CloseCode};

use super::harness::*;
use crate::base::task;

/// Echoes messages, speaks `chat`, and closes with 4001 when it is prebuilt to go.
#[expect(clippy::result_large_err, reason = "tungstenite's callback is typed so")]
async fn echo() -> Backend {
    Backend::start(|peer, _| async move {
        let negotiate = |asked: &Asked, mut granted: Granted| {
            assert_eq!(asked.uri(), "/chat?room=1");
            granted.headers_mut().insert("sec-websocket-protocol", asked.headers()["sec-websocket-protocol"].clone());
            Ok(granted)
        };
        let mut socket = tokio_tungstenite::accept_hdr_async(peer.stream, negotiate).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message == Message::text("go") {
                let frame = CloseFrame { code: CloseCode::from(4001), reason: "gone".into() };
                socket.close(Some(frame)).await.unwrap();
            } else if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    })
    .await
}

async fn talk<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) {
    for text in ["one", "two"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    socket.send(Message::text("go")).await.unwrap();
    match socket.next().await.unwrap().unwrap() {
        Message::Close(Some(frame)) => assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4001, "gone")),
        other => panic!("no close frame but {other:?}"),
    }
    while let Some(Ok(_)) = socket.next().await {}
}

async fn check_record(gateway: Gateway, status: u16) {
    assert_eq!(gateway.metrics.proxy.tunnels_opened.read(), 1);
    let records = gateway.records().await;
    let record = records.last().unwrap();
    assert_eq!(
        (&record["status"], &record["close_code"], &record["scheme"]),
        (&status.into(), &4001.into(), &"wss".into()),
        "{record}"
    );
    assert!(record["bytes_in"].as_u64().unwrap() > 20 && record["bytes_out"].as_u64().unwrap() > 15, "{record}");
}

#[test]
fn a_websocket_passes_and_is_logged_at_its_end() {
    run(async {
        let backend = echo().await;
        let gateway = Gateway::before(&backend).await;
        let mut request = "ws://a.test/chat?room=1".into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "chat".parse().unwrap());
        let stream = TcpStream::connect(gateway.addr).await.unwrap();
        let (mut socket, answer) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
        until(|| gateway.metrics.proxy.tunnels.read() == 1).await;
        talk(&mut socket).await;
        drop(socket);
        check_record(gateway, 101).await;
    });
}

#[test]
fn a_websocket_over_http_2_is_an_upgrade_for_the_backend() {
    run(async {
        let backend = echo().await;
        let gateway = Gateway::start(&format!("a.test {{\n proxy {}\n}}", backend.addr), Speaks::H2).await;
        let mut client = connect(&gateway).await;
        let response = client.send_request(extended_connect("/chat?room=1")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        for gone in ["sec-websocket-accept", "upgrade", "connection"] {
            assert!(!response.headers().contains_key(gone), "{gone}");
        }
        let stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        talk(&mut socket).await;
        drop(socket);
        check_record(gateway, 200).await;
    });
}

type Client = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;

async fn connect(gateway: &Gateway) -> Client {
    let stream = TcpStream::connect(gateway.addr).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(Local, TokioIo::new(stream)).await.unwrap();
    drop(task::spawn_local("client", connection));
    // The server's settings, which allow extended CONNECT, come with its first answer at the latest.
    sender.ready().await.unwrap();
    drop(sender.send_request(Request::get("https://stranger.test/").body(Empty::new()).unwrap()).await);
    sender
}

fn extended_connect(path: &str) -> Request<Empty<Bytes>> {
    let mut request = Request::connect(format!("https://a.test{path}"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .body(Empty::new())
        .unwrap();
    request.extensions_mut().insert(hyper::ext::Protocol::from_static("websocket"));
    request
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn a_refused_upgrade_passes_status_and_body_and_is_logged_as_one() {
    run(async {
        let backend = Backend::says("HTTP/1.1 403 Forbidden\r\nx-why: token\r\ncontent-length: 8\r\n\r\nno token").await;
        let gateway = Gateway::before(&backend).await;
        let answer = gateway.ask(UPGRADE).await;
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains("x-why: token") && answer.ends_with("no token"),
            "{answer}"
        );
        assert_eq!(gateway.metrics.proxy.upgrades_failed.total(), 1);
        let record = &gateway.records().await[0];
        assert_eq!((&record["reason"], &record["by"]), (&"backend-refused-upgrade".into(), &"backend".into()), "{record}");
    });
}

#[test]
fn a_false_101_makes_no_tunnel() {
    run(async {
        for (fields, reason) in [
            ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: nonsense", "backend-bad-accept"),
            (
                "Upgrade: tcp\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
                "backend-wrong-upgrade",
            ),
        ] {
            let answer: &'static str = format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n\r\n").leak();
            let backend = Backend::says(answer).await;
            let gateway = Gateway::before(&backend).await;
            let answer = gateway.ask(UPGRADE).await;
            assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
            assert_eq!(gateway.records().await[0]["reason"], reason);
        }
    });
}

#[test]
fn a_connect_is_not_granted_by_any_other_success() {
    run(async {
        for (answer, status) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", StatusCode::BAD_GATEWAY),
            ("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno", StatusCode::FORBIDDEN),
        ] {
            let backend = Backend::says(answer).await;
            let gateway = Gateway::start(&format!("a.test {{\n proxy {}\n}}", backend.addr), Speaks::H2).await;
            let mut client = connect(&gateway).await;
            let response = client.send_request(extended_connect("/")).await.unwrap();
            assert_eq!(response.status(), status);
            assert!(!response.into_body().collect().await.unwrap().to_bytes().is_empty());
            assert_eq!(gateway.metrics.proxy.upgrades_failed.total(), 1);
        }
    });
}

#[test]
fn http_2_in_the_clear_is_never_asked_of_a_backend() {
    run(async {
        let backend = Backend::mirror().await;
        let gateway = Gateway::before(&backend).await;
        let request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n";
        let answer = gateway.ask(request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(!answer.contains("upgrade") && !answer.contains("http2-settings"), "{answer}");
    });
}

#[test]
fn the_backend_sees_connection_and_upgrade_as_they_were_sent() {
    run(async {
        let backend = Backend::mirror().await;
        let gateway = Gateway::before(&backend).await;
        let answer = gateway.ask(UPGRADE).await;
        assert!(answer.contains("Connection: keep-alive, Upgrade\r\n") && answer.contains("Upgrade: websocket\r\n"), "{answer}");
    });
}

#[test]
fn cookies_and_a_long_token_in_the_query_reach_the_backend_as_they_were_sent() {
    run(async {
        let backend = Backend::mirror().await;
        let gateway = Gateway::before(&backend).await;
        let target = format!("GET /ws?token={}&room=a%2Fb%20c&room=&x HTTP/1.1\r\n", "t".repeat(32 * 1024));
        let cookie = "\r\nCookie: session=a.b-c_d==; theme=\"dark\"; csrf=x=y\r\n";
        let request = UPGRADE.replace("GET /ws HTTP/1.1\r\n", &target).replacen("\r\nUpgrade:", &format!("{cookie}Upgrade:"), 1);
        let answer = gateway.ask(&request).await.to_lowercase();
        assert!(answer.contains(&target.to_lowercase()) && answer.contains(&cookie.to_lowercase()), "{answer}");
    });
}

#[test]
fn tunnels_end_when_the_worker_says_so() {
    run(async {
        let backend = echo().await;
        let gateway = Gateway::before(&backend).await;
        let mut client = gateway.client().await;
        client
            .send(
                &UPGRADE
                    .replace("/ws", "/chat?room=1")
                    .replace("Sec-WebSocket-Version", "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Version"),
            )
            .await;
        assert!(client.head().await.starts_with("HTTP/1.1 101 "));
        until(|| gateway.metrics.proxy.tunnels.read() == 1).await;
        gateway.worker.end_tunnels();
        // It does not answer the goodbye, and is cut a moment later.
        let mut goodbye = Vec::new();
        client.stream.read_to_end(&mut goodbye).await.unwrap();
        assert_eq!(goodbye[..4], [0x88, 16, 0x03, 0xe9]);
        until(|| gateway.metrics.proxy.tunnels.read() == 0).await;
        assert_eq!(gateway.records().await[0]["reason"], "tunnel-drained");
    });
}
