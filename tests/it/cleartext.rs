//! Plain HTTP, and a balancer's header, on a port that speaks TLS: answered or named in words that say what to do.

use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::line::Line;
use crate::support::wait;

const SOON: Duration = wait::LIMIT;

#[test]
fn plain_http_on_the_tls_port_is_answered_with_the_url_to_use() {
    let (gateway, _) = Gateway::on_localhost("localhost {\n    respond 204\n}");
    let mut line = Line::open_plain(gateway.https);
    line.say(b"GET /a?b HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = String::from_utf8(line.rest(SOON).expect("it is closed")).unwrap();
    let url = format!("https://localhost:{}/a?b", gateway.https);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with(&format!("\r\n\r\nUse {url}\n")), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    let port = gateway.https;
    let words = format!("plain HTTP (GET /a?b for localhost) from 127.0.0.1 on port {port}, which speaks TLS: use {url}");
    wait::until_true("it is logged", SOON, || gateway.output().contains(&words));
}

#[test]
fn a_proxy_header_on_the_tls_port_is_logged_with_the_line_to_add() {
    let (gateway, _) = Gateway::on_localhost("localhost {\n    respond 204\n}");
    for header in [&b"PROXY TCP4 203.0.113.9 203.0.113.1 1024 443\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"] {
        let seen = gateway.output().len();
        let mut line = Line::open_plain(gateway.https);
        line.say(header);
        assert_eq!(line.rest(SOON).expect("it is closed"), b"", "it has no answer that a balancer would pass on");
        let words = "a PROXY protocol header from 127.0.0.1 on port";
        let remedy = "add 'proxy-protocol from 127.0.0.1'";
        wait::until_true("it is logged", SOON, || {
            gateway.output().split_off(seen).lines().any(|line| line.contains(words) && line.contains(remedy))
        });
    }
}
