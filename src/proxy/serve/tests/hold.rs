//! Requests that wait while nobody can take them.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::harness::*;
use crate::base::task;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An address where nobody listens yet.
fn unused() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn text(target: std::net::SocketAddr, words: &str) -> String {
    format!("upstream u {{\n to {target}\n {words}\n}}\na.test {{\n proxy u\n}}")
}

/// Begins to listen there, and answers everybody.
async fn come_up(addr: std::net::SocketAddr, answer: &'static str) {
    let listener = TcpListener::bind(addr).await.unwrap();
    drop(task::spawn_local("backend", async move {
        loop {
            let mut peer = Peer::of(listener.accept().await.unwrap().0);
            drop(task::spawn_local("script", async move {
                while !peer.head().await.is_empty() {
                    peer.send(answer).await;
                }
            }));
        }
    }));
}

#[test]
fn requests_and_upgrades_wait_for_a_backend_that_restarts() {
    run(async {
        let addr = unused();
        let gateway = Gateway::start(&text(addr, "hold 15s"), Speaks::H1).await;
        let mut clients = Vec::new();
        let upgrade = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let post = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody";
        for request in [GET, post, upgrade] {
            let mut client = gateway.client().await;
            client.send(request).await;
            clients.push(client);
        }
        until(|| gateway.metrics.proxy.held.read() == 3).await;
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        come_up(addr, answer).await;
        for mut client in clients {
            let answer = client.answer().await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        assert_eq!((gateway.metrics.proxy.held.read(), gateway.metrics.proxy.held_total.read()), (0, 3));
    });
}

#[test]
fn a_wait_ends_with_the_truth_and_so_many_wait_and_no_more() {
    run(async {
        let gateway = Gateway::start(&text(unused(), "hold 300ms 1"), Speaks::H1).await;
        let mut first = gateway.client().await;
        let began = Instant::now();
        first.send(GET).await;
        // The wait itself may be over before it is looked for.
        until(|| gateway.metrics.proxy.held_total.read() == 1).await;
        let answer = gateway.ask(GET).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "the second finds the room full: {answer}");
        let answer = first.answer().await;
        assert!(answer.starts_with("HTTP/1.1 502 ") && began.elapsed() >= Duration::from_millis(300), "{answer}");
        let records = gateway.records().await;
        assert_eq!(records[1]["reason"], "connect-refused");
    });
}

#[test]
fn a_client_that_leaves_waits_no_longer() {
    run(async {
        let gateway = Gateway::start(&text(unused(), "hold 1h"), Speaks::H1).await;
        let mut client = gateway.client().await;
        client.send(GET).await;
        until(|| gateway.metrics.proxy.held.read() == 1).await;
        drop(client);
        until(|| gateway.metrics.proxy.held.read() == 0).await;
    });
}

#[test]
fn who_waits_goes_on_with_the_newest_configuration() {
    run(async {
        let backend = Backend::says(OK).await;
        let gateway = Gateway::start(&text(unused(), "hold 1h"), Speaks::H1).await;
        let mut client = gateway.client().await;
        client.send(GET).await;
        until(|| gateway.metrics.proxy.held.read() == 1).await;
        gateway.reload(&text(backend.addr, "hold 1h"));
        let answer = client.answer().await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    });
}

#[test]
fn a_full_target_gets_no_more_and_who_waits_is_served_in_turn() {
    run(async {
        let (tell, prebuilt) = tokio::sync::watch::channel(0_u32);
        let backend = Backend::start(move |mut peer, _| {
            let mut prebuilt = prebuilt.clone();
            async move {
                while !peer.head().await.is_empty() {
                    prebuilt.changed().await.ok();
                    peer.send(OK).await;
                }
            }
        })
        .await;
        let gateway = Gateway::start(&text(backend.addr, "max-connections 1\n hold 15s"), Speaks::H1).await;
        let (mut first, mut second) = (gateway.client().await, gateway.client().await);
        first.send(GET).await;
        until(|| backend.connections.get() == 1).await;
        second.send(GET).await;
        until(|| gateway.metrics.proxy.held.read() == 1).await;
        tell.send(1).unwrap();
        assert!(first.answer().await.ends_with("ok"));
        until(|| gateway.metrics.proxy.held.read() == 0).await;
        let mut answer = Box::pin(second.answer());
        // The backend may not have seen the second request yet when it is prebuilt to answer.
        let answer = loop {
            tell.send_modify(|n| *n += 1);
            if let Ok(answer) = timeout(Duration::from_millis(20), &mut answer).await {
                break answer;
            }
        };
        assert!(answer.ends_with("ok"), "{answer}");
        drop(first);

        let silent = Backend::start(|mut peer, _| async move { drop(peer.rest().await) }).await;
        let without = Gateway::start(&text(silent.addr, "max-connections 1"), Speaks::H1).await;
        let mut first = without.client().await;
        first.send(GET).await;
        until(|| silent.connections.get() == 1).await;
        let answer = without.ask(GET).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    });
}
