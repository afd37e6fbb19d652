//! Plain HTTP, or a PROXY protocol header, on a port that speaks TLS: seen by the first byte, which is none of a TLS record
//! (RFC 8446 section 5.1), answered in plain HTTP with the URL to use, and named in the log. nginx does the same by its
//! status 497.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use http::Uri;
use http::header::{self, HeaderMap};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::http1::head::{self, Found, HeadLimits};
use crate::proxy::https_redirect;
use crate::proxy::validate;

/// How long the rest of the request, and afterwards the client's close, is waited for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes of a request that are read, and most of a URL that is named.
const MAX_REQUEST: usize = 8 * 1024;
const MAX_URL: usize = 1024;
/// Bytes that are discarded behind the answer.
const MAX_DISCARDED: usize = 256 * 1024;
/// Beginning of version 2 of the PROXY protocol's header.
const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What came instead of TLS. Its words are for the log; they hold nothing that was not escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cleartext {
    /// A request.
    Http {
        /// Method, target and host: `GET / for example.com`.
        request: String,
        /// Where the same is served, if the request says which host it means.
        url: Option<String>,
    },
    /// The header of a balancer from which none is expected.
    ProxyHeader,
}

impl Cleartext {
    /// What happened, from where, and what to do.
    pub fn in_words(&self, peer: SocketAddr, port: u16) -> impl fmt::Display {
        let ip = peer.ip();
        match self {
            Self::Http { request, url: Some(url) } => {
                format!("plain HTTP ({request}) from {ip} on port {port}, which speaks TLS: use {url}")
            }
            Self::Http { request, url: None } => {
                format!("plain HTTP ({request}) from {ip} on port {port}, which speaks TLS: use https://")
            }
            Self::ProxyHeader => format!(
                "a PROXY protocol header from {ip} on port {port}, where none is expected from it: if it is your balancer, add \
                 'proxy-protocol from {ip}'"
            ),
        }
    }
}

/// Looks at the first byte, without taking it. Whether it cannot begin a TLS record and may begin what [`receive`] understands.
pub async fn is_next(stream: &TcpStream, deadline: Instant) -> bool {
    let mut first = [0];
    let seen = timeout_at(deadline, stream.peek(&mut first)).await;
    matches!(seen, Ok(Ok(1))) && (first[0].is_ascii_uppercase() || first[0] == b'\r')
}

/// Reads what came instead of TLS, answers it, and closes. `None` where it is neither of the two. `port` is that of URLs which
/// lead here.
pub async fn receive(mut stream: TcpStream, port: u16) -> Option<Cleartext> {
    let mut bytes = BytesMut::with_capacity(MAX_REQUEST);
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    let seen = timeout_at(deadline, async {
        loop {
            // A client that has closed its half sends no more, and each read would return at once.
            if !stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
                return None;
            }
            if let Some(seen) = recognized(&mut bytes, port) {
                return seen;
            } else if bytes.len() >= MAX_REQUEST {
                return None;
            }
        }
    });
    let seen = seen.await.ok().flatten()?;
    if let Cleartext::Http { url, .. } = &seen {
        // A client that does not take it is not waited for.
        let _ = timeout_at(Instant::now() + REQUEST_TIMEOUT, answer(&mut stream, url.as_deref())).await;
    }
    Some(seen)
}

