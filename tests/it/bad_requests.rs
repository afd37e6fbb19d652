//! Requests that can be read in two ways, or are too much: refused with the right status, never passed on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::gateway::Gateway;
use crate::support::h2_frames::{self, END_HEADERS, END_STREAM, End, H2, HEADERS};
use crate::support::{client, echo, h3, h3_frames, server, wait};

const SOON: Duration = wait::LIMIT;
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

/// nginx, HAProxy and Caddy pass these on. What cannot be in a URL at all is refused, and is no reason to ban.
#[test]
fn odd_characters_in_urls_reach_the_backend_and_ban_nobody() {
    let backend = echo::start();
    let mut gateway = Gateway::prepare();
    gateway.configure(
        "",
        &format!("ban after 3 refusals within 1min for 1min\nlocalhost {{\n    proxy {}\n}}", backend.address().port()),
    );
    gateway.start();
    let root = gateway.local_root();
    gateway.until_served("localhost", &root, SOON);
    let host = format!("Host: localhost:{}\r\nConnection: close\r\n", gateway.https);
    let ask = |target: &[u8]| {
        let request = [b"GET ", target, b" HTTP/1.1\r\n", host.as_bytes(), b"\r\n"].concat();
        send(&gateway, &root, &request)
    };
    for (target, there) in [
        (&b"/db/_view?key=\"x\""[..], "GET /db/_view?key=%22x%22"),
        (b"/search?q=a>b", "GET /search?q=a%3Eb"),
        (b"/a<b`c", "GET /a%3Cb%60c"),
        (b"/caf\xe9?q=caf\xe9", "GET /caf%E9?q=caf%E9"),
        (b"/find?q={x}|[y]^", "GET /find?q={x}|[y]^"),
    ] {
        let answer = ask(target);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(there), "{} was answered {answer}", target.escape_ascii());
    }
    for _ in 0..5 {
        let answer = ask(b"/a\x01b");
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("the byte 0x01"), "{answer}");
    }
    assert!(ask(b"/").starts_with("HTTP/1.1 200"), "an odd character is no reason to ban");
}

/// Of 2,000 lines of a client's own the configured number passes, and one more is refused by a page that names the limit.
#[test]
fn two_hundred_fields_pass_and_one_more_is_refused_by_name() {
    let mut gateway = Gateway::prepare();
    gateway.configure("", "localhost {\n    respond 200 here\n}");
    gateway.start();
    let root = gateway.local_root();
    let ask = |fields: usize| {
        let lines: String = (0..fields).map(|number| format!("X-{number}: y\r\n")).collect();
        send(&gateway, &root, format!("GET / HTTP/1.1\r\nHost: localhost:{}\r\n{lines}\r\n", gateway.https).as_bytes())
    };
    assert!(ask(199).starts_with("HTTP/1.1 200"));
    let refused = ask(200);
    assert!(refused.starts_with("HTTP/1.1 431") && refused.contains("It has 201; the limit is 200."), "{refused}");
    let refused = ask(2_000);
    assert!(refused.starts_with("HTTP/1.1 431") && refused.contains("the limit is 200."), "{refused}");
}

#[test]
fn what_cannot_be_read_gets_the_sites_own_page_and_fields() {
    let mut gateway = Gateway::prepare();
    let folder = gateway.config_file().with_file_name("pages");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("4xx.html"), "<h1>ours</h1>").unwrap();
    gateway.configure(
        "",
        &format!(
            "localhost {{\n    errors {}\n    security-headers\n    headers {{\n        set X-Site ours\n    }}\n    respond 200 here\n}}",
            folder.display()
        ),
    );
    gateway.start();
    let root = gateway.local_root();
    gateway.until_served("localhost", &root, SOON);
    let host = format!("Host: localhost:{}\r\n", gateway.https);
    for request in [
        format!("GET /a\x01b HTTP/1.1\r\n{host}\r\n"),
        format!("GET / HTTP/1.1\r\n{host}A: b\r\n folded\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}{}\r\n", "X: y\r\n".repeat(2_000)),
    ] {
        let answer = send(&gateway, &root, request.as_bytes()).to_lowercase();
        for there in ["http/1.1 4", "<h1>ours</h1>", "x-site: ours", "x-content-type-options: nosniff", "connection: close"] {
            assert!(answer.contains(there), "{there} is not in {answer}");
        }
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

/// A request whose length is malformed is a stream error, before which a server may answer (RFC 9113 section 8.1.1, RFC 9114
/// section 4.1.2): it gets the page and the record that it gets over HTTP/1.1. Two lengths that differ, and one beside the end of
/// the request, are found by the h2 crate, which resets the stream.
#[test]
fn a_length_that_is_no_number_has_its_page_over_http_2_and_http_3() {
    let (gateway, root) = Gateway::on_localhost("localhost {\n    respond 200 here\n}");
    let refused = |output: &str| output.lines().filter(|line| line.contains("\"reason\":\"bad-length\"")).count();
    let lengths =
        ["+5", "-5", "5, 5", "5,6", "0x5", "5 5", "9223372036854775808", "18446744073709551616", "00000000000000000005"];
    let mut h2 = H2::open("localhost", gateway.https, &root, &[]);
    let mut stream = 1;
    let mut ask = |fields: &[(&str, &str)], flags: u8| {
        h2.0.say(&h2_frames::frame(HEADERS, END_HEADERS | flags, stream, &h2_frames::request("POST", "/x", fields)));
        let end = h2.end_of(stream);
        stream += 2;
        end
    };
    for length in lengths {
        assert_eq!(ask(&[("content-length", length)], 0), End::Answered(400), "{length}");
    }
    assert_eq!(ask(&[("content-length", "")], END_STREAM), End::Answered(400));
    assert_eq!(ask(&[("content-length", "5"), ("content-length", "6")], 0), End::Reset(1));
    assert_eq!(ask(&[("content-length", "5")], END_STREAM), End::Reset(1));
    assert_eq!(ask(&[("content-length", "9223372036854775807")], 0), End::Answered(200));
    wait::until_true("each is logged", SOON, || refused(&gateway.output()) == lengths.len() + 1);

    let talk = async {
        let (_endpoint, quic) = h3::connect("localhost", gateway.https, &root).await;
        for length in lengths.into_iter().chain(["", "99999999999999999999999"]) {
            let bytes = [h3_frames::head("POST", &[("content-length", length)]), h3_frames::frame(h3_frames::DATA, b"hello")];
            let (_send, mut receive) = h3_frames::say(&quic, &bytes.concat(), true).await;
            assert_eq!(h3_frames::end(&mut receive).await, h3_frames::End::Answered, "{length}");
        }
    };
    server::runtime().block_on(async { tokio::time::timeout(SOON, talk).await.expect("done in time") });
    wait::until_true("each is logged", SOON, || refused(&gateway.output()) == 2 * lengths.len() + 3);
}
