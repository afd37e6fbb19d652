//! Bodies flow at once, within their limits, with what comes before and behind them.

use super::harness::*;

#[test]
fn the_first_event_of_a_stream_comes_before_the_second_is_written() {
    run(async {
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let gone = std::cell::Cell::new(Some(gone));
        let backend = Backend::start(move |mut peer, _| {
            let gone = gone.take();
            async move {
                peer.head().await;
                peer.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n").await;
                gone.unwrap().await.unwrap();
                peer.send("data: 2\n\n").await;
            }
        })
        .await;
        let gateway = Gateway::before(&backend).await;
        let mut client = gateway.client().await;
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
        client.through("data: 1\n\n").await;
        go.send(()).unwrap();
        client.through("data: 2\n\n").await;
        assert_eq!(client.through("0\r\n\r\n").await, "\r\n0\r\n\r\n");
        assert_eq!(gateway.records().await[0]["bytes_out"], 18);
    });
}

#[test]
fn an_upload_reaches_the_backend_while_it_is_being_sent() {
    run(async {
        let backend = Backend::start(|mut peer, _| async move {
            peer.through("first").await;
            peer.send("HTTP/1.1 200 OK\r\n\r\ngot it, ").await;
            peer.through("second").await;
            peer.send("and that").await;
        })
        .await;
        let gateway = Gateway::before(&backend).await;
        let mut client = gateway.client().await;
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
        client.through("got it, ").await;
        client.send("6\r\nsecond\r\n0\r\n\r\n").await;
        client.through("and that").await;
    });
}

