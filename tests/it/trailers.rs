//! Fields behind a body (RFC 9110 section 6.5): those that nothing depends on pass, in both directions and every version.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};

use crate::support::gateway::Gateway;
use crate::support::h3::{ClientCert, whole};
use crate::support::line::Line;
use crate::support::{server, wait};

const SOON: Duration = wait::LIMIT;

/// Behind a client's body: two that pass, and what could change what the backend takes the client or the request for.
const SENT: [(&str, &str); 12] = [
    ("x-sum", "42"),
    ("grpc-status", "0"),
    ("x-forwarded-for", "6.6.6.6"),
    ("x-real-ip", "6.6.6.6"),
    ("cf-connecting-ip", "6.6.6.6"),
    ("x_real_ip", "6.6.6.6"),
    ("x-forwarded-proto", "http"),
    ("proxy", "http://6.6.6.6"),
    ("host", "6.6.6.6"),
    ("authorization", "Bearer 6.6.6.6"),
    ("cookie", "a=6.6.6.6"),
    ("x-tenant", "6.6.6.6"),
];

/// A backend that keeps what it is sent and answers by trailers of its own.
fn backend() -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let (mut read, mut piece) = (Vec::new(), [0; 4096]);
            // A GET of the test that waits for the gateway has no body.
            let is_whole = |read: &[u8]| {
                let text = String::from_utf8_lossy(read).into_owned();
                text.ends_with("\r\n\r\n") && (text.starts_with("GET") || text.contains("\r\n0\r\n"))
            };
            while !is_whole(&read) {
                match stream.read(&mut piece) {
                    Ok(count) if count > 0 => read.extend_from_slice(&piece[..count]),
                    _ => break,
                }
            }
            let _ = sender.send(String::from_utf8_lossy(&read).into_owned());
            let trailers = "x-sum: 43\r\nset-cookie: a=b\r\nContent-Type: text/html\r\nalt-svc: h3=\":1\"\r\ngrpc-status: 0\r\n";
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(format!("{head}2\r\nok\r\n0\r\n{trailers}\r\n").as_bytes());
        }
    });
    (port, receiver)
}

#[test]
fn trailers_pass_over_http_1_as_far_as_nothing_depends_on_them() {
    let (port, asked) = backend();
    let site = format!("localhost {{\n    request-headers set X-Tenant a\n    proxy {port}\n}}");
    let (gateway, root) = Gateway::on_localhost(&site);
    let mut line = Line::open("localhost", gateway.https, &root);
    let lines: String = SENT.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = "POST /x HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    line.say(format!("{head}2\r\nhi\r\n0\r\n{lines}\r\n").as_bytes());
    let answer = String::from_utf8(line.rest(SOON).expect("it ends")).unwrap();
    assert!(answer.ends_with("2\r\nok\r\n0\r\nx-sum: 43\r\ngrpc-status: 0\r\n\r\n"), "{answer}");
    let sent = asked.iter().find(|sent| sent.starts_with("POST")).unwrap();
    assert!(sent.ends_with("2\r\nhi\r\n0\r\nx-sum: 42\r\ngrpc-status: 0\r\n\r\n"), "{sent}");
    assert!(!sent.contains("6.6.6.6"), "{sent}");
    // Where nothing is left there are none.
    let mut line = Line::open("localhost", gateway.https, &root);
    line.say(format!("{head}2\r\nhi\r\n0\r\ncookie: a\r\n\r\n").as_bytes());
    line.rest(SOON).expect("it ends");
    let sent = asked.iter().find(|sent| sent.starts_with("POST")).unwrap();
    assert!(sent.ends_with("2\r\nhi\r\n0\r\n\r\n"), "{sent}");
}

#[test]
fn trailers_pass_over_http_3_as_far_as_nothing_depends_on_them() {
    let (port, asked) = backend();
    let site = format!("localhost {{\n    request-headers set X-Tenant a\n    proxy {port}\n}}");
    let (gateway, root) = Gateway::on_localhost(&site);
    let talk = async {
        let mut visitor = ClientCert::connect("localhost", gateway.https, &root).await;
        let send = async |visitor: &mut ClientCert, trailers: HeaderMap| {
            let uri = format!("https://localhost:{}/x", gateway.https);
            let request = Request::post(uri).header("te", "trailers").body(()).unwrap();
            let mut stream = visitor.send(request).await;
            stream.send_data(Bytes::from_static(b"hi")).await.unwrap();
            stream.send_trailers(trailers).await.unwrap();
            stream.finish().await.unwrap();
            whole(&mut stream).await
        };
        let sent = SENT.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
        let (answer, trailers) = send(&mut visitor, sent).await;
        let trailers = trailers.expect("some pass");
        let mut names: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!((answer.status().as_u16(), names), (200, vec!["grpc-status", "x-sum"]));
        // More than that is no trailer section.
        let many = (0..65).map(|n| (HeaderName::try_from(format!("x-{n}")).unwrap(), HeaderValue::from_static("v"))).collect();
        assert_eq!(send(&mut visitor, many).await.0.status(), 400);
    };
    server::runtime().block_on(async { tokio::time::timeout(SOON, talk).await.expect("done in time") });
    let sent = asked.iter().find(|sent| sent.starts_with("POST")).unwrap();
    assert!(sent.ends_with("2\r\nhi\r\n0\r\nx-sum: 42\r\ngrpc-status: 0\r\n\r\n"), "{sent}");
    assert!(!sent.contains("6.6.6.6"), "{sent}");
    gateway.until_logged("bad-body");
}
