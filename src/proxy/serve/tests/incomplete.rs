//! A message that breaks off is never passed on as a whole one, however its stream was reset (RFC 9113 sections 8.1, 8.1.1).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Request, Response};

use super::harness::*;

/// What became of each upload, as its backend saw it.
type Ends = Rc<RefCell<Vec<String>>>;
/// How many uploads have begun to reach their backend.
type Begun = Rc<Cell<u32>>;

/// A backend of HTTP/1.1 that keeps what it was sent, framing included, until the connection ended.
async fn keeping(ends: &Ends, begun: &Begun) -> Backend {
    let (ends, begun) = (Rc::clone(ends), Rc::clone(begun));
    Backend::start(move |mut peer, _| {
        let (ends, begun) = (Rc::clone(&ends), Rc::clone(&begun));
        async move {
            let start = peer.through("the first half").await;
            begun.set(begun.get() + 1);
            let (rest, _) = peer.rest().await;
            ends.borrow_mut().push(start + &rest);
        }
    })
    .await
}

/// Begins an upload with about so many bytes and resets its stream once it `has_begun`.
async fn half_an_upload(gateway: &Gateway, request: Request<()>, size: usize, reason: Reason, has_begun: impl Fn() -> bool) {
    let mut client = h2_client(gateway).await.ready().await.unwrap();
    let (answer, mut stream) = client.send_request(request, false).unwrap();
    stream.send_data(Bytes::from("the first half ".repeat(size / 15)), false).unwrap();
    until(has_begun).await;
    stream.send_reset(reason);
    drop(answer.await);
}

fn post(fields: &[(&str, &str)]) -> Request<()> {
    fields.iter().fold(Request::post("https://a.test/"), |request, (name, value)| request.header(*name, *value)).body(()).unwrap()
}

#[test]
fn an_upload_that_is_reset_is_broken_off_towards_the_backend() {
    run(async {
        for words in ["", "limit body 1MiB", "buffer-requests 1KiB", "request-headers {\n set X-A b\n }"] {
            for reason in [Reason::NO_ERROR, Reason::CANCEL] {
                for fields in
                    [&[][..], &[("content-length", "6000")], &[("content-type", "application/grpc"), ("te", "trailers")]]
                {
                    let (ends, begun) = (Ends::default(), Begun::default());
                    let backend = keeping(&ends, &begun).await;
                    let gateway = Gateway::start(&format!("a.test {{\n {words}\n proxy {}\n}}", backend.addr), Speaks::H2).await;
                    half_an_upload(&gateway, post(fields), 3_000, reason, || begun.get() > 0).await;
                    until(|| !ends.borrow().is_empty()).await;
                    let seen = ends.borrow()[0].clone();
                    assert!(seen.contains("the first half") && !seen.contains("\r\n0\r\n"), "{words} {reason:?}: {seen}");
                    let record = &gateway.records().await[0];
                    assert_eq!((record["reason"].as_str(), record["status"].as_u64()), (Some("client-left"), Some(499)));
                }
            }
        }
    });
}

#[test]
fn a_buffered_upload_that_is_reset_never_reaches_the_backend() {
    run(async {
        let backend = keeping(&Ends::default(), &Begun::default()).await;
        let text = format!("a.test {{\n buffer-requests 1KiB\n proxy {}\n}}", backend.addr);
        let gateway = Gateway::start(&text, Speaks::H2).await;
        half_an_upload(&gateway, post(&[]), 500, Reason::NO_ERROR, || gateway.metrics.proxy.in_flight.read() > 0).await;
        assert_eq!(gateway.records().await[0]["reason"], "client-left");
        assert_eq!(backend.connections.get(), 0);
    });
}

#[test]
fn an_upload_that_is_reset_resets_the_stream_to_the_backend() {
    run(async {
        let (ends, begun) = (Rc::new(RefCell::new(Vec::new())), Begun::default());
        let (note, came) = (Rc::clone(&ends), Rc::clone(&begun));
        let backend = h2c_backend(move |request, respond| {
            let (note, came) = (Rc::clone(&note), Rc::clone(&came));
            async move {
                let mut body = request.into_body();
                let end = loop {
                    match body.data().await {
                        Some(Ok(data)) => {
                            came.set(came.get() + 1);
                            body.flow_control().release_capacity(data.len()).ok()?;
                        }
                        Some(Err(error)) => break error.reason(),
                        None => break None,
                    }
                };
                note.borrow_mut().push(end);
                drop(respond);
                Some(())
            }
        })
        .await;
        for reason in [Reason::NO_ERROR, Reason::CANCEL] {
            let gateway = Gateway::start(&format!("a.test {{\n proxy h2c://{}\n}}", backend.addr), Speaks::H2).await;
            begun.set(0);
            half_an_upload(&gateway, post(&[]), 3_000, reason, || begun.get() > 0).await;
            until(|| !ends.borrow().is_empty()).await;
            assert_eq!(ends.borrow_mut().remove(0), Some(Reason::CANCEL));
        }
    });
}

