use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::super::{Pool, SendError, SendFailure, UpstreamResponse};
use crate::base::error_chain::ErrorChain;
use crate::base::task;
use crate::config::settings::TargetScheme;
use crate::proxy::upstream::connect::ConnectError;
use crate::proxy::upstream::lease::Lease;
use crate::proxy::upstream::testing::{Backend, lease_on, run, until};

type AnyBody = UnsyncBoxBody<Bytes, io::Error>;

/// A backend that speaks HTTP/2 in the clear, and answers each request by one script.
async fn backend<F: Future<Output = Option<()>> + 'static>(
    settings: fn(&mut Builder) -> &mut Builder,
    script: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Clone + 'static,
) -> Backend {
    Backend::start(move |stream, _| {
        let script = script.clone();
        async move {
            let mut builder = Builder::new();
            settings(&mut builder);
            let mut connection = builder.handshake(stream).await.map_err(io::Error::other)?;
            while let Some(Ok((request, respond))) = connection.accept().await {
                if request.uri().path() == "/last" {
                    connection.graceful_shutdown();
                }
                drop(task::spawn_local("stream", script(request, respond)));
            }
            Ok(())
        }
    })
    .await
}

/// Answers everything with the request's own body and trailers, as they come.
async fn echo(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> Option<()> {
    let mut body = request.into_body();
    let mut back = respond.send_response(Response::new(()), false).ok()?;
    while let Some(Ok(data)) = body.data().await {
        let mut data: Bytes = data;
        while !data.is_empty() {
            back.reserve_capacity(data.len());
            let room = std::future::poll_fn(|cx| back.poll_capacity(cx)).await?.ok()?;
            let part = data.split_to(room.min(data.len()));
            body.flow_control().release_capacity(part.len()).ok()?;
            back.send_data(part, false).ok()?;
        }
    }
    match body.trailers().await.ok()? {
        Some(trailers) => back.send_trailers(trailers).ok(),
        None => back.send_data(Bytes::new(), true).ok(),
    }
}

fn lease(backend: &Backend) -> Lease {
    lease_on(backend.addr, |settings| settings.targets[0].scheme = TargetScheme::H2c)
}

fn get(path: &str) -> Request<AnyBody> {
    Request::get(path).header("host", "test.example").body(Empty::new().map_err(|never| match never {}).boxed_unsync()).unwrap()
}

fn post(body: AnyBody) -> Request<AnyBody> {
    Request::post("/").header("host", "test.example").body(body).unwrap()
}

/// A body that the test sends piece by piece.
fn channel() -> (mpsc::Sender<Frame<Bytes>>, AnyBody) {
    let (sender, frames) = mpsc::channel::<Frame<Bytes>>(1);
    let frames = futures_util::stream::unfold(frames, |mut frames| async move { Some((Ok(frames.recv().await?), frames)) });
    (sender, StreamBody::new(Box::pin(frames)).boxed_unsync())
}

type Sent = (Result<UpstreamResponse<AnyBody>, SendFailure>, Option<Request<AnyBody>>);

async fn send(pool: &Rc<Pool<AnyBody>>, lease: &Lease, request: Request<AnyBody>) -> Sent {
    let mut slot = Some(request);
    let sent = pool.send(lease, &mut slot, |_| false).await;
    (sent, slot)
}

async fn answer(pool: &Rc<Pool<AnyBody>>, lease: &Lease, request: Request<AnyBody>) -> UpstreamResponse<AnyBody> {
    send(pool, lease, request).await.0.unwrap_or_else(|failure| panic!("{}", ErrorChain(&failure.error)))
}

#[test]
fn requests_share_a_connection_up_to_the_backends_limit() {
    run(async {
        let backend = backend(
            |builder| builder.max_concurrent_streams(2),
            |_, mut respond| async move {
                respond.send_response(Response::new(()), false).ok()?.send_data(Bytes::from_static(b"hello"), true).ok()
            },
        )
        .await;
        let (pool, lease) = (Pool::new(), lease(&backend));
        let (a, b) = tokio::join!(answer(&pool, &lease, get("/")), answer(&pool, &lease, get("/")));
        assert_eq!((backend.connections.get(), pool.shared()), (1, 1));
        assert!(a.connect.is_some() != b.connect.is_some(), "one waited for the other's connection");
        let c = answer(&pool, &lease, get("/")).await;
        assert_eq!(backend.connections.get(), 2, "the third stream does not fit on the first connection");
        for answered in [a, b, c] {
            assert_eq!(answered.response.into_body().collect().await.unwrap().to_bytes(), "hello");
        }
        assert!(answer(&pool, &lease, get("/")).await.reused);
        assert_eq!(backend.connections.get(), 2);
    });
}

#[test]
fn bodies_and_trailers_pass_both_ways_and_large_ones_are_held_up_by_nobody() {
    const SIZE: usize = 8 * 1024 * 1024;
    run(async {
        let backend = backend(|builder| builder, echo).await;
        let (pool, lease) = (Pool::new(), lease(&backend));
        let (frames, body) = channel();
        let (answered, ()) = tokio::join!(answer(&pool, &lease, post(body)), async {
            frames.send(Frame::data(Bytes::from(vec![7; 1000]))).await.unwrap();
        });
        // The answer is not read before all of the request is sent, as far as windows go.
        let send = async move {
            for _ in 0..SIZE / 65536 {
                frames.send(Frame::data(Bytes::from(vec![7; 65536]))).await.unwrap();
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", "49".parse().unwrap());
            frames.send(Frame::trailers(trailers)).await.unwrap();
        };
        let (collected, ()) = tokio::join!(answered.response.into_body().collect(), send);
        let collected = collected.unwrap();
        assert_eq!(collected.trailers().unwrap()["x-sum"], "49");
        let bytes = collected.to_bytes();
        assert_eq!((bytes.len(), bytes.iter().all(|byte| *byte == 7)), (SIZE + 1000, true));
    });
}

#[test]
fn an_answer_nobody_reads_does_not_keep_others_from_coming() {
    run(async {
        let backend = backend(
            |builder| builder,
            |_, mut respond| async move {
                let mut stream = respond.send_response(Response::new(()), false).ok()?;
                for _ in 0..64 {
                    stream.send_data(Bytes::from(vec![1; 65536]), false).ok()?;
                }
                stream.send_data(Bytes::new(), true).ok()
            },
        )
        .await;
        let (pool, lease) = (Pool::new(), lease(&backend));
        let mut unread = Vec::new();
        for _ in 0..20 {
            unread.push(answer(&pool, &lease, get("/")).await);
        }
        let read = answer(&pool, &lease, get("/")).await.response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!((read.len(), backend.connections.get()), (64 * 65536, 1));
    });
}

#[test]
fn a_refused_request_is_given_back_unless_its_body_was_begun() {
    run(async {
        let backend = backend(
            |builder| builder,
            |_, mut respond| async move {
                respond.send_reset(Reason::REFUSED_STREAM);
                Some(())
            },
        )
        .await;
        let (pool, lease) = (Pool::new(), lease(&backend));
        let (sent, slot) = send(&pool, &lease, get("/x?y")).await;
        assert!(matches!(sent.unwrap_err().error, SendError::Refused(_)));
        let given_back = slot.unwrap();
        assert_eq!(
            (given_back.uri().to_string(), given_back.headers()["host"].to_str().unwrap()),
            ("/x?y".into(), "test.example")
        );

        let (_frames, untouched) = channel();
        let (sent, slot) = send(&pool, &lease, post(untouched)).await;
        assert!(matches!(sent.unwrap_err().error, SendError::Refused(_)) && slot.is_some());

        let begun = StreamBody::new(futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"a")))])).boxed_unsync();
        let (sent, slot) = send(&pool, &lease, post(begun)).await;
        assert!(matches!(sent.unwrap_err().error, SendError::Refused(_)) && slot.is_none());
    });
}