#[test]
fn a_body_over_its_limit_is_refused_announced_or_not() {
    run(async {
        let backend = Backend::mirror_all().await;
        let text = format!("a.test {{\n limit body 4B\n proxy {}\n}}", backend.addr);
        let gateway = Gateway::start(&text, Speaks::H1).await;
        for (framed, status) in [
            ("Content-Length: 4\r\n\r\nabcd", "200"),
            ("Content-Length: 5\r\n\r\nabcde", "413"),
            ("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", "200"),
            ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", "413"),
        ] {
            let answer = gateway.ask(&format!("POST / HTTP/1.1\r\nHost: a.test\r\n{framed}")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{framed:?} was answered {answer}");
        }
    });
}

#[test]
fn a_body_is_taken_in_before_the_backend_is_asked_where_the_site_says_so() {
    run(async {
        let backend = Backend::mirror_all().await;
        let text =
            format!("timeouts body 300ms\na.test {{\n limit body 4KiB\n buffer-requests 1KiB\n proxy {}\n}}", backend.addr);
        let gateway = Gateway::start(&text, Speaks::H1).await;
        let mut slow = gateway.client().await;
        slow.send("POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n").await;
        assert!(slow.head().await.starts_with("HTTP/1.1 100 "), "the gateway asks for it by itself");
        slow.send("half").await;
        // Others are served meanwhile, over the only connection there is.
        assert!(gateway.ask("GET /other HTTP/1.1\r\nHost: a.test\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
        assert_eq!(backend.connections.get(), 1);
        slow.send(" done").await;
        let answer = slow.answer().await;
        assert!(answer.contains("content-length: 9\r\n") && answer.ends_with("half done"), "{answer}");
        assert!(!answer.contains("expect:"), "{answer}");

        // What fails while it is taken in has the same status as otherwise, and no backend hears of it.
        let long = "x".repeat(1_000);
        for (framed, status) in [
            ("Content-Length: 9\r\n\r\nhalf".to_owned(), "408"),
            ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n".to_owned(), "400"),
            ("Content-Length: 5000\r\n\r\n".to_owned(), "413"),
            (format!("Transfer-Encoding: chunked\r\n\r\n3e8\r\n{long}\r\n5\r\nabcde\r\n0\r\n\r\n"), "200"),
        ] {
            let answer = gateway.ask(&format!("POST / HTTP/1.1\r\nHost: a.test\r\n{framed}")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{framed:?} was answered {answer}");
        }
    });
}

#[test]
fn a_body_that_is_taken_in_whole_goes_on_with_its_length() {
    run(async {
        let backend = Backend::mirror_all().await;
        let text = format!("a.test {{\n buffer-requests 1KiB\n proxy {}\n}}", backend.addr);
        let gateway = Gateway::start(&text, Speaks::H1).await;
        let long = format!("401\r\n{}\r\n1\r\nj\r\n0\r\n\r\n", "x".repeat(0x401));
        for (body, length) in [
            ("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", Some("abcde")),
            ("0\r\n\r\n", Some("")),
            // Trailers need chunks, and so does what is longer than is taken in.
            ("3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n", None),
            (&long, None),
        ] {
            let request = format!("POST / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
            let seen = gateway.ask(&request).await;
            let (_, seen) = seen.split_once("\r\n\r\n").unwrap();
            let (head, after) = seen.split_once("\r\n\r\n").unwrap();
            let head = format!("{head}\r\n");
            let expected = length.map(|body| format!("\r\ncontent-length: {}\r\n", body.len()));
            assert_eq!(head.contains("transfer-encoding"), length.is_none(), "{body:?}: {head}");
            assert!(expected.is_none_or(|line| head.contains(&line)), "{body:?}: {head}");
            match length {
                Some(whole) => assert_eq!(after, whole),
                None if body.contains("x-sum") => assert!(after.ends_with("0\r\nx-sum: 1\r\n\r\n"), "{after}"),
                None => assert!(!head.contains("content-length") && after.ends_with("0\r\n\r\n"), "{head}{after}"),
            }
        }
    });
}

#[test]
fn what_is_longer_than_is_taken_in_goes_on_as_it_comes() {
    run(async {
        let backend = Backend::start(|mut peer, _| async move {
            peer.through("first").await;
            peer.send("HTTP/1.1 200 OK\r\n\r\ngot it, ").await;
            peer.through("second").await;
            peer.send("and that").await;
        })
        .await;
        let gateway = Gateway::start(&format!("a.test {{\n buffer-requests 1KiB\n proxy {}\n}}", backend.addr), Speaks::H1).await;
        let mut client = gateway.client().await;
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        client.send(&format!("400\r\n{}first\r\n", "x".repeat(1_019))).await;
        client.through("got it, ").await;
        client.send("6\r\nsecond\r\n0\r\n\r\n").await;
        client.through("and that").await;
    });
}

#[test]
fn a_broken_chunk_or_a_silent_upload_is_the_clients_fault() {
    run(async {
        let backend = Backend::mirror_all().await;
        let text = format!("timeouts {{\n body 50ms\n}}\na.test {{\n proxy {}\n}}", backend.addr);
        let gateway = Gateway::start(&text, Speaks::H1).await;
        for (framed, status) in [
            ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n", "400"),
            ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc", "408"),
            ("Content-Length: 5\r\n\r\nabc", "408"),
        ] {
            let answer = gateway.ask(&format!("POST / HTTP/1.1\r\nHost: a.test\r\n{framed}")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{framed:?} was answered {answer}");
        }
    });
}

#[test]
fn trailers_pass_both_ways() {
    run(async {
        let backend = Backend::start(|mut peer, _| async move {
            let head = peer.head().await;
            let body = peer.body(&head).await;
            assert!(body.ends_with("0\r\nx-sum: in\r\n\r\n"), "{body}");
            peer.send(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: out\r\n\r\n",
            )
            .await;
        })
        .await;
        let gateway = Gateway::before(&backend).await;
        let mut client = gateway.client().await;
        client
            .send(
                "POST / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n\
                 2\r\nhi\r\n0\r\nx-sum: in\r\n\r\n",
            )
            .await;
        client.through("0\r\nx-sum: out\r\n\r\n").await;
    });
}

const EXPECT: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";

#[test]
fn a_client_that_waits_for_continue_hears_the_backends() {
    run(async {
        let backend = Backend::start(|mut peer, _| async move {
            assert!(peer.head().await.contains("expect: 100-continue\r\n"));
            peer.send("HTTP/1.1 100 Continue\r\n\r\n").await;
            assert_eq!(peer.through("hi").await, "hi");
            peer.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        })
        .await;
        let gateway = Gateway::before(&backend).await;
        let mut client = gateway.client().await;
        client.send(EXPECT).await;
        assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("hi").await;
        assert!(client.answer().await.ends_with("\r\n\r\nok"));
    });
}

#[test]
fn a_backend_that_never_says_continue_gets_the_body_after_a_moment() {
    run(async {
        let backend = Backend::mirror_all().await;
        let gateway = Gateway::before(&backend).await;
        let mut client = gateway.client().await;
        client.send(EXPECT).await;
        assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("hi").await;
        assert!(client.answer().await.ends_with("\r\n\r\nhi"));
    });
}

#[test]
fn a_backend_that_refuses_spares_the_upload() {
    run(async {
        let backend = Backend::says("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await;
        let gateway = Gateway::before(&backend).await;
        let mut client = gateway.client().await;
        client.send(EXPECT).await;
        let answer = client.answer().await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.ends_with("no"), "{answer}");
    });
}