/// Many programs cannot hold such a length; the second is none for h2 either.
#[test]
fn a_length_over_63_bits_is_no_answer_over_http_2() {
    run(async {
        for length in ["9223372036854775808", "18446744073709551616"] {
            let backend = h2c_backend(move |_, mut respond| async move {
                let response = Response::builder().header("content-length", length).body(()).unwrap();
                let mut stream = respond.send_response(response, false).ok()?;
                stream.send_data(Bytes::from_static(b"part"), false).ok()?;
                std::future::pending().await
            })
            .await;
            let gateway = Gateway::start(&format!("a.test {{\n proxy h2c://{}\n}}", backend.addr), Speaks::H1).await;
            let answer = gateway.ask("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 502 "), "{length}: {answer}");
        }
    });
}

/// A backend of HTTP/2 that resets its stream with this reason in the middle of its answer.
async fn half_an_answer(reason: Reason) -> Backend {
    h2c_backend(move |_, mut respond| async move {
        let response = Response::builder().header("content-type", "text/csv").body(()).unwrap();
        let mut stream = respond.send_response(response, false).ok()?;
        stream.send_data(Bytes::from_static(b"line 1\nli"), false).ok()?;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        stream.send_reset(reason);
        Some(())
    })
    .await
}

#[test]
fn an_answer_that_is_reset_is_broken_off_towards_the_client() {
    run(async {
        for reason in [Reason::NO_ERROR, Reason::CANCEL, Reason::REFUSED_STREAM] {
            let backend = half_an_answer(reason).await;
            for words in ["", "compress"] {
                let text = format!("a.test {{\n {words}\n proxy h2c://{}\n}}", backend.addr);
                let gateway = Gateway::start(&text, Speaks::H1).await;
                let mut client = gateway.client().await;
                client.send("GET / HTTP/1.1\r\nhost: a.test\r\naccept-encoding: gzip\r\n\r\n").await;
                client.head().await;
                let mut rest = client.unread();
                drop(tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut rest).await);
                assert!(!rest.ends_with(b"\r\n0\r\n\r\n"), "{reason:?} {words}: {}", rest.escape_ascii());
                assert_eq!(gateway.records().await[0]["reason"], "backend-broke-off");

                let gateway = Gateway::start(&text, Speaks::H2).await;
                let mut client = h2_client(&gateway).await.ready().await.unwrap();
                let request = Request::get("https://a.test/").header("accept-encoding", "gzip").body(()).unwrap();
                let mut body = client.send_request(request, true).unwrap().0.await.unwrap().into_body();
                let end = loop {
                    match body.data().await {
                        Some(Ok(_)) => (),
                        Some(Err(error)) => break error.reason(),
                        None => break None,
                    }
                };
                assert_eq!(end, Some(Reason::INTERNAL_ERROR), "{reason:?} {words}");
                assert_eq!(gateway.records().await[0]["reason"], "backend-broke-off");
            }
        }
    });
}

#[test]
fn a_whole_answer_before_the_end_of_an_upload_is_whole() {
    run(async {
        let backend = h2c_backend(|request, mut respond| async move {
            let mut stream = respond.send_response(Response::new(()), false).ok()?;
            stream.send_data(Bytes::from_static(b"enough"), false).ok()?;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            stream.send_trailers(trailers).ok()?;
            // h2 sends RST_STREAM(NO_ERROR) behind it, for the rest of the request is dropped.
            drop(request);
            Some(())
        })
        .await;
        let gateway = Gateway::start(&format!("a.test {{\n proxy h2c://{}\n}}", backend.addr), Speaks::H2).await;
        let mut client = h2_client(&gateway).await.ready().await.unwrap();
        let (answer, mut upload) = client.send_request(post(&[]), false).unwrap();
        upload.send_data(Bytes::from_static(b"a"), false).unwrap();
        let mut body = answer.await.unwrap().into_body();
        let mut all = Vec::new();
        while let Some(data) = body.data().await {
            all.extend_from_slice(&data.unwrap());
        }
        assert_eq!(all, b"enough");
        assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    });
}
