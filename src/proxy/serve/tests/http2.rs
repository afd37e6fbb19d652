//! The same over HTTP/2.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::harness::*;
use crate::base::task;

async fn connect(gateway: &Gateway) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(gateway.addr).await.unwrap();
    let (sender, connection) = handshake(Local, TokioIo::new(stream)).await.unwrap();
    drop(task::spawn_local("client", connection));
    sender
}

async fn gateway(backend: &Backend) -> Gateway {
    Gateway::start(&format!("a.test {{\n proxy {}\n}}", backend.addr), Speaks::H2).await
}

#[test]
fn a_backend_sees_http_1_with_a_host_and_whole_cookies() {
    run(async {
        let backend = Backend::mirror().await;
        let gateway = gateway(&backend).await;
        let mut client = connect(&gateway).await;
        let request =
            Request::get("https://A.test/x?y").header("cookie", "a=1").header("cookie", "b=2").body(Full::default()).unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.headers()["via"], "1.1 doorward");
        let seen = response.into_body().collect().await.unwrap().to_bytes();
        let seen = std::str::from_utf8(&seen).unwrap();
        assert!(seen.starts_with("GET /x?y HTTP/1.1\r\n"), "{seen}");
        for line in ["host: A.test", "cookie: a=1; b=2", "via: 2.0 doorward", "x-forwarded-host: A.test"] {
            assert!(seen.to_lowercase().contains(&format!("{}\r\n", line.to_lowercase())), "{line} is not in {seen}");
        }
    });
}

#[test]
fn bodies_of_unknown_length_pass_with_any_method() {
    run(async {
        let backend = Backend::mirror_all().await;
        let gateway = gateway(&backend).await;
        for method in ["POST", "GET", "DELETE"] {
            let stream = TcpStream::connect(gateway.addr).await.unwrap();
            let (mut sender, connection) = handshake(Local, TokioIo::new(stream)).await.unwrap();
            drop(task::spawn_local("client", connection));
            let frames =
                futures_util::stream::iter([Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from_static(b"abc")))]);
            let body = http_body_util::StreamBody::new(frames);
            let request = Request::builder().method(method).uri("https://a.test/").body(body).unwrap();
            let seen = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
            assert!(seen.ends_with(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "{method}: {seen:?}");
        }
    });
}

#[test]
fn a_body_that_is_taken_in_whole_goes_on_with_its_length() {
    run(async {
        let backend = Backend::mirror_all().await;
        let text = format!("a.test {{\n buffer-requests 1KiB\n proxy {}\n}}", backend.addr);
        let gateway = Gateway::start(&text, Speaks::H2).await;
        let sum = || http_body::Frame::trailers([("x-sum".parse().unwrap(), "1".parse().unwrap())].into_iter().collect());
        let data = |bytes: &str| http_body::Frame::data(Bytes::copy_from_slice(bytes.as_bytes()));
        for (frames, line, end) in [
            (vec![data("abc"), data("de")], "content-length: 5", "\r\n\r\nabcde"),
            (vec![data("abc"), sum()], "transfer-encoding: chunked", "abc\r\n0\r\nx-sum: 1\r\n\r\n"),
            (vec![data(&"x".repeat(1_025)), data("j")], "transfer-encoding: chunked", "\r\n1\r\nj\r\n0\r\n\r\n"),
        ] {
            let stream = TcpStream::connect(gateway.addr).await.unwrap();
            let (mut sender, connection) = handshake(Local, TokioIo::new(stream)).await.unwrap();
            drop(task::spawn_local("client", connection));
            let frames = futures_util::stream::iter(frames.into_iter().map(Ok::<_, std::io::Error>));
            let body = http_body_util::StreamBody::new(frames);
            let request = Request::post("https://a.test/").body(body).unwrap();
            let seen = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
            let seen = std::str::from_utf8(&seen).unwrap();
            let framing = ["content-length", "transfer-encoding"].iter().filter(|name| seen.contains(**name)).count();
            assert!(framing == 1 && seen.contains(&format!("\r\n{line}\r\n")) && seen.ends_with(end), "{seen}");
        }
    });
}

