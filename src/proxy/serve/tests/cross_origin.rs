//! A page of a listed origin sees the status of every refusal: without the fields of `cors` its browser shows a network error.

use super::harness::*;

const ALLOWED: &str = "\r\naccess-control-allow-origin: https://app.test\r\n";

/// A gateway whose one site has `cors` and these words.
async fn gateway(words: &str) -> Gateway {
    let (before, words) = words.split_once("---").unwrap_or(("", words));
    Gateway::start(&format!("{before}\na.test {{\n cors https://app.test\n {words}\n}}"), Speaks::H1).await
}

async fn ask(gateway: &Gateway, method: &str, path: &str, origin: &str, more: &str) -> String {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: a.test\r\norigin: {origin}\r\n{more}connection: close\r\n\r\n");
    gateway.ask(&request).await
}

#[test]
fn every_refusal_lets_the_page_read_its_status() {
    run(async {
        let silent = Backend::start(|mut peer, _| async move { drop(peer.rest().await) }).await;
        let world = tempfile::tempdir().unwrap();
        let files = format!("files {}", world.path().display());
        let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let hash = bcrypt::hash("wonderland", 4).unwrap();
        let service = Backend::start(|mut peer, _| async move {
            while !peer.head().await.is_empty() {
                peer.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
            }
        })
        .await;
        for (words, method, path, more, status) in [
            // The answer of a service that is asked (traefik issue 6918).
            (format!("auth forward http://{}/\n respond 200 x", service.addr), "GET", "/", "", 403),
            (format!("auth basic {{\n alice {hash}\n }}\n respond 200 x"), "GET", "/", "", 401),
            (format!("auth forward http://{dead}/\n respond 200 x"), "GET", "/", "", 503),
            ("deny 127.0.0.0/8\n respond 200 x".to_owned(), "GET", "/", "", 403),
            ("maintenance\n respond 200 x".to_owned(), "GET", "/", "", 503),
            ("limit requests 1/h burst 0\n respond 200 x".to_owned(), "GET", "/", "", 429),
            (format!("limit body 1B\n proxy {dead}"), "POST", "/", "content-length: 2\r\n", 413),
            (files.clone(), "GET", "/none", "", 404),
            (files, "DELETE", "/none", "", 405),
            (format!("proxy {dead}"), "GET", "/", "", 502),
            (format!("upstream u {{\n to {}\n timeout first-byte 50ms\n}}\n---proxy u", silent.addr), "GET", "/", "", 504),
            // No block answers these.
            ("/only/* {\n respond 200 x\n }".to_owned(), "GET", "/elsewhere", "", 404),
            ("respond 200 x".to_owned(), "GET", "/a/../b", "", 400),
            ("respond 200 x".to_owned(), "GET", "/", "expect: x\r\n", 417),
            ("respond 200 x".to_owned(), "TRACE", "/", "", 405),
            ("limit {\n url-size 1KiB\n}\n---respond 200 x".to_owned(), "GET", &*format!("/{}", "x".repeat(2000)), "", 414),
        ] {
            let gateway = gateway(&words).await;
            if status == 429 {
                ask(&gateway, method, path, "https://app.test", more).await;
            }
            let seen = ask(&gateway, method, path, "https://app.test", more).await;
            assert!(seen.starts_with(&format!("HTTP/1.1 {status}")), "{words}: {seen}");
            assert!(seen.contains(ALLOWED), "{words}: {seen}");
            assert_eq!(seen.matches("access-control-allow-origin").count(), 1, "{words}: {seen}");
            let strange = ask(&gateway, method, path, "https://evil.test", more).await;
            assert!(strange.starts_with(&format!("HTTP/1.1 {status}")), "{words}: {strange}");
            assert!(!strange.contains("access-control-allow-origin"), "{words}: {strange}");
            for answer in [seen, strange] {
                assert!(answer.to_lowercase().contains("\r\nvary: origin\r\n"), "{words}: {answer}");
            }
        }
    });
}

#[test]
fn a_preflight_for_a_path_without_a_block_does_not_hide_the_404_behind_it() {
    run(async {
        let gateway = gateway("/only/* {\n respond 200 x\n }").await;
        let preflight = "access-control-request-method: PUT\r\n";
        let seen = ask(&gateway, "OPTIONS", "/elsewhere", "https://app.test", preflight).await;
        assert!(seen.starts_with("HTTP/1.1 204") && seen.contains(ALLOWED), "{seen}");
        let seen = ask(&gateway, "OPTIONS", "/elsewhere", "https://evil.test", preflight).await;
        assert!(seen.starts_with("HTTP/1.1 404") && !seen.contains("access-control-allow"), "{seen}");
        let seen = ask(&gateway, "OPTIONS", "/elsewhere", "https://app.test", "").await;
        assert!(seen.starts_with("HTTP/1.1 404") && seen.contains(ALLOWED), "{seen}");
    });
}
