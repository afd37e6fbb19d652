//! What a site asks of who comes: rates, numbers, origins, messages.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use super::harness::*;
use super::sockets::{self, Socket, close_code, echo};
use crate::base::task;

async fn gateway(words: &str, backend: &Backend) -> Gateway {
    Gateway::start(&format!("a.test {{\n {words}\n proxy {}\n}}", backend.addr), Speaks::H1).await
}

/// Opens a WebSocket from a page of this origin.
async fn open(gateway: &Gateway, origin: Option<&str>) -> Result<Socket, u16> {
    sockets::open(gateway, "ws://a.test/ws", origin).await
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n";

#[test]
fn ten_a_minute_with_a_burst_of_five_answers_six_and_then_says_when_to_come_again() {
    run(async {
        let backend = Backend::says("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        let gateway = gateway("limit requests 10/min burst 5\n security-headers", &backend).await;
        for _ in 0..6 {
            assert!(gateway.ask(GET).await.starts_with("HTTP/1.1 200"));
        }
        let refused = gateway.ask(GET).await;
        assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("\r\nretry-after: 6\r\n"), "{refused}");
        assert!(refused.contains("\r\nx-content-type-options: nosniff\r\n"), "a refusal carries the site's headers: {refused}");
        assert_eq!(gateway.metrics.proxy.rate_limited.read(), 1);
        let records = gateway.records().await;
        let last = records.last().unwrap();
        assert_eq!((&last["status"], &last["reason"]), (&429.into(), &"too-many-requests".into()));
    });
}

#[test]
fn a_client_has_so_many_exchanges_and_tunnels_at_a_time() {
    run(async {
        let backend = echo().await;
        let gateway = gateway("limit connections 2", &backend).await;
        let mut first = open(&gateway, None).await.unwrap();
        let second = open(&gateway, None).await.unwrap();
        assert_eq!(open(&gateway, None).await.unwrap_err(), 429);
        assert_eq!(gateway.metrics.proxy.connections_limited.read(), 1);
        assert_eq!(gateway.metrics.proxy.upgrades_failed.total(), 1);
        first.close(None).await.unwrap();
        while let Some(Ok(_)) = first.next().await {}
        drop(first);
        until(|| gateway.metrics.proxy.in_flight.read() == 1).await;
        drop((open(&gateway, None).await.unwrap(), second));
    });
}

#[test]
fn only_listed_pages_open_a_websocket_and_nothing_reaches_the_backend_for_others() {
    run(async {
        let backend = echo().await;
        let gateway = gateway("origin https://a.test", &backend).await;
        for strange in [None, Some("https://evil.test"), Some("null")] {
            assert_eq!(open(&gateway, strange).await.unwrap_err(), 403, "for {strange:?}");
        }
        assert_eq!(backend.connections.get(), 0);
        assert_eq!(gateway.metrics.proxy.origin_refused.read(), 3);
        drop(open(&gateway, Some("https://a.test")).await.unwrap());
        let records = gateway.records().await;
        let reasons: Vec<_> = records.iter().map(|record| record["reason"].as_str().unwrap_or("")).take(3).collect();
        assert_eq!(reasons, ["no-origin", "bad-origin", "bad-origin"]);
    });
}

#[test]
fn a_page_that_is_listed_may_read_and_its_preflight_never_reaches_the_backend() {
    run(async {
        let backend = Backend::says("HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\ncontent-length: 2\r\n\r\nhi").await;
        let gateway = gateway("cors https://app.test\n limit requests 1/h burst 0", &backend).await;
        let ask = |method: &str, origin: &str, more: &str| {
            let request = format!("{method} /x HTTP/1.1\r\nhost: a.test\r\norigin: {origin}\r\n{more}connection: close\r\n\r\n");
            let gateway = &gateway;
            async move { gateway.ask(&request).await }
        };
        let preflight = "access-control-request-method: PUT\r\naccess-control-request-headers: x-a\r\n";
        let answer = ask("OPTIONS", "https://app.test", preflight).await;
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
        assert!(answer.contains("\r\naccess-control-allow-headers: x-a\r\n"), "{answer}");
        assert!(ask("OPTIONS", "https://evil.test", preflight).await.starts_with("HTTP/1.1 403"));
        assert_eq!(backend.connections.get(), 0);
        let answer = ask("GET", "https://app.test", "").await;
        assert!(answer.contains("\r\naccess-control-allow-origin: https://app.test\r\n"), "{answer}");
        assert!(!answer.contains('*'), "{answer}");
        let limited = ask("GET", "https://app.test", "").await;
        assert!(
            limited.starts_with("HTTP/1.1 429") && limited.contains("access-control-allow-origin: https://app.test"),
            "{limited}"
        );
    });
}

#[test]
fn messages_beyond_the_limit_close_the_tunnel_with_their_code() {
    run(async {
        let backend = echo().await;
        let gateway = gateway("limit message 1000B 3/h", &backend).await;
        let mut large = open(&gateway, None).await.unwrap();
        large.send(Message::text("x".repeat(1000))).await.unwrap();
        assert_eq!(large.next().await.unwrap().unwrap().len(), 1000);
        large.send(Message::text("x".repeat(1001))).await.unwrap();
        assert_eq!(close_code(&mut large).await, Some(1009));
        drop(large);
        until(|| gateway.metrics.proxy.in_flight.read() == 0).await;
        let mut many = open(&gateway, None).await.unwrap();
        for _ in 0..4 {
            many.send(Message::text("hi")).await.unwrap();
        }
        assert_eq!(close_code(&mut many).await, Some(1008));
        drop(many);
        until(|| gateway.metrics.proxy.messages_limited.read() == 2).await;
        let records = gateway.records().await;
        let seen: Vec<_> = records.iter().map(|record| (record["reason"].clone(), record["close_code"].clone())).collect();
        assert_eq!(seen, [("message-too-large".into(), 1009.into()), ("too-many-messages".into(), 1008.into())]);
    });
}

#[test]
fn a_silent_client_is_pinged_and_a_dead_one_found() {
    run(async {
        let (prebuilt, closed) = tokio::sync::oneshot::channel();
        let prebuilt = std::cell::RefCell::new(Some(prebuilt));
        let backend = Backend::start(move |peer, _| {
            let prebuilt = prebuilt.borrow_mut().take();
            async move {
                let mut socket = tokio_tungstenite::accept_async(peer.stream).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    if let Message::Close(frame) = message {
                        prebuilt.unwrap().send(frame.map(|frame| u16::from(frame.code))).unwrap();
                        return;
                    }
                }
            }
        })
        .await;
        let gateway = gateway("ping 50ms", &backend).await;
        let mut socket = open(&gateway, None).await.unwrap();
        for _ in 0..3 {
            assert!(socket.next().await.unwrap().unwrap().is_ping());
        }
        // Who reads no more answers no more.
        let code = task::spawn_local("closed", closed).await.unwrap().unwrap();
        assert_eq!(code.unwrap(), Some(1001));
        drop(socket);
        assert_eq!(gateway.records().await[0]["reason"], "client-silent");
    });
}

#[test]
fn the_end_of_a_drain_is_a_close_frame_where_frames_are_walked() {
    run(async {
        let backend = echo().await;
        let gateway = gateway("limit message 1KiB", &backend).await;
        let mut socket = open(&gateway, None).await.unwrap();
        until(|| gateway.metrics.proxy.tunnels.read() == 1).await;
        gateway.worker.end_tunnels();
        assert_eq!(close_code(&mut socket).await, Some(1001));
        drop(socket);
        let records = gateway.records().await;
        assert_eq!((&records[0]["reason"], &records[0]["close_code"]), (&"tunnel-drained".into(), &1001.into()));
    });
}
