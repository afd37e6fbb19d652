//! Which content an answer has, and which fields say so: by version, method, status and origin (RFC 9110 sections 8.6, 9.3.2,
//! 15.3.5, 15.3.6 and 15.4.5).

use std::rc::Rc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version, request};
use http_body_util::BodyExt;

use super::harness::*;
use crate::proxy::body::Body;
use crate::proxy::connection::{Connection, TlsFacts};
use crate::proxy::serve::serve;

const VERSIONS: [Version; 4] = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2, Version::HTTP_3];

fn status_of(path: &str) -> u16 {
    path.trim_start_matches('/').parse().unwrap_or(200)
}

/// Answers with the status that the path names and five bytes of content, whatever the status and the method allow.
async fn careless() -> Backend {
    Backend::start(|mut peer, _| async move {
        loop {
            let head = peer.head().await;
            let Some(path) = head.split(' ').nth(1) else { return };
            let status = status_of(path);
            peer.send(&format!("HTTP/1.1 {status} X\r\ncontent-length: 5\r\netag: \"v\"\r\n\r\nhello")).await;
        }
    })
    .await
}

/// The same over HTTP/2.
async fn careless_h2() -> Backend {
    h2c_backend(|request, mut respond| async move {
        let status = status_of(request.uri().path());
        let response = Response::builder().status(status).header("content-length", "5").header("etag", "\"v\"").body(()).unwrap();
        respond.send_response(response, false).ok()?.send_data(Bytes::from_static(b"hello"), true).ok()
    })
    .await
}

/// Serves a request to `a.test`, by no connection in particular.
pub(super) async fn served(gateway: &Gateway, request: request::Builder) -> Response<Body> {
    let peer = "127.0.0.1:9".parse().unwrap();
    let tls = TlsFacts { server_name: None, client_cert: None, is_stand_in: false };
    let connection = Rc::new(Connection::new(peer, "127.0.0.1:443".parse().unwrap(), Some(tls)));
    let request = request.header("host", "a.test").body(Body::empty()).unwrap();
    serve(Rc::clone(&gateway.worker), connection, request).await.unwrap()
}

async fn ask(gateway: &Gateway, version: Version, method: &Method, path: &str) -> Response<Body> {
    served(gateway, Request::builder().method(method).uri(path).version(version)).await
}

/// Holds an answer to the rules.
async fn check(what: &str, method: &Method, response: Response<Body>) {
    let status = response.status();
    let length = response.headers().get("content-length").map(|length| length.to_str().unwrap().to_owned());
    assert!(!response.headers().contains_key("transfer-encoding"), "{what}");
    let content = response.into_body().collect().await.map(|all| all.to_bytes().len());
    let content = content.unwrap_or_else(|error| panic!("{what}: {error}"));
    match status {
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => assert_eq!((length.as_deref(), content), (None, 0), "{what}"),
        StatusCode::RESET_CONTENT => assert_eq!((length.as_deref(), content), (Some("0"), 0), "{what}"),
        _ if *method == Method::HEAD => {
            assert_eq!(content, 0, "{what}");
            assert!(length.is_some_and(|length| length != "0"), "{what}: the length is that of a GET");
        }
        _ => assert!(length.is_none_or(|length| length == content.to_string()) && content > 0, "{what}"),
    }
}

