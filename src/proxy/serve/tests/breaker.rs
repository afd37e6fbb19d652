//! Backends that are let be for a while, because too much of what they were sent failed.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::harness::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const WELL: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nok";
const ILL: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

/// A backend that answers as it is prebuilt, and counts what it is asked.
struct Moody {
    backend: Backend,
    answer: Rc<Cell<&'static str>>,
    asked: Rc<Cell<u32>>,
}

impl Moody {
    async fn start() -> Self {
        let (answer, asked) = (Rc::new(Cell::new(ILL)), Rc::new(Cell::new(0)));
        let (says, count) = (Rc::clone(&answer), Rc::clone(&asked));
        let backend = Backend::start(move |mut peer, _| {
            let (says, count) = (Rc::clone(&says), Rc::clone(&count));
            async move {
                while !peer.head().await.is_empty() {
                    count.set(count.get() + 1);
                    until(|| !says.get().is_empty()).await;
                    peer.send(says.get()).await;
                }
            }
        })
        .await;
        Self { backend, answer, asked }
    }

    async fn behind(&self, words: &str) -> Gateway {
        let text = format!("upstream u {{\n to {}\n {words}\n}}\na.test {{\n proxy u\n}}", self.backend.addr);
        Gateway::start(&text, Speaks::H1).await
    }
}

/// Lets time pass at once.
async fn pass(span: Duration) {
    tokio::time::pause();
    tokio::time::advance(span).await;
    tokio::time::resume();
}

#[test]
fn an_open_circuit_spares_the_backend_every_byte_and_one_request_closes_it() {
    run(async {
        let moody = Moody::start().await;
        let gateway = moody.behind("circuit-breaker 50% of 4 within 1min out 10s").await;
        for request in [GET, UPGRADE, GET, UPGRADE] {
            let answer = gateway.ask(request).await;
            assert!(answer.starts_with("HTTP/1.1 503 ") && !answer.contains("retry-after"), "its own answer: {answer}");
        }
        let (asked, connections) = (moody.asked.get(), moody.backend.connections.get());
        assert_eq!((asked, gateway.metrics.proxy.circuits_opened.read()), (4, 1));
        moody.answer.set("");
        for request in [GET, UPGRADE] {
            let answer = gateway.ask(request).await;
            assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nretry-after: "), "{answer}");
        }
        assert_eq!((moody.asked.get(), moody.backend.connections.get()), (asked, connections), "not a byte, not a connection");
        assert_eq!(gateway.metrics.proxy.circuit_refused.read(), 2);

        pass(Duration::from_secs(11)).await;
        let mut first = gateway.client().await;
        first.send(UPGRADE).await;
        until(|| moody.asked.get() == asked + 1).await;
        let second = gateway.ask(GET).await;
        assert!(second.contains("\r\nretry-after: 1\r\n"), "one decides, the others wait for it: {second}");
        moody.answer.set(WELL);
        assert!(first.answer().await.starts_with("HTTP/1.1 404 "));
        for request in [GET, UPGRADE] {
            assert!(gateway.ask(request).await.starts_with("HTTP/1.1 404 "));
        }
        assert_eq!(moody.asked.get(), asked + 3);
        let failed: Vec<_> =
            gateway.metrics.proxy.upgrades_failed.read().filter(|(reason, _)| *reason == "circuit-open").collect();
        assert_eq!(failed, [("circuit-open", 1)]);
        let records = gateway.records().await;
        assert_eq!(records.iter().filter(|record| record["reason"] == "circuit-open").count(), 3);
    });
}

#[test]
fn a_client_that_leaves_does_not_decide() {
    run(async {
        let moody = Moody::start().await;
        let gateway = moody.behind("circuit-breaker 50% of 2 out 10s").await;
        for _ in 0..2 {
            gateway.ask(GET).await;
        }
        moody.answer.set("");
        pass(Duration::from_secs(11)).await;
        let mut client = gateway.client().await;
        client.send(GET).await;
        until(|| moody.asked.get() == 3).await;
        drop(client);
        until(|| gateway.metrics.proxy.in_flight.read() == 0).await;
        moody.answer.set(WELL);
        assert!(gateway.ask(GET).await.starts_with("HTTP/1.1 404 "), "the next one may, at once");
    });
}

#[test]
fn requests_that_may_wait_do_so_until_the_circuit_closes() {
    run(async {
        let moody = Moody::start().await;
        let gateway = moody.behind("circuit-breaker 50% of 2 out 500ms\n hold 15s").await;
        for _ in 0..2 {
            gateway.ask(GET).await;
        }
        moody.answer.set(WELL);
        let mut clients = Vec::new();
        for _ in 0..5 {
            let mut client = gateway.client().await;
            client.send(GET).await;
            clients.push(client);
        }
        for mut client in clients {
            assert!(client.answer().await.starts_with("HTTP/1.1 404 "));
        }
        assert_eq!((moody.asked.get(), gateway.metrics.proxy.circuit_refused.read()), (7, 0));
    });
}
