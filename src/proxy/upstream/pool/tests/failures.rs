use std::error::Error;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::base::error_chain::ErrorChain;
use crate::proxy::upstream::testing::read_head;

/// The code of the failure to send to a backend that sends `bytes` and closes, and the words.
async fn failure_of(bytes: &'static str) -> (&'static str, String) {
    let backend = Backend::start(move |mut stream, _notes| async move {
        read_head(&mut stream).await?;
        stream.write_all(bytes.as_bytes()).await
    })
    .await;
    let failure = send(&Pool::new(), &lease_on(backend.addr, |_| ()), "/").await.unwrap_err();
    (failure.error.code(), ErrorChain(&failure.error).to_string())
}

#[test]
fn a_backend_that_breaks_off_or_talks_nonsense_is_told_from_one_that_never_spoke() {
    run(async {
        assert_eq!(failure_of("").await.0, "backend-closed");
        assert_eq!(failure_of("HTTP/1.1 200 OK\r\ncontent-le").await.0, "backend-cut-off");
        assert_eq!(failure_of("HTTP/1.1 100 Continue\r\n\r\n").await.0, "backend-cut-off");
        let (code, words) = failure_of("SSH-2.0-OpenSSH_9.2\r\n").await;
        assert_eq!(code, "backend-malformed");
        assert!(words.starts_with("the backend's answer is not proper HTTP: "), "{words}");
        assert_eq!(failure_of("HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\n").await.0, "backend-malformed");
        let huge = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
        assert_eq!(failure_of(Box::leak(huge.into_boxed_str())).await.0, "backend-header-too-large");
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1_100));
        let (code, words) = failure_of(Box::leak(many.into_boxed_str())).await;
        assert_eq!(code, "backend-header-too-large");
        assert!(words.ends_with("its header has more than 1024 fields, the most that are taken from a backend"), "{words}");
    });
}

#[test]
fn a_body_that_breaks_off_never_ends_cleanly() {
    run(async {
        for (answer, died) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhel", true),
            ("HTTP/1.1 200 OK\r\n\r\nhello", false),
        ] {
            let backend = Backend::start(move |mut stream, _notes| async move {
                read_head(&mut stream).await?;
                stream.write_all(answer.as_bytes()).await
            })
            .await;
            let pool = Pool::new();
            let answered = send(&pool, &lease_on(backend.addr, |_| ()), "/").await.unwrap();
            assert_eq!(answered.response.into_body().collect().await.is_err(), died, "{answer}");
            assert_eq!(pool.resting(), 0);
        }
    });
}

#[test]
fn a_copy_comes_back_only_when_a_rested_connection_closed_without_a_word() {
    const fn again(_request: &Request<TestBody>) -> bool {
        true
    }
    run(async {
        for (last_words, comes_back) in [("", true), ("HTTP/1.1 2", false)] {
            let backend = Backend::start(move |mut stream, _notes| async move {
                read_head(&mut stream).await?;
                stream.write_all(HELLO.as_bytes()).await?;
                read_head(&mut stream).await?;
                stream.write_all(last_words.as_bytes()).await
            })
            .await;
            let (pool, lease) = (Pool::new(), lease_on(backend.addr, |_| ()));
            text_of(send(&pool, &lease, "/1").await.unwrap()).await;
            let mut slot = Some(get("/2"));
            let failure = pool.send(&lease, &mut slot, again).await.unwrap_err();
            assert!(failure.reused);
            assert_eq!(failure.error.nothing_was_answered(), comes_back);
            let seen = slot.map(|request| (request.uri().path().to_owned(), request.headers()["host"].clone()));
            assert_eq!(seen, comes_back.then(|| ("/2".to_owned(), "test.example".parse().unwrap())));
        }
    });
}

