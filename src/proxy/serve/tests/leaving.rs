//! Tunnels that have to go: their route or backend is gone, they are too old or too quiet, or the gateway ends.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::harness::*;
use super::sockets::{self, Socket, close_code, echo};

async fn open(gateway: &Gateway, url: &str) -> Socket {
    sockets::open(gateway, url, None).await.unwrap()
}

async fn talks(socket: &mut Socket) {
    socket.send(Message::text("still there?")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("still there?"));
}

const SPAN: Duration = Duration::from_millis(200);

#[test]
fn a_reload_ends_tunnels_whose_route_or_backend_is_gone_and_no_others() {
    run(async {
        let (kept, removed) = (echo().await, echo().await);
        let (a, b) = (kept.addr, removed.addr);
        let site = |host: &str, path: &str, to: &str| format!("{host} {{\n {path} {{\n proxy {to}\n }}\n}}\n");
        let before = [site("a.test", "/x/*", &format!("{a} {b}")), site("b.test", "/*", &a.to_string())].concat();
        let gateway = Gateway::start(&before, Speaks::H1).await;
        // In turn, so the second one is at the backend that goes.
        let mut stays = open(&gateway, "ws://a.test/x/1").await;
        let mut without_backend = open(&gateway, "ws://a.test/x/2").await;
        let mut without_site = open(&gateway, "ws://b.test/").await;
        let mut moved = open(&gateway, "ws://a.test/x/y/3").await;
        assert_eq!((kept.connections.get(), removed.connections.get()), (3, 1));

        let after = [site("a.test", "/x/*", &a.to_string()), site("c.test", "/*", &a.to_string())].concat();
        gateway.reload_over(&after.replace("proxy", "limit message 1KiB\n proxy"), SPAN);
        assert_eq!(close_code(&mut without_backend).await, Some(1001));
        assert_eq!(close_code(&mut without_site).await, Some(1001));
        drop((without_backend, without_site));
        until(|| gateway.metrics.proxy.tunnels.read() == 2).await;
        talks(&mut stays).await;
        talks(&mut moved).await;

        // A path of its own that leads elsewhere.
        let answered = "/x/y/* {\n respond 200 gone\n }\n}\nc.test";
        gateway.reload_over(&after.replacen("}\nc.test", answered, 1), SPAN);
        assert_eq!(close_code(&mut moved).await, Some(1001));
        talks(&mut stays).await;
        drop((stays, moved));
        let records = gateway.records().await;
        let reasons: Vec<_> = records.iter().map(|record| record["reason"].as_str().unwrap_or_default()).collect();
        assert_eq!(reasons.iter().filter(|reason| **reason == "tunnel-drained").count(), 3, "{reasons:?}");
    });
}

/// What becomes of a tunnel nobody speaks through.
async fn quiet(words: &str) -> (Option<u16>, String) {
    let backend = echo().await;
    let gateway = Gateway::start(&format!("a.test {{\n {words}\n proxy {}\n}}", backend.addr), Speaks::H1).await;
    let mut socket = open(&gateway, "ws://a.test/").await;
    let code = close_code(&mut socket).await;
    drop(socket);
    let records = gateway.records().await;
    (code, records[0]["reason"].as_str().unwrap().to_owned())
}

#[test]
fn a_tunnel_that_is_too_old_or_too_quiet_ends_with_1001() {
    run(async {
        assert_eq!(quiet("max-age 50ms").await, (Some(1001), "tunnel-max-age".into()));
        assert_eq!(quiet("max-age 50ms\n limit message 1KiB").await, (Some(1001), "tunnel-max-age".into()));
        assert_eq!(quiet("idle 50ms").await, (Some(1001), "tunnel-idle".into()));
        assert_eq!(quiet("idle 50ms\n limit message 1KiB").await, (Some(1001), "tunnel-idle".into()));
    });
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn a_tunnel_stands_for_a_week_of_silence_by_default_and_as_long_as_it_may_where_that_is_said() {
    run_within(60 * DAY, async {
        let backend = echo().await;
        let start = async |words: &str| {
            let gateway = Gateway::start(&format!("a.test {{\n {words}\n proxy {}\n}}", backend.addr), Speaks::H1).await;
            let socket = open(&gateway, "ws://a.test/").await;
            until(|| gateway.metrics.proxy.tunnels.read() == 1).await;
            (gateway, socket)
        };
        for words in ["", "limit message 1KiB"] {
            let (_gateway, mut socket) = start(words).await;
            talks(&mut socket).await;
            tokio::time::pause();
            tokio::time::sleep(7 * DAY).await;
            tokio::time::resume();
            talks(&mut socket).await;
        }
        for (words, least, most) in [("idle 24h", DAY, DAY), ("max-age 7d", 7 * DAY * 9 / 10, 7 * DAY)] {
            let (_gateway, mut socket) = start(words).await;
            tokio::time::pause();
            let opened = Instant::now();
            assert_eq!(close_code(&mut socket).await, Some(1001), "{words}");
            let stood = opened.elapsed().as_secs();
            tokio::time::resume();
            assert!((least.as_secs() - 1..=most.as_secs()).contains(&stood), "{words}: {stood} s");
        }
    });
}

#[test]
fn a_gateway_that_drains_says_goodbye_to_every_tunnel() {
    run(async {
        let backend = echo().await;
        let gateway = Gateway::before(&backend).await;
        let mut sockets = Vec::new();
        for _ in 0..5 {
            sockets.push(open(&gateway, "ws://a.test/").await);
        }
        gateway.worker.drain_tunnels(SPAN);
        for socket in &mut sockets {
            assert_eq!(close_code(socket).await, Some(1001));
        }
        drop(sockets);
        assert_eq!(gateway.records().await.len(), 5);
    });
}

#[test]
fn tunnels_are_counted_with_how_long_they_stood_and_who_comes_back() {
    run(async {
        let backend = echo().await;
        let gateway = Gateway::before(&backend).await;
        for _ in 0..3 {
            let mut socket = open(&gateway, "ws://a.test/").await;
            talks(&mut socket).await;
            socket.close(None).await.unwrap();
            assert_eq!(close_code(&mut socket).await, None);
            drop(socket);
            until(|| gateway.metrics.proxy.tunnels.read() == 0).await;
        }
        let proxy = &gateway.metrics.proxy;
        assert_eq!((proxy.tunnels_opened.read(), proxy.reconnects.read()), (3, 2));
        assert_eq!(proxy.tunnel_seconds.read().map(|(_, count)| count).sum::<u64>(), 3);
    });
}