#[test]
fn content_and_its_fields_are_right_in_every_version_and_from_every_origin() {
    run(async {
        let (h1, h2) = (careless().await, careless_h2().await);
        let world = tempfile::tempdir().unwrap();
        std::fs::write(world.path().join("200"), "hello").unwrap();
        let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let origins = [
            ("HTTP/1.1", format!("proxy {}", h1.addr), &[200_u16, 204, 205, 206, 304, 404, 500][..]),
            ("HTTP/2", format!("proxy h2c://{}", h2.addr), &[200, 204, 205, 206, 304, 404, 500]),
            ("auth forward", format!("auth forward http://{}/401\n respond 200 x", h1.addr), &[401]),
            ("files", format!("files {}", world.path().display()), &[200, 404]),
            ("own page", format!("proxy {dead}"), &[502]),
            ("respond 200", "respond 200 hello".to_owned(), &[200]),
            ("respond 204", "respond 204".to_owned(), &[204]),
            ("respond 205", "respond 205".to_owned(), &[205]),
            ("respond 304", "respond 304".to_owned(), &[304]),
        ];
        for (origin, words, statuses) in origins {
            let gateway = Gateway::start(&format!("a.test {{\n {words}\n}}"), Speaks::H1).await;
            for status in statuses {
                for version in VERSIONS {
                    for method in [Method::GET, Method::HEAD] {
                        let what = format!("{method} over {version:?} of {status} from {origin}");
                        let response = ask(&gateway, version, &method, &format!("/{status}")).await;
                        assert_eq!(response.status(), *status, "{what}");
                        check(&what, &method, response).await;
                    }
                }
            }
        }
    });
}

#[test]
fn a_backend_that_sends_content_where_there_is_none_is_not_asked_again_on_that_connection() {
    run(async {
        let backend = careless().await;
        let gateway = Gateway::before(&backend).await;
        for (number, (method, path)) in
            [("GET", "/204"), ("GET", "/205"), ("GET", "/304"), ("HEAD", "/200")].into_iter().enumerate()
        {
            let method = method.parse().unwrap();
            drop(ask(&gateway, Version::HTTP_2, &method, path).await.into_body().collect().await.unwrap());
            let all = ask(&gateway, Version::HTTP_2, &Method::GET, "/200").await.into_body().collect().await.unwrap();
            assert_eq!(all.to_bytes(), "hello", "behind {method} {path}");
            assert_eq!(backend.connections.get() as usize, number + 2, "behind {method} {path}");
        }
    });
}

/// The framing that a backend of HTTP/1.1 sees of a request over HTTP/2 with these frames behind its header.
async fn framing(method: &str, length: Option<&str>, frames: &[(&'static [u8], bool)]) -> String {
    let backend = Backend::mirror_all().await;
    let gateway = Gateway::start(&format!("a.test {{\n proxy {}\n}}", backend.addr), Speaks::H2).await;
    let mut client = h2_client(&gateway).await.ready().await.unwrap();
    let mut request = Request::builder().method(method).uri("https://a.test/");
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    let (answer, mut stream) = client.send_request(request.body(()).unwrap(), frames.is_empty()).unwrap();
    for (data, is_last) in frames {
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        stream.send_data(Bytes::from_static(data), *is_last).unwrap();
    }
    let mut body = answer.await.unwrap().into_body();
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        all.extend_from_slice(&data.unwrap());
    }
    let all = String::from_utf8(all).unwrap();
    let framing = all.lines().find(|line| line.starts_with("content-length") || line.starts_with("transfer-encoding"));
    framing.unwrap_or("none").to_owned()
}

#[test]
fn a_request_without_content_has_no_framing_however_its_stream_ends() {
    run(async {
        for method in ["GET", "OPTIONS", "DELETE"] {
            for frames in [&[][..], &[(&b""[..], true)], &[(b"", false), (b"", true)]] {
                assert_eq!(framing(method, None, frames).await, "none", "{method} {frames:?}");
            }
            assert_eq!(framing(method, None, &[(b"", false), (b"x", true)]).await, "transfer-encoding: chunked", "{method}");
            assert_eq!(framing(method, Some("1"), &[(b"x", true)]).await, "content-length: 1", "{method}");
        }
        for method in ["POST", "PUT", "PATCH"] {
            assert_eq!(framing(method, None, &[]).await, "content-length: 0", "{method}");
            assert_eq!(framing(method, Some("0"), &[]).await, "content-length: 0", "{method}");
            assert_eq!(framing(method, Some("0"), &[(b"", true)]).await, "content-length: 0", "{method}");
            assert_eq!(framing(method, None, &[(b"ab", true)]).await, "transfer-encoding: chunked", "{method}");
        }
        assert_eq!(framing("GET", Some("0"), &[]).await, "content-length: 0");
    });
}
