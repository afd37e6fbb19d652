//! Trailers over HTTP/2, towards backends of both versions and back.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};

use super::harness::*;

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

const SENT: [(&str, &str); 8] = [
    ("x-sum", "42"),
    ("grpc-status", "0"),
    ("x-forwarded-for", "6.6.6.6"),
    ("x-real-ip", "6.6.6.6"),
    ("x_real_ip", "6.6.6.6"),
    ("content-length", "6"),
    ("x-tenant", "6.6.6.6"),
    ("remote-user", "6.6.6.6"),
];

/// Asks with trailers; the answer's body and trailers.
async fn ask(gateway: &Gateway, trailers: HeaderMap) -> (u16, String, HeaderMap) {
    let mut client = h2_client(gateway).await;
    let request = Request::post("https://a.test/x").body(()).unwrap();
    let (response, mut stream) = client.send_request(request, false).unwrap();
    stream.send_data(Bytes::from_static(b"hi"), false).unwrap();
    stream.send_trailers(trailers).unwrap();
    let response = response.await.unwrap();
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        text.extend_from_slice(&data.unwrap());
    }
    (status, String::from_utf8(text).unwrap(), body.trailers().await.unwrap().unwrap_or_default())
}

/// A site that sets one field and takes another over from a service that decides.
async fn gateway(backend: &str) -> Gateway {
    let service = Backend::says("HTTP/1.1 200 OK\r\nremote-user: alice\r\ncontent-length: 0\r\n\r\n").await;
    let auth = format!("auth forward http://{}/ {{\n copy Remote-User\n }}", service.addr);
    let text = format!("a.test {{\n request-headers set X-Tenant a\n {auth}\n proxy {backend}\n}}");
    Gateway::start(&text, Speaks::H2).await
}

#[test]
fn a_backend_of_http_1_gets_the_trailers_that_nothing_depends_on() {
    run(async {
        let backend = Backend::mirror_all().await;
        let gateway = gateway(&backend.addr.to_string()).await;
        let (_, seen, _) = ask(&gateway, map(&SENT)).await;
        assert!(seen.ends_with("2\r\nhi\r\n0\r\nx-sum: 42\r\ngrpc-status: 0\r\n\r\n") && !seen.contains("6.6.6.6"), "{seen}");
        let (_, seen, _) = ask(&gateway, map(&SENT[2..])).await;
        assert!(seen.ends_with("2\r\nhi\r\n0\r\n\r\n"), "{seen}");
    });
}

#[test]
fn a_backend_of_http_2_gets_and_gives_the_trailers_that_nothing_depends_on() {
    run(async {
        let backend = h2c_backend(|request, mut respond| async move {
            let mut body = request.into_body();
            while let Some(data) = body.data().await {
                data.ok()?;
            }
            let seen = body.trailers().await.ok()?;
            let text = seen.map(|seen| seen.keys().map(HeaderName::as_str).collect::<Vec<_>>().join(" "));
            let mut stream = respond.send_response(Response::new(()), false).ok()?;
            stream.send_data(Bytes::from(text.unwrap_or_else(|| "none".to_owned())), false).ok()?;
            let trailers = map(&[("grpc-status", "0"), ("set-cookie", "a=b"), ("content-type", "x/y"), ("alt-svc", "clear")]);
            stream.send_trailers(trailers).ok()
        })
        .await;
        let gateway = gateway(&format!("h2c://{}", backend.addr)).await;
        let (_, seen, trailers) = ask(&gateway, map(&SENT)).await;
        assert_eq!((seen.as_str(), trailers), ("x-sum grpc-status", map(&[("grpc-status", "0")])));
        let (_, seen, _) = ask(&gateway, map(&SENT[2..])).await;
        assert_eq!(seen, "none");
    });
}

#[test]
fn too_many_trailers_are_refused() {
    run(async {
        let backend = Backend::mirror_all().await;
        let gateway = gateway(&backend.addr.to_string()).await;
        let many = (0..65).map(|n| (HeaderName::try_from(format!("x-{n}")).unwrap(), HeaderValue::from_static("v"))).collect();
        assert_eq!(ask(&gateway, many).await.0, 400);
    });
}
