//! What two servers could read differently never reaches a backend.

use super::harness::*;

#[test]
fn ambiguous_requests_are_refused_and_never_forwarded() {
    run(async {
        let backend = Backend::mirror_all().await;
        let gateway = Gateway::before(&backend).await;
        let check = async |request: &str, status: &str| {
            let answer = gateway.ask(request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?} was answered {answer}");
        };
        let long = format!("GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n", "x".repeat(65_600));
        for (request, status) in [
            ("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: xchunked\r\n\r\n", "400"),
            ("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400"),
            (
                "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "400",
            ),
            ("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", "400"),
            ("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"),
            ("POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
            ("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"),
            ("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +1\r\n\r\na", "400"),
            ("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1, 1\r\n\r\na", "400"),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\n folded\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\rX-B: 2\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: u@a.test\r\n\r\n", "400"),
            ("GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", "400"),
            ("GET http://u:p@a.test/ HTTP/1.1\r\nHost: u:p@a.test\r\n\r\n", "400"),
            ("GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", "400"),
            ("GET a.test HTTP/1.1\r\nHost: a.test\r\n\r\n", "400"),
            ("GET /../x HTTP/1.1\r\nHost: a.test\r\n\r\n", "400"),
            ("GET /%2e%2e%2fx HTTP/1.1\r\nHost: a.test\r\n\r\n", "400"),
            ("GET /a%00 HTTP/1.1\r\nHost: a.test\r\n\r\n", "400"),
            ("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", "405"),
            ("TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n", "405"),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nExpect: miracles\r\n\r\n", "417"),
            (&long, "414"),
        ] {
            check(request, status).await;
        }
        assert_eq!(backend.connections.get(), 0, "a backend was asked");
    });
}

#[test]
fn what_is_forwarded_has_one_framing() {
    run(async {
        let backend = Backend::mirror_all().await;
        let gateway = Gateway::before(&backend).await;
        for (request, there, absent) in [
            ("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc", "content-length: 3\r\n", "transfer-encoding"),
            ("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n", "content-length: 0\r\n", "transfer-encoding"),
            (
                "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
                "\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                "content-length",
            ),
            // hyper lets the coding win, as RFC 9112 section 6.3 asks, and closes the connection behind the answer.
            (
                "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                "\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                "content-length",
            ),
            (
                "GET / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                "\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                "content-length",
            ),
            ("GET http://a.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /x HTTP/1.1\r\n", "http://"),
            ("GET / HTTP/1.1\nHost: a.test\nX-A: 1\n\n", "x-a: 1\r\n", "content-length"),
            ("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: host\r\n\r\n", "host: a.test\r\n", "connection"),
        ] {
            let answer = gateway.ask(request).await;
            let (_, seen) = answer.split_once("\r\n\r\n").unwrap();
            assert!(seen.contains(there), "{there:?} is not in {seen:?}");
            assert!(!seen.contains(absent), "{absent:?} is in {seen:?}");
        }
    });
}

#[test]
fn a_refusal_is_counted_and_logged_with_its_reason() {
    run(async {
        let backend = Backend::mirror().await;
        let gateway = Gateway::before(&backend).await;
        gateway.ask("GET /a/../b?token=x HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
        gateway.ask("GET / HTTP/1.1\r\nHost: stranger.test\r\n\r\n").await;
        assert_eq!(gateway.metrics.proxy.refused.read(), 2);
        let records = gateway.records().await;
        let facts = |i: usize| (records[i]["status"].as_u64(), records[i]["reason"].as_str(), records[i]["by"].as_str());
        assert_eq!(facts(0), (Some(400), Some("bad-path"), Some("gateway")));
        assert_eq!(facts(1), (Some(421), Some("unknown-host"), Some("gateway")));
    });
}