#[test]
fn after_a_goaway_open_streams_end_well_and_new_ones_go_elsewhere() {
    run(async {
        let backend = backend(|builder| builder, echo).await;
        let (pool, lease) = (Pool::new(), lease(&backend));
        let (frames, body) = channel();
        let open = answer(&pool, &lease, post(body)).await;
        drop(answer(&pool, &lease, get("/last")).await.response.into_body().collect().await);
        let next = answer(&pool, &lease, get("/")).await;
        drop(next);
        until(|| backend.connections.get() == 2).await;
        frames.send(Frame::data(Bytes::from_static(b"still here"))).await.unwrap();
        drop(frames);
        assert_eq!(open.response.into_body().collect().await.unwrap().to_bytes(), "still here");
    });
}

#[test]
fn an_answer_that_is_dropped_tells_the_backend_to_stop() {
    run(async {
        let seen = Rc::new(RefCell::new(None));
        let note = Rc::clone(&seen);
        let backend = backend(
            |builder| builder,
            move |_, mut respond| {
                let note = Rc::clone(&note);
                async move {
                    let mut stream = respond.send_response(Response::new(()), false).ok()?;
                    let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await.ok()?;
                    note.replace(Some(reason));
                    Some(())
                }
            },
        )
        .await;
        let (pool, lease) = (Pool::new(), lease(&backend));
        drop(answer(&pool, &lease, get("/")).await);
        until(|| seen.borrow().is_some()).await;
        assert_eq!(*seen.borrow(), Some(Reason::CANCEL));
        assert_eq!(pool.shared(), 1, "the connection itself lives on");
    });
}