#[test]
fn a_request_that_reached_nobody_comes_back_whole() {
    run(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let (_pieces, body) = TestBody::channel();
        let request = Request::post("/upload").body(body).unwrap();
        let mut slot = Some(request);
        let failure = Pool::new().send(&lease_on(addr, |_| ()), &mut slot, once).await.unwrap_err();
        assert_eq!((failure.error.code(), failure.reused), ("connect-refused", false));
        assert_eq!(failure.error.to_string(), format!("{addr} refused the connection"));
        assert_eq!(slot.unwrap().uri().path(), "/upload");
    });
}

#[test]
fn the_wait_for_the_first_byte_is_limited_but_not_the_clients_own_slowness() {
    run(async {
        let backend = Backend::start(|mut stream, notes| async move {
            read_head(&mut stream).await?;
            notes.add("header");
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await?;
            Ok(())
        })
        .await;
        let limit = Duration::from_millis(60);
        let (pool, lease) = (Pool::new(), lease_on(backend.addr, |settings| settings.timeouts.first_byte = Some(limit)));
        let failure = send(&pool, &lease, "/").await.unwrap_err();
        assert_eq!(failure.error.code(), "backend-timeout");
        assert_eq!(failure.error.to_string(), "the backend did not begin to answer within 60ms");

        let (pieces, body) = TestBody::channel();
        let request = Request::post("/").header("content-length", "10").body(body).unwrap();
        let begun = Instant::now();
        let slow_client = async {
            pieces.send(Ok(bytes::Bytes::from_static(b"hello"))).await.unwrap();
            tokio::time::sleep(limit * 3).await;
            pieces.send(Ok(bytes::Bytes::from_static(b"world"))).await.unwrap();
            drop(pieces);
        };
        let (failure, ()) = tokio::join!(send_whole(&pool, &lease, request), slow_client);
        assert_eq!(failure.unwrap_err().error.code(), "backend-timeout");
        assert!(begun.elapsed() >= limit * 4, "{:?}", begun.elapsed());
    });
}

#[test]
fn a_client_that_breaks_off_its_body_is_to_blame_and_the_backend_is_told() {
    run(async {
        let backend = Backend::start(|mut stream, notes| async move {
            read_head(&mut stream).await?;
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await?;
            notes.add(format!("ended after {}", rest.len()));
            Ok(())
        })
        .await;
        let (pieces, body) = TestBody::channel();
        let request = Request::post("/").header("content-length", "10").body(body).unwrap();
        let client = async {
            pieces.send(Ok(bytes::Bytes::from_static(b"hello"))).await.unwrap();
            pieces.send(Err(std::io::Error::other("the client went away"))).await.unwrap();
        };
        let pool = Pool::new();
        let lease = lease_on(backend.addr, |_| ());
        let (failure, ()) = tokio::join!(send_whole(&pool, &lease, request), client);
        let error = failure.unwrap_err().error;
        assert_eq!(error.code(), "client-body");
        assert!(ErrorChain(error.source().unwrap()).to_string().contains("the client went away"));
        until(|| backend.notes.all() == ["ended after 5"]).await;
    });
}

#[test]
fn a_client_that_leaves_ends_the_backends_work() {
    run(async {
        let backend = Backend::start(|mut stream, notes| async move {
            let head = read_head(&mut stream).await?;
            if head.starts_with("GET /body") {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await?;
            } else {
                notes.add("asked");
            }
            let ended = !matches!(stream.read_u8().await, Ok(_byte));
            notes.add(if ended { "told" } else { "spoken to" });
            Ok(())
        })
        .await;
        let (pool, lease) = (Pool::new(), lease_on(backend.addr, |_| ()));
        tokio::select! {
            _ = send(&pool, &lease, "/no-answer") => panic!("nobody answered"),
            () = until(|| backend.notes.all() == ["asked"]) => (),
        }
        until(|| backend.notes.all() == ["asked", "told"]).await;
        drop(send(&pool, &lease, "/body").await.unwrap());
        until(|| backend.notes.all() == ["asked", "told", "told"]).await;
        assert_eq!(pool.resting(), 0);
    });
}
