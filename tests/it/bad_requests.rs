//! Requests that can be read in two ways, or are too much: refused with the right status, never passed on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::gateway::Gateway;
use crate::support::{client, echo, server};

const SOON: Duration = crate::support::wait::LIMIT;
const REST: Duration = Duration::from_millis(300);

#[test]
fn each_is_refused_with_its_status_and_none_reaches_the_backend() {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    backend.set_nonblocking(true).unwrap();
    let mut gateway = Gateway::prepare();
    gateway.configure("", &format!("localhost {{\n    proxy {}\n}}", backend.local_addr().unwrap().port()));
    gateway.start();
    let root = gateway.local_root();
    let check = |request: &str, expected: &str| {
        let answer = send(&gateway, &root, request.as_bytes());
        let shown: String = request.chars().take(120).collect();
        assert_eq!(answer.split_whitespace().nth(1), Some(expected), "{shown:?} was answered {answer:?}");
    };
    let host = format!("Host: localhost:{}\r\n", gateway.https);
    check(&format!("GET / HTTP/1.1\r\n{host}{host}\r\n"), "400");
    check("GET / HTTP/1.1\r\n\r\n", "400");
    check("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400");
    check("GET / HTTP/1.1\r\nHost: user@localhost\r\n\r\n", "400");
    check("GET / HTTP/1.1\r\nHost: strange.example\r\n\r\n", "421");
    check(&format!("POST / HTTP/1.1\r\n{host}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), "400");
    check(&format!("POST / HTTP/1.1\r\n{host}Content-Length: +5\r\n\r\nhello"), "400");
    check(&format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), "400");
    check(&format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), "400");
    check(&format!("GET / HTTP/1.1\r\n{host}Bad Name: x\r\n\r\n"), "400");
    check(&format!("GET / HTTP/1.1\r\n{host}A: b\r\n folded\r\n\r\n"), "400");
    check(&format!("GET /%zz HTTP/1.1\r\n{host}\r\n"), "400");
    check(&format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(70_000)), "414");
    check(&format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "x".repeat(200_000)), "431");
    check(&format!("GET / HTTP/1.1\r\n{host}{}\r\n", "X: y\r\n".repeat(2_000)), "431");
    assert_eq!(backend.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "a bad request reached the backend");
    assert!(gateway.process().exit_status().is_none());
    assert!(!gateway.output().contains("panicked"), "{}", gateway.output());
}

/// RFC 9112 section 6.3 lets a server take the chunked coding for the truth, provided that it ends the connection.
#[test]
fn a_length_beside_a_chunked_body_is_dropped_and_nothing_after_it_is_read() {
    let backend = echo::start();
    let mut gateway = Gateway::prepare();
    gateway.configure("", &format!("localhost {{\n    proxy {}\n}}", backend.address().port()));
    gateway.start();
    let root = gateway.local_root();
    let host = format!("Host: localhost:{}\r\n", gateway.https);
    let body = format!("0\r\n\r\nGET /smuggled HTTP/1.1\r\n{host}\r\n");
    for fields in ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5"] {
        let answer = send(&gateway, &root, format!("POST /first HTTP/1.1\r\n{host}{fields}\r\n\r\n{body}").as_bytes());
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("POST /first chunked\n") && !answer.contains("smuggled"),
            "{answer}"
        );
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    }
}

#[test]
fn bytes_that_are_no_tls_and_tls_that_is_no_http_end_quietly() {
    let mut gateway = Gateway::prepare();
    gateway.configure("", "localhost {\n    respond 200 here\n}");
    gateway.start();
    let root = gateway.local_root();
    let garbage: Vec<u8> = (0..2_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for port in [gateway.http, gateway.https] {
        let _ = server::runtime().block_on(async {
            let mut socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
            socket.write_all(&garbage).await?;
            read_to_end(&mut socket).await
        });
    }
    let _ = send(&gateway, &root, &garbage);
    assert_eq!(gateway.until_served("localhost", &root, SOON).text(), "here");
    assert!(!gateway.output().contains("panicked"), "{}", gateway.output());
}

/// Sends bytes over TLS; what comes back until the end, or until it rests.
fn send(gateway: &Gateway, root: &Path, bytes: &[u8]) -> String {
    let roots = std::fs::read_to_string(root).unwrap();
    let answer: io::Result<Vec<u8>> = server::runtime().block_on(async {
        let socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, gateway.https))).await?;
        let mut stream = client::handshake(socket, "localhost", &roots, &[b"http/1.1"]).await?;
        // The answer may come, and the connection end, before all is sent.
        let _ = stream.write_all(bytes).await;
        read_to_end(&mut stream).await
    });
    String::from_utf8_lossy(&answer.unwrap_or_default()).into_owned()
}

async fn read_to_end(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    // A connection that is kept rests after its answer; one that gives no answer at all is waited for longer.
    loop {
        let patience = if answer.is_empty() { SOON } else { REST };
        match tokio::time::timeout(patience, stream.read(&mut piece)).await {
            Ok(Ok(count)) if count > 0 => answer.extend_from_slice(&piece[..count]),
            Ok(Err(error)) if answer.is_empty() => return Err(error),
            Ok(_) | Err(_) => return Ok(answer),
        }
    }
}