/// What the bytes are; the outer `None` where more are needed, the inner one where they are nothing that is known.
fn recognized(bytes: &mut BytesMut, port: u16) -> Option<Option<Cleartext>> {
    if bytes.starts_with(b"PROXY ") || bytes.starts_with(PROXY_V2) {
        return Some(Some(Cleartext::ProxyHeader));
    }
    if PROXY_V2.starts_with(bytes) {
        return None;
    }
    let limits = HeadLimits { room: MAX_REQUEST, size: MAX_REQUEST, count: 200, url: MAX_REQUEST };
    let request = match head::read(bytes, &limits, &mut HeaderMap::new()) {
        Found::Part => return None,
        Found::Head(head) => head.request,
        Found::RejectedHello(_) => return Some(None),
    };
    let authority = request.headers().get(header::HOST).and_then(|host| validate::host(host.as_bytes()).ok());
    let host = authority.map(|(host, _)| host);
    let target = https_redirect::path_of(request.uri());
    let shown: String = target.chars().take(MAX_URL).flat_map(char::escape_default).collect();
    let url = host.as_ref().map(|host| {
        let uri = if target.len() <= MAX_URL { request.uri() } else { &Uri::from_static("/") };
        https_redirect::url("https", host, port, uri)
    });
    let host = host.map_or_else(|| "no host".to_owned(), |host| host.to_string());
    Some(Some(Cleartext::Http { request: format!("{} {shown} for {host}", request.method()), url }))
}

/// Says where the same is served, and closes in stages, so that the client reads it.
async fn answer(stream: &mut TcpStream, url: Option<&str>) -> std::io::Result<()> {
    let text = format!("Use {}\n", url.unwrap_or("https://, this port speaks TLS"));
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nserver: doorward\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let mut piece = vec![0; 16 * 1024];
    let mut left = MAX_DISCARDED;
    while left > 0 {
        match stream.read(&mut piece).await? {
            0 => break,
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_with_the_url_to_use() {
        let check = |text: &str, port, expected: &str| {
            let seen = recognized(&mut BytesMut::from(text), port).unwrap().unwrap();
            assert_eq!(seen.in_words("203.0.113.9:5000".parse().unwrap(), port).to_string(), expected);
        };
        check(
            "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
            443,
            "plain HTTP (GET / for example.com) from 203.0.113.9 on port 443, which speaks TLS: use https://example.com/",
        );
        check(
            "POST /a?b HTTP/1.1\r\nHost: Example.com:8443\r\n\r\nbody",
            8443,
            "plain HTTP (POST /a?b for example.com) from 203.0.113.9 on port 8443, which speaks TLS: use \
             https://example.com:8443/a?b",
        );
        check(
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            443,
            "plain HTTP (GET / for no host) from 203.0.113.9 on port 443, which speaks TLS: use https://",
        );
        check(
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
            443,
            "a PROXY protocol header from 203.0.113.9 on port 443, where none is expected from it: if it is your balancer, add \
             'proxy-protocol from 203.0.113.9'",
        );
        let long = format!("GET /{} HTTP/1.1\r\nHost: example.com\r\n\r\n", "x".repeat(3_000));
        let seen = recognized(&mut BytesMut::from(&long[..]), 443).unwrap().unwrap();
        assert!(matches!(seen, Cleartext::Http { url: Some(url), .. } if url == "https://example.com/"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_closes_inside_its_request_is_not_waited_for() {
        for piece in [&b"GET / HT"[..], b"\r\n\r\n\0\r\n", b""] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            client.write_all(piece).await.unwrap();
            drop(client);
            // Time stands still while something is done: what reads the closed half again and again does so for ever.
            let many_turns = async {
                for _ in 0..100_000 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                seen = receive(server, 443) => assert_eq!(seen, None, "{piece:?}"),
                () = many_turns => panic!("it goes on after {piece:?}"),
            }
        }
    }

    #[test]
    fn other_bytes_are_told_from_too_few() {
        let seen = |bytes: &[u8]| recognized(&mut BytesMut::from(bytes), 443);
        assert_eq!(seen(b"GET / HT"), None);
        assert_eq!(seen(b"\r\n\r\n\0\r\n"), None);
        assert_eq!(seen(b"\r\n\r\n\0\r\nQUIT\n!"), Some(Some(Cleartext::ProxyHeader)));
        assert_eq!(seen(b"NICK me\r\nUSER x\r\n"), Some(None));
    }
}
