//! What goes wrong on either side, and what the other side and the log see of it.

use super::harness::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nAccept: text/html\r\n\r\n";

async fn check(backend: &Backend, more: &str, status: &str, reason: &str) {
    let name = format!("upstream u {{\n to {}\n {more}\n}}\na.test {{\n proxy u\n}}", backend.addr);
    let gateway = Gateway::start(&name, Speaks::H1).await;
    let answer = gateway.ask(GET).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("<h1>") && !answer.contains("127.0.0.1"), "{answer}");
    let record = &gateway.records().await[0];
    assert_eq!(record["reason"], reason);
    assert_eq!(record["upstream"], backend.addr.to_string());
    assert_eq!(record["by"], "gateway");
}

#[test]
fn each_failure_of_a_backend_has_its_status_and_its_reason() {
    run(async {
        let gone = Backend { addr: unused(), connections: Default::default() };
        check(&gone, "", "502", "connect-refused").await;
        let closing = Backend::start(|mut peer, _| async move { drop(peer.head().await) }).await;
        check(&closing, "", "502", "backend-reset").await;
        let babbling = Backend::says("SSH-2.0-OpenSSH\r\n\r\n").await;
        check(&babbling, "", "502", "backend-bad-answer").await;
        let silent = Backend::start(|mut peer, _| async move { drop(peer.rest().await) }).await;
        check(&silent, "timeout first-byte 50ms", "504", "backend-timeout").await;
        let switching = Backend::says("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n").await;
        check(&switching, "", "502", "backend-wrong-upgrade").await;
    });
}

#[test]
fn an_answer_may_have_a_thousand_fields() {
    run(async {
        for (count, status) in [(300, 200), (1_022, 200), (1_100, 502)] {
            let fields: String = (0..count).map(|number| format!("x-{number}: {number}\r\n")).collect();
            let answer = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\n\r\nok");
            let backend = Backend::start(move |mut peer, _| {
                let answer = answer.clone();
                async move {
                    peer.head().await;
                    peer.send(&answer).await;
                    peer.rest().await;
                }
            })
            .await;
            let gateway = Gateway::before(&backend).await;
            let answer = gateway.ask(GET).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{count}: {answer}");
            let last = format!("\r\nx-{}: {}\r\n", count - 1, count - 1);
            assert_eq!(answer.contains(&last), status == 200, "{count}: {answer}");
            let record = &gateway.records().await[0];
            assert_eq!(record["upstream"], backend.addr.to_string());
            assert_eq!(record["reason"] == "backend-bad-answer", status == 502, "{count}: {record}");
        }
    });
}

/// A port where nobody listens.
fn unused() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_backend_that_breaks_off_never_looks_like_a_clean_end() {
    run(async {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        ] {
            let backend = Backend::start(move |mut peer, _| async move {
                peer.head().await;
                peer.send(answer).await;
            })
            .await;
            let gateway = Gateway::before(&backend).await;
            let mut client = gateway.client().await;
            client.send(GET).await;
            let (all, _) = client.rest().await;
            assert!(all.contains("half") && !all.ends_with("0\r\n\r\n"), "{all}");
            let record = &gateway.records().await[0];
            assert_eq!((&record["status"], &record["reason"]), (&200.into(), &"backend-broke-off".into()));
        }
    });
}

#[test]
fn a_backend_that_stops_in_its_answer_is_given_up_where_its_group_says_so() {
    run(async {
        let backend = Backend::start(|mut peer, _| async move {
            peer.head().await;
            peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
            let (_, _) = peer.rest().await;
        })
        .await;
        let text = format!("upstream u {{\n to {}\n timeout idle 50ms\n}}\na.test {{\n proxy u\n}}", backend.addr);
        let gateway = Gateway::start(&text, Speaks::H1).await;
        let mut client = gateway.client().await;
        client.send(GET).await;
        let (all, _) = client.rest().await;
        assert!(all.ends_with("\r\n\r\nhalf"), "{all}");
        let record = &gateway.records().await[0];
        assert_eq!((&record["status"], &record["reason"]), (&200.into(), &"backend-stalled".into()));
    });
}

#[test]
fn a_client_that_leaves_cancels_the_backends_request() {
    run(async {
        let (tell, prebuilt) = tokio::sync::oneshot::channel();
        let tell = std::cell::Cell::new(Some(tell));
        let backend = Backend::start(move |mut peer, _| {
            let tell = tell.take();
            async move {
                peer.head().await;
                let (_, _) = peer.rest().await;
                tell.unwrap().send(()).unwrap();
            }
        })
        .await;
        let gateway = Gateway::before(&backend).await;
        let mut client = gateway.client().await;
        client.send(GET).await;
        until(|| backend.connections.get() == 1).await;
        drop(client);
        prebuilt.await.unwrap();
        let record = &gateway.records().await[0];
        assert_eq!((&record["status"], &record["reason"]), (&499.into(), &"client-left".into()));
    });
}

#[test]
fn a_connection_that_was_closed_at_rest_is_replaced_without_a_word() {
    run(async {
        let backend = Backend::start(|mut peer, _| async move {
            peer.head().await;
            peer.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            // The next request arrives and the connection closes without an answer.
            peer.head().await;
        })
        .await;
        let gateway = Gateway::before(&backend).await;
        let mut client = gateway.client().await;
        for method in ["GET", "GET", "DELETE"] {
            client.send(&format!("{method} / HTTP/1.1\r\nHost: a.test\r\n\r\n")).await;
            let answer = client.answer().await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        assert_eq!(backend.connections.get(), 3);
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx").await;
        let answer = client.answer().await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "a POST may have been acted on: {answer}");
    });
}

#[test]
fn when_too_many_requests_were_tried_again_the_failure_is_answered() {
    run(async {
        let backend = Backend::mirror().await;
        let text = format!(
            "upstream u {{\n to {} {}\n max-fails off\n retry 1 budget 10%\n}}\na.test {{\n proxy u\n}}",
            unused(),
            backend.addr
        );
        let gateway = Gateway::start(&text, Speaks::H1).await;
        let refused = || gateway.metrics.proxy.retries_refused.read();
        let mut client = gateway.client().await;
        // Each begins with the dead target in its turn, and a hundred may be tried again whatever their share is.
        let mut answered = 0;
        let failure = loop {
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
            let answer = client.answer().await;
            if !answer.starts_with("HTTP/1.1 200 ") {
                break answer;
            }
            assert_eq!(refused(), 0);
            answered += 1;
        };
        assert!(failure.starts_with("HTTP/1.1 502 ") && answered >= 100, "{failure} after {answered}");
        assert_eq!(refused(), 1);
    });
}

#[test]
fn another_target_is_tried_when_one_cannot_be_reached() {
    run(async {
        let backend = Backend::mirror().await;
        let text = format!("upstream u {{\n to {} {}\n retry 1\n}}\na.test {{\n proxy u\n}}", unused(), backend.addr);
        let gateway = Gateway::start(&text, Speaks::H1).await;
        for _ in 0..2 {
            assert!(
                gateway.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx").await.starts_with("HTTP/1.1 200 ")
            );
        }
    });
}