#[test]
fn a_connection_that_carries_nothing_is_closed_in_time() {
    run(async {
        let backend = backend(|builder| builder, echo).await;
        let lease = lease_on(backend.addr, |settings| {
            settings.targets[0].scheme = TargetScheme::H2c;
            settings.timeouts.keep_alive = Duration::from_millis(20);
        });
        let pool = Pool::new();
        let (frames, body) = channel();
        let open = answer(&pool, &lease, post(body)).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(pool.shared(), 1, "a stream is open");
        drop(frames);
        drop(open.response.into_body().collect().await.unwrap());
        until(|| pool.shared() == 0).await;
    });
}

#[test]
fn a_silent_backend_is_given_up_and_the_next_request_tries_another_connection() {
    run(async {
        let backend = backend(
            |builder| builder,
            |request, mut respond| async move {
                if request.uri().path() == "/silent" {
                    std::future::poll_fn(|cx| respond.poll_reset(cx)).await.ok()?;
                }
                respond.send_response(Response::new(()), true).ok().map(drop)
            },
        )
        .await;
        let lease = lease_on(backend.addr, |settings| {
            settings.targets[0].scheme = TargetScheme::H2c;
            settings.timeouts.first_byte = Some(Duration::from_millis(50));
        });
        let pool = Pool::new();
        let (sent, slot) = send(&pool, &lease, get("/silent")).await;
        assert!(matches!(sent.unwrap_err().error, SendError::FirstByteTimeout(_)) && slot.is_none());
        assert_eq!(answer(&pool, &lease, get("/")).await.response.status(), StatusCode::OK);
        assert_eq!(backend.connections.get(), 2);
    });
}

#[test]
fn what_does_not_speak_http_2_is_said_and_all_who_wait_are_told() {
    run(async {
        let backend = Backend::answering("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        let (pool, lease) = (Pool::new(), lease(&backend));
        let (a, b) = tokio::join!(send(&pool, &lease, get("/")), send(&pool, &lease, get("/")));
        for (sent, _) in [a, b] {
            let SendError::Connect(error @ ConnectError::NoHttp2 { .. }) = sent.unwrap_err().error else { panic!("reached") };
            assert_eq!(error.code(), "connect-http2");
            assert!(error.to_string().ends_with(" does not speak HTTP/2"), "{error}");
        }
    });
}

fn websocket() -> Request<AnyBody> {
    let mut request = get("/ws");
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

#[test]
fn a_websocket_becomes_a_tunnel_where_the_backend_takes_them() {
    run(async {
        let backend = backend(|builder| builder.enable_connect_protocol(), echo).await;
        let (pool, lease) = (Pool::new(), lease(&backend));
        let answered = answer(&pool, &lease, websocket()).await;
        assert_eq!(answered.response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(answered.response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let mut stream = answered.into_upgrade().unwrap().stream;
        stream.write_all(b"not to be read as frames here").await.unwrap();
        let mut back = [0; 29];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"not to be read as frames here");
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut back).await.unwrap(), 0);
    });
}

#[test]
fn a_backend_without_websockets_is_asked_for_none() {
    run(async {
        let backend = backend(|builder| builder, echo).await;
        let (pool, lease) = (Pool::new(), lease(&backend));
        let (sent, _) = send(&pool, &lease, websocket()).await;
        assert!(matches!(sent.unwrap_err().error, SendError::NoWebSocket));
        assert_eq!(answer(&pool, &lease, get("/")).await.response.status(), StatusCode::OK);
    });
}
