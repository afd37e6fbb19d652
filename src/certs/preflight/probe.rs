//! Asks one address, at one port, whether it leads to us. Bounded in time and bytes; what answers may be anybody.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::self_test::{self, SelfTest};
use crate::base::escape::escaped;
use crate::certs::challenge::http01;
use crate::certs::challenge::tls_alpn01::ALPN;
use crate::net::danger::NoVerifier;

/// For one address and port: a way round the world and back, three times, with a lost packet.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Of an answer that is looked at.
const MAX_ANSWER: u64 = 4 << 10;
/// Characters of what a stranger says that are repeated.
const MAX_SHOWN: usize = 80;

/// Who answers there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeReply {
    /// This process, or the gateway that lit the beacon.
    Ourselves,
    /// Somebody else, in words.
    Other(String),
    /// Nothing listens there.
    Refused,
    /// No answer in time.
    Silent,
    /// There is no way there.
    NoWay(String),
}

/// Asks for the token, as an authority does by http-01 (RFC 8555 section 8.3).
pub async fn http(address: SocketAddr, host: &str, beacon: &SelfTest) -> ProbeReply {
    settled(timeout(PROBE_TIMEOUT, ask_http(address, host, beacon)).await)
}

/// Shakes hands as an authority does by tls-alpn-01 (RFC 8737 section 3).
pub async fn tls(address: SocketAddr, beacon: &SelfTest) -> ProbeReply {
    settled(timeout(PROBE_TIMEOUT, shake_hands(address, beacon)).await)
}

fn settled(asked: Result<io::Result<ProbeReply>, tokio::time::error::Elapsed>) -> ProbeReply {
    match asked {
        Ok(Ok(seen)) => seen,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => ProbeReply::Refused,
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => ProbeReply::Silent,
        Ok(Err(error)) => ProbeReply::NoWay(escaped(&error.to_string(), MAX_SHOWN)),
        Err(_) => ProbeReply::Silent,
    }
}

async fn ask_http(address: SocketAddr, host: &str, beacon: &SelfTest) -> io::Result<ProbeReply> {
    let mut stream = TcpStream::connect(address).await?;
    let path = format!("{}{}", http01::PREFIX, beacon.token);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: doorward-doctor\r\nConnection: close\r\n\r\n");
    let talk = async {
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        (&mut stream).take(MAX_ANSWER).read_to_end(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    // Whoever takes a connection and breaks it off is somebody.
    let answer = talk.await.unwrap_or_default();
    Ok(who_answers(&answer, &beacon.says))
}

/// From an answer's first bytes. Pure.
fn who_answers(answer: &[u8], expected: &str) -> ProbeReply {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    if status.starts_with("HTTP/1.1 200") && body.trim() == expected {
        return ProbeReply::Ourselves;
    }
    if !status.starts_with("HTTP/") {
        return ProbeReply::Other("something that does not speak HTTP".to_owned());
    }
    let field = |name: &str| {
        let value = head.lines().find_map(|line| line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case(name)));
        value.map(|(_, value)| escaped(value.trim(), MAX_SHOWN))
    };
    let status = escaped(status.split_once(' ').map_or("", |(_, status)| status), MAX_SHOWN);
    let server = field("server").map(|server| format!(" ({server})")).unwrap_or_default();
    let location = field("location").map(|to| format!(", sent on to {to}")).unwrap_or_default();
    ProbeReply::Other(format!("another web server{server}: {status}{location}"))
}

async fn shake_hands(address: SocketAddr, beacon: &SelfTest) -> io::Result<ProbeReply> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from(beacon.server_name.clone()).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    // The certificate is what is to be found out; the fingerprint of one that was made a moment ago says enough.
    let verifier = Arc::new(NoVerifier::ignoring_signatures(provider));
    let mut config =
        builder.map_err(io::Error::other)?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    let stream = match TlsConnector::from(Arc::new(config)).connect(name, tcp).await {
        Ok(stream) => stream,
        Err(error) => {
            return Ok(ProbeReply::Other(format!(
                "somebody who refuses the handshake ({})",
                escaped(&error.to_string(), MAX_SHOWN)
            )));
        }
    };
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    Ok(match shown {
        Some(leaf) if self_test::fingerprint(leaf) == beacon.certificate => ProbeReply::Ourselves,
        Some(leaf) => ProbeReply::Other(format!("a server with a certificate for {}", subject(leaf))),
        None => ProbeReply::Other("a server without a certificate".to_owned()),
    })
}

fn subject(leaf: &[u8]) -> String {
    let names = x509_parser::parse_x509_certificate(leaf).ok().map(|(_, leaf)| leaf.subject().to_string());
    names.map_or_else(|| "nobody".to_owned(), |names| escaped(&names, MAX_SHOWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_is_told_by_the_first_bytes() {
        let check = |answer: &str, expected: &str| {
            let seen = match who_answers(answer.as_bytes(), "doorward abc") {
                ProbeReply::Ourselves => "ourselves".to_owned(),
                ProbeReply::Other(words) => words,
                other => format!("{other:?}"),
            };
            assert_eq!(seen, expected);
        };
        check("HTTP/1.1 200 OK\r\nServer: x\r\n\r\ndoorward abc", "ourselves");
        check("HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\ndoorward abd", "another web server (nginx): 200 OK");
        check("HTTP/1.1 404 Not Found\r\nServer: Apache\r\n\r\n", "another web server (Apache): 404 Not Found");
        check(
            "HTTP/1.1 301 Moved\r\nLocation: https://b.test/\r\n\r\n",
            "another web server: 301 Moved, sent on to https://b.test/",
        );
        check("HTTP/1.0 200 OK\u{1b}[31m\r\n\r\n", "another web server: 200 OK\\x1b[31m");
        check("SSH-2.0-OpenSSH\r\n", "something that does not speak HTTP");
        check("", "something that does not speak HTTP");
    }
}
