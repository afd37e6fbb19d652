//! Refusals that no block answers carry what their site adds to every answer.

use std::fs;
use std::net::SocketAddr;

use http::header;
use http_body_util::BodyExt;

use super::harness::*;
use crate::base::name::HostName;
use crate::proxy::connection::{Connection, TlsFacts};
use crate::proxy::error_response::{Asked, Form};
use crate::proxy::refusal::{Malformed, Refusal};
use crate::proxy::refuse;

/// A site that has a block for `/only/*` alone.
fn site(errors: &std::path::Path) -> String {
    let words = format!("security-headers\n errors {}\n headers set X-Robots-Tag noindex", errors.display());
    format!("a.test {{\n {words}\n /only/* {{\n respond 200 ok\n }}\n}}\nb.test {{\n respond 200 ok\n}}")
}

fn errors() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("4xx.html"), "<h1>ours").unwrap();
    folder
}

#[test]
fn a_refusal_without_a_block_carries_the_headers_and_the_page_of_its_site() {
    run(async {
        let errors = errors();
        let gateway = Gateway::start(&site(errors.path()), Speaks::H1).await;
        let check = async |status: &str, request: &str, of_site: bool| {
            let seen = gateway.ask(request).await;
            assert!(seen.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {seen}");
            for line in
                ["x-content-type-options: nosniff", "strict-transport-security: max-age=31536000", "x-robots-tag: noindex"]
            {
                assert_eq!(seen.contains(&format!("\r\n{line}\r\n")), of_site, "{line} for {request}: {seen}");
            }
            assert_eq!(seen.ends_with("<h1>ours"), of_site, "{request}: {seen}");
        };
        check("404", "GET /elsewhere HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n", true).await;
        check("400", "GET /a/../b HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n", true).await;
        check("400", "GET / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 01\r\n\r\nx", true).await;
        check("405", "TRACE / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n", true).await;
        check("417", "GET / HTTP/1.1\r\nhost: a.test\r\nexpect: x\r\nconnection: close\r\n\r\n", true).await;
        check("400", "GET /a/../b HTTP/1.1\r\nhost: b.test\r\nconnection: close\r\n\r\n", false).await;
        check("421", "GET / HTTP/1.1\r\nhost: c.test\r\nconnection: close\r\n\r\n", false).await;
    });
}

#[test]
fn a_site_whose_connection_was_made_for_another_host_is_known() {
    run(async {
        let (errors, clients) = (errors(), tempfile::NamedTempFile::new().unwrap());
        let ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        let ca = ca.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        fs::write(clients.path(), ca.pem()).unwrap();
        let text = site(errors.path());
        let text = text.replacen("a.test {", &format!("a.test {{\n client-certificates {}", clients.path().display()), 1);
        let gateway = Gateway::start(&text, Speaks::H1).await;
        let seen = gateway.ask("GET /only/x HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n").await;
        assert!(seen.starts_with("HTTP/1.1 421") && seen.contains("x-robots-tag: noindex\r\n"), "{seen}");
        assert!(seen.ends_with("<h1>ours"), "{seen}");
    });
}

#[test]
fn bytes_that_are_no_request_concern_the_site_of_their_host_or_of_the_handshake() {
    run(async {
        let errors = errors();
        let gateway = Gateway::start(&site(errors.path()), Speaks::H1).await;
        let check = async |name: Option<&str>, host: Option<&str>, of_site: bool| {
            let tls =
                TlsFacts { server_name: name.map(|name| HostName::parse(name).unwrap()), client_cert: None, is_stand_in: false };
            let (peer, local): (SocketAddr, SocketAddr) = ("192.0.2.9:4000".parse().unwrap(), "192.0.2.1:443".parse().unwrap());
            let connection = Connection::new(peer, local, Some(tls));
            let asked = Asked { form: Form::Text, head: false, id: "id7" };
            let refusal = Refusal::Malformed(Malformed::Framing);
            let seen = refuse::unreadable(&gateway.worker, &connection, &refusal, host.map(str::as_bytes), asked);
            assert_eq!(seen.status(), 400);
            assert_eq!(seen.headers().contains_key(header::X_FRAME_OPTIONS), of_site, "for {name:?} {host:?}");
            let body = seen.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(&body[..] == b"<h1>ours", of_site, "for {name:?} {host:?}");
        };
        check(Some("a.test"), None, true).await;
        check(Some("b.test"), Some("a.test:443"), true).await;
        check(Some("a.test"), Some("b.test"), false).await;
        check(Some("a.test"), Some("c.test"), false).await;
        check(Some("a.test"), Some("u@c.test"), true).await;
        check(None, None, false).await;
    });
}
