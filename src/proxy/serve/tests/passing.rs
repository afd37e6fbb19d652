//! What passes, and how it looks on the other side.

use super::harness::*;

const GET: &str = "GET /a/b?c=d HTTP/1.1\r\nHost: A.test\r\n\r\n";

#[test]
fn a_backend_gets_the_request_and_who_asked() {
    run(async {
        let backend = Backend::mirror().await;
        let gateway = Gateway::before(&backend).await;
        let request = "GET /a/b?c=d HTTP/1.1\r\nHost: A.test:443\r\nX-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX_Forwarded_Proto: 1\r\n\
                       Connection: keep-alive, x-mine\r\nX-Mine: 1\r\nCookie: a=b\r\n\r\n";
        let answer = gateway.ask(request).await;
        let (head, seen) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("via: 1.1 doorward"), "{head}");
        assert!(seen.starts_with("GET /a/b?c=d HTTP/1.1\r\n"), "{seen}");
        for line in [
            "host: A.test:443",
            "cookie: a=b",
            "via: 1.1 doorward",
            "x-forwarded-for: 127.0.0.1",
            "x-real-ip: 127.0.0.1",
            "x-forwarded-proto: https",
            "x-forwarded-host: A.test:443",
            "x-forwarded-port: 443",
            "forwarded: for=127.0.0.1;host=\"A.test:443\";proto=https",
        ] {
            assert!(seen.contains(&format!("{line}\r\n")), "{line} is not in {seen}");
        }
        for gone in ["6.6.6.6", "x_forwarded_proto", "x-mine", "connection"] {
            assert!(!seen.contains(gone), "{gone} is in {seen}");
        }
        let record = &gateway.records().await[0];
        let id = record["id"].as_str().unwrap();
        assert!(seen.contains(&format!("x-request-id: {id}\r\n")), "{seen}");
    });
}

#[test]
fn requests_of_one_client_share_a_connection_to_the_backend() {
    run(async {
        let backend = Backend::mirror().await;
        let gateway = Gateway::before(&backend).await;
        let mut client = gateway.client().await;
        for _ in 0..3 {
            client.send(GET).await;
            assert!(client.answer().await.starts_with("HTTP/1.1 200 OK\r\n"));
        }
        assert_eq!(backend.connections.get(), 1);
        let records = gateway.records().await;
        assert_eq!(records.len(), 3);
        assert_eq!(records[2]["status"], 200);
        assert_eq!(records[2]["host"], "a.test");
    });
}

#[test]
fn answers_without_a_body_keep_their_length_and_the_connection() {
    run(async {
        for (request, answer, expected) in [
            ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n", "content-length: 7\r\n"),
            ("GET", "HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n", "x-a: 1\r\n"),
            ("GET", "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n", "etag: \"x\"\r\n"),
        ] {
            let backend = Backend::says(answer).await;
            let gateway = Gateway::before(&backend).await;
            let mut client = gateway.client().await;
            for _ in 0..2 {
                client.send(&format!("{request} / HTTP/1.1\r\nHost: a.test\r\n\r\n")).await;
                let head = client.head().await;
                assert!(head.contains(expected), "{expected} is not in {head}");
            }
            assert_eq!(backend.connections.get(), 1);
        }
    });
}

#[test]
fn sites_redirect_respond_and_edit() {
    run(async {
        let backend = Backend::mirror().await;
        let text = format!(
            "www.a.test {{\n redirect https://a.test\n}}\na.test {{\n security-headers\n headers {{\n  set x-frame-options DENY\n }}\n\
             /hello {{\n respond 200 hello\n }}\n /api/* {{\n strip-prefix /api\n request-headers {{\n set x-real-ip 9.9.9.9\n }}\n \
             proxy {}\n }}\n /closed/* {{\n allow 10.0.0.0/8\n proxy {}\n }}\n}}",
            backend.addr, backend.addr
        );
        let gateway = Gateway::start(&text, Speaks::H1).await;
        let ask = |host: &str, path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let moved = gateway.ask(&ask("www.a.test", "/x?y=z")).await;
        assert!(moved.contains("location: https://a.test/x?y=z\r\n"), "{moved}");
        let hello = gateway.ask(&ask("a.test", "/hello")).await;
        assert!(hello.starts_with("HTTP/1.1 200 OK") && hello.ends_with("hello"), "{hello}");
        assert!(hello.contains("x-frame-options: DENY") && hello.contains("x-content-type-options: nosniff"), "{hello}");
        let api = gateway.ask(&ask("a.test", "/api/v1?q")).await;
        assert!(api.contains("GET /v1?q HTTP/1.1\r\n") && api.contains("x-real-ip: 9.9.9.9\r\n"), "{api}");
        let closed = gateway.ask(&ask("a.test", "/closed/x")).await;
        assert!(closed.starts_with("HTTP/1.1 403 ") && closed.contains("x-frame-options: DENY"), "{closed}");
        assert!(gateway.ask(&ask("a.test", "/nothing")).await.starts_with("HTTP/1.1 404 "));
        assert!(gateway.ask(&ask("other.test", "/")).await.starts_with("HTTP/1.1 421 "));
    });
}

#[test]
fn a_port_in_the_clear_sends_known_hosts_on() {
    run(async {
        let backend = Backend::mirror().await;
        let text = format!("a.test {{\n proxy {}\n}}\n[::1]:8443 {{\n proxy {}\n}}", backend.addr, backend.addr);
        let gateway = Gateway::at(&text, Speaks::H1, 80).await;
        let check = async |host: &str, more: &str, expected: &[&str]| {
            let answer = gateway.ask(&format!("GET /x?y HTTP/1.1\r\nHost: {host}\r\n{more}\r\n")).await;
            for part in expected {
                assert!(answer.contains(part), "{part} is not in {answer}");
            }
        };
        check("A.test:80", "", &["308 Permanent Redirect", "location: https://a.test/x?y\r\n", "connection: close\r\n"]).await;
        check("[::1]", "", &["308 ", "location: https://[::1]:8443/x?y\r\n"]).await;
        check("evil.test", "", &["421 "]).await;
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        check("a.test", upgrade, &["426 ", "wss://a.test/x?y"]).await;
        assert_eq!(backend.connections.get(), 0);
    });
}

#[test]
fn trusted_proxies_are_believed() {
    run(async {
        let backend = Backend::mirror().await;
        let text = format!("trusted-proxies 127.0.0.0/8\na.test {{\n proxy {}\n}}", backend.addr);
        let gateway = Gateway::start(&text, Speaks::H1).await;
        let request =
            "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Request-Id: from-the-cdn\r\n\r\n";
        let answer = gateway.ask(request).await;
        for line in ["x-forwarded-for: 192.0.2.7, 127.0.0.1", "x-real-ip: 192.0.2.7", "x-request-id: from-the-cdn"] {
            assert!(answer.contains(&format!("{line}\r\n")), "{line} is not in {answer}");
        }
        assert_eq!(gateway.records().await[0]["client"], "192.0.2.7");
    });
}