#[test]
fn a_host_that_is_not_the_authority_is_refused() {
    run(async {
        let backend = Backend::mirror().await;
        let gateway = gateway(&backend).await;
        let mut client = connect(&gateway).await;
        for (uri, host, status) in [
            ("https://a.test/", "b.test", StatusCode::BAD_REQUEST),
            ("https://b.test/", "b.test", StatusCode::MISDIRECTED_REQUEST),
            ("https://a.test/%2e%2e/", "a.test", StatusCode::BAD_REQUEST),
            ("https://a.test/", "a.test", StatusCode::OK),
        ] {
            let request = Request::get(uri).header("host", host).body(Full::default()).unwrap();
            assert_eq!(client.send_request(request).await.unwrap().status(), status, "for {uri} with {host}");
        }
        assert_eq!(backend.connections.get(), 1);
    });
}

#[test]
fn a_backend_that_breaks_off_resets_the_stream_alone() {
    run(async {
        let backend = Backend::start(|mut peer, number| async move {
            peer.head().await;
            peer.send(if number == 1 {
                "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"
            } else {
                "HTTP/1.1 204 No Content\r\n\r\n"
            })
            .await;
        })
        .await;
        let gateway = gateway(&backend).await;
        let mut client = connect(&gateway).await;
        let get = || Request::get("https://a.test/").body(Full::default()).unwrap();
        let broken = client.send_request(get()).await.unwrap().into_body().collect().await;
        assert!(broken.is_err());
        assert_eq!(client.send_request(get()).await.unwrap().status(), StatusCode::NO_CONTENT);
    });
}

#[test]
fn a_reset_stream_cancels_the_backends_request() {
    run(async {
        let (tell, prebuilt) = tokio::sync::oneshot::channel();
        let tell = std::cell::Cell::new(Some(tell));
        let backend = Backend::start(move |mut peer, _| {
            let tell = tell.take();
            async move {
                peer.head().await;
                peer.rest().await;
                tell.unwrap().send(()).unwrap();
            }
        })
        .await;
        let gateway = gateway(&backend).await;
        let mut client = connect(&gateway).await;
        let asked = client.send_request(Request::get("https://a.test/").body(Full::default()).unwrap());
        tokio::select! {
            _ = asked => panic!("answered"),
            () = until(|| backend.connections.get() == 1) => (),
        }
        prebuilt.await.unwrap();
        assert_eq!(gateway.records().await[0]["status"], 499);
    });
}

#[test]
fn trailers_pass_both_ways() {
    run(async {
        let backend = Backend::says(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: grpc-status\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 0\r\n\r\n",
        )
        .await;
        let gateway = gateway(&backend).await;
        let mut client = connect(&gateway).await;
        let request = Request::get("https://a.test/").header("te", "trailers").body(Full::default()).unwrap();
        let answer = client.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(answer.trailers().unwrap()["grpc-status"], "0");
    });
}

#[test]
fn a_plain_connect_and_unknown_protocols_are_refused() {
    run(async {
        let backend = Backend::mirror().await;
        let gateway = gateway(&backend).await;
        let stream = TcpStream::connect(gateway.addr).await.unwrap();
        let (mut client, connection) = handshake(Local, TokioIo::new(stream)).await.unwrap();
        drop(task::spawn_local("client", connection));
        let plain = Request::connect("a.test:443").body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(client.send_request(plain).await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
        let mut other = Request::connect("https://a.test/").body(Empty::new()).unwrap();
        other.extensions_mut().insert(hyper::ext::Protocol::from_static("connect-udp"));
        assert_eq!(client.send_request(other).await.unwrap().status(), StatusCode::NOT_IMPLEMENTED);
        assert_eq!(gateway.metrics.proxy.upgrades_failed.total(), 2);
    });
}
