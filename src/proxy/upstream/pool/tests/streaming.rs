use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::proxy::body::expect_continue::ContinueSender;
use crate::proxy::upstream::testing::read_head;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 31 + i / 251) % 256).unwrap()).collect()
}

#[test]
fn bodies_pass_untouched_both_ways_at_once_in_pieces_of_any_size() {
    run(async {
        for (length, piece) in [(1_500, 1), (5 << 20, 1 << 20), (200_000, 1_460)] {
            let backend = Backend::start(move |mut stream, _notes| async move {
                read_head(&mut stream).await?;
                stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes()).await?;
                let mut left = length;
                let mut buffer = vec![0; piece];
                while left > 0 {
                    let read = stream.read(&mut buffer).await?;
                    stream.write_all(&buffer[..read]).await?;
                    left -= read;
                }
                read_head(&mut stream).await.map(drop)
            })
            .await;
            let (pool, lease) = (Pool::new(), lease_on(backend.addr, |_| ()));
            let (pieces, body) = TestBody::channel();
            let request = Request::post("/echo").header("content-length", length).body(body).unwrap();
            let sent = pattern(length);
            let client = async {
                for chunk in sent.chunks(piece) {
                    pieces.send(Ok(Bytes::copy_from_slice(chunk))).await.unwrap();
                }
                drop(pieces);
            };
            let exchange = async {
                let answered = send_whole(&pool, &lease, request).await.unwrap();
                answered.response.into_body().collect().await.unwrap().to_bytes()
            };
            let (got, ()) = tokio::join!(exchange, client);
            assert!(got == sent, "{length} bytes in pieces of {piece}");
            assert_eq!(pool.resting(), 1);
        }
    });
}

#[test]
fn an_answer_that_comes_before_the_request_is_read_is_passed_on() {
    run(async {
        let backend = Backend::start(|mut stream, notes| async move {
            let head = read_head(&mut stream).await?;
            let connection = if head.starts_with("POST /closes") { "close" } else { "keep-alive" };
            let refusal = format!("HTTP/1.1 413 Too Large\r\nconnection: {connection}\r\ncontent-length: 9\r\n\r\n");
            stream.write_all(refusal.as_bytes()).await?;
            stream.write_all(b"too large").await?;
            if connection == "keep-alive" {
                let mut drain = Vec::new();
                let _reset_or_end = stream.read_to_end(&mut drain).await;
                notes.add("closed by the gateway");
            }
            Ok(())
        })
        .await;
        for path in ["/closes", "/stays"] {
            let (pool, lease) = (Pool::new(), lease_on(backend.addr, |_| ()));
            let (pieces, body) = TestBody::channel();
            let request = Request::post(path).header("content-length", 1_u64 << 40).body(body).unwrap();
            let endless_client = async { while pieces.send(Ok(Bytes::from(vec![7; 100_000]))).await.is_ok() {} };
            let exchange = async {
                let answered = send_whole(&pool, &lease, request).await.unwrap();
                assert_eq!(answered.response.status(), 413);
                text_of(answered).await
            };
            let (text, ()) = tokio::join!(exchange, endless_client);
            assert_eq!((text.as_str(), pool.resting()), ("too large", 0), "{path}");
        }
        until(|| backend.notes.all() == ["closed by the gateway"]).await;
    });
}

#[test]
fn a_client_that_does_not_read_slows_the_backend_down() {
    run(async {
        let backend = Backend::start(|mut stream, notes| async move {
            read_head(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            for piece in 0_u32.. {
                stream.write_all(&[7; 64 * 1024]).await?;
                notes.add(piece.to_string());
            }
            Ok(())
        })
        .await;
        let (pool, lease) = (Pool::new(), lease_on(backend.addr, |_| ()));
        let mut body = send(&pool, &lease, "/").await.unwrap().response.into_body();
        body.frame().await.unwrap().unwrap();
        let mut before = usize::MAX;
        until(|| std::mem::replace(&mut before, backend.notes.all().len()) == backend.notes.all().len()).await;
        let stuck_at = backend.notes.all().len();
        assert!(stuck_at < 200, "{stuck_at} pieces are in the kernel's buffers and ours");
        for _ in 0..10_000 {
            body.frame().await.unwrap().unwrap();
            if backend.notes.all().len() > stuck_at {
                return;
            }
        }
        panic!("it goes on when the client reads");
    });
}

#[test]
fn the_first_event_of_a_stream_does_not_wait_for_the_second() {
    run(async {
        let backend = Backend::start(|mut stream, _notes| async move {
            read_head(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await?;
            stream.read_u8().await.map(drop)
        })
        .await;
        let mut body = send(&Pool::new(), &lease_on(backend.addr, |_| ()), "/").await.unwrap().response.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
    });
}

#[test]
fn trailers_pass() {
    run(async {
        let backend = Backend::answering(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n",
        )
        .await;
        let answered = send(&Pool::new(), &lease_on(backend.addr, |_| ()), "/").await.unwrap();
        let collected = answered.response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["x-sum"], "42");
        assert_eq!(collected.to_bytes(), "hello");
    });
}

#[test]
fn answers_that_only_announce_one_are_passed_over_and_bounded() {
    run(async {
        let lease = |backend: &Backend| lease_on(backend.addr, |_| ());
        let announced = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n";
        let backend = Backend::answering(Box::leak(format!("{announced}{HELLO}").into_boxed_str())).await;
        let mut request = get("/");
        let door = ContinueSender::default();
        request.extensions_mut().insert(door.clone());
        let answered = send_whole(&Pool::new(), &lease(&backend), request).await.unwrap();
        assert_eq!((answered.response.status().as_u16(), door.is_open()), (200, true));
        assert_eq!(text_of(answered).await, "hello");
        let backend = Backend::answering(Box::leak(announced.repeat(17).into_boxed_str())).await;
        let failure = send(&Pool::new(), &lease(&backend), "/").await.unwrap_err();
        assert_eq!(failure.error.code(), "backend-malformed");
    });
}

#[test]
fn an_upgraded_connection_is_handed_over_with_what_came_behind_the_answer() {
    run(async {
        let backend = Backend::start(|mut stream, _notes| async move {
            read_head(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\nwelcome").await?;
            let mut four = [0; 4];
            stream.read_exact(&mut four).await?;
            stream.write_all(&four).await
        })
        .await;
        let mut request = get("/ws");
        request.headers_mut().insert("connection", "upgrade".parse().unwrap());
        request.headers_mut().insert("upgrade", "echo".parse().unwrap());
        let pool = Pool::new();
        let answered = send_whole(&pool, &lease_on(backend.addr, |_| ()), request).await.unwrap();
        let mut upgrade = answered.into_upgrade().unwrap();
        assert_eq!(upgrade.head.headers["upgrade"], "echo");
        let mut welcome = upgrade.leftover.to_vec();
        while welcome.len() < 7 {
            welcome.push(upgrade.stream.read_u8().await.unwrap());
        }
        assert_eq!(welcome, b"welcome");
        upgrade.stream.write_all(b"ping").await.unwrap();
        let mut echo = [0; 4];
        upgrade.stream.read_exact(&mut echo).await.unwrap();
        assert_eq!((&echo, pool.resting()), (b"ping", 0));
        let refused = Backend::answering(HELLO).await;
        let answered = send(&pool, &lease_on(refused.addr, |_| ()), "/ws").await.unwrap();
        assert_eq!(text_of(*answered.into_upgrade().unwrap_err()).await, "hello");
    });
}
