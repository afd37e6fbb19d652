//! What the operator has against those who ask too much: who is shut out, what is closed, and what is shed.

use std::path::Path;
use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::line::Line;
use crate::support::peers::curl;
use crate::support::tunnels::Tunnels;
use crate::support::{echo, process, wait};

const SOON: Duration = wait::LIMIT;

/// `doorward WORDS --config FILE`: its exit code and what it says.
fn doorward(gateway: &Gateway, words: &[&str]) -> (Option<i32>, String) {
    let mut command = process::command(env!("CARGO_BIN_EXE_doorward"));
    let output = process::run("doorward", command.args(words).arg("--config").arg(gateway.config_file()), SOON);
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn is_let_in(gateway: &Gateway, root: &Path) -> bool {
    gateway.get("localhost", "/", root).is_ok()
}

#[test]
fn a_client_that_is_refused_too_often_is_shut_out_and_the_operator_sees_it() {
    let rule = |more: &str| format!("ban after 5 refusals within 1min for 10min{more}\nlocalhost {{\n    respond 200 here\n}}");
    let (gateway, root) = Gateway::on_localhost(&rule(""));
    let offend = |gateway: &Gateway, root: &Path| {
        let mut line = Line::open("localhost", gateway.https, root);
        line.say(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
        assert!(line.head().starts_with("HTTP/1.1 400"));
    };
    let mut kept = Line::open("localhost", gateway.https, &root);
    for _ in 0..4 {
        offend(&gateway, &root);
    }
    assert!(is_let_in(&gateway, &root), "four are not five");
    offend(&gateway, &root);
    assert!(!is_let_in(&gateway, &root), "its connections are closed at once");
    kept.say(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(kept.head().starts_with("HTTP/1.1 403"), "and what was open is no way in");
    wait::until_true("the log tells", SOON, || gateway.output().contains("client_banned"));
    let (_, page) = doorward(&gateway, &["status"]);
    assert!(page.contains("shut out") && page.contains("127.0.0.1, for ") && page.contains("turned away"), "{page}");
    // A reload that leaves the rule alone lets nobody in; the operator does, and so does one that spares the client.
    assert_eq!(doorward(&gateway, &["reload"]).0, Some(0));
    assert!(!is_let_in(&gateway, &root));
    let (_, list) = doorward(&gateway, &["bans"]);
    assert!(list.starts_with("127.0.0.1, for ") && list.contains("doorward unban"), "{list}");
    let (code, said) = doorward(&gateway, &["unban", "192.0.2.1"]);
    assert!(code == Some(1) && said.contains("192.0.2.1 is not shut out"), "{code:?} {said}");
    let (code, said) = doorward(&gateway, &["unban", "127.0.0.1"]);
    assert!(code == Some(0) && said.contains("may come again"), "{code:?} {said}");
    assert!(is_let_in(&gateway, &root));
    offend(&gateway, &root);
    assert!(is_let_in(&gateway, &root), "what it was refused for is forgotten");
    assert!(doorward(&gateway, &["bans", "--json"]).1.contains("\"clients\": []"));
    gateway.configure("", &rule(" except 127.0.0.0/8"));
    assert_eq!(doorward(&gateway, &["reload"]).0, Some(0));
    for _ in 0..10 {
        offend(&gateway, &root);
    }
    assert!(is_let_in(&gateway, &root));
}

#[test]
fn behind_a_trusted_proxy_the_visitor_is_shut_out_and_not_the_proxy() {
    let text = "trusted-proxies private\nban after 3 refusals within 1min for 10min\n\
                http://localhost {\n    limit requests 1/h burst 0\n    respond 200 here\n}";
    let mut gateway = Gateway::prepare();
    gateway.configure("", text);
    gateway.launch();
    wait::until_listening("the gateway", ([127, 0, 0, 1], gateway.http).into(), SOON);
    let ask = |visitor: &str| {
        let field = format!("X-Forwarded-For: {visitor}");
        let url = format!("http://localhost:{}/", gateway.http);
        curl(&["--header", &field, "--output", "/dev/null", "--write-out", "%{http_code}", &url])
    };
    let statuses: Vec<_> = (0..6).map(|_| ask("203.0.113.7")).collect();
    assert_eq!(statuses, ["200", "429", "429", "429", "403", "403"]);
    assert_eq!(ask("203.0.113.8"), "200");
}

#[test]
fn maintenance_is_turned_on_and_off_by_command_for_one_site_or_all() {
    let (gateway, root) = Gateway::on_localhost(
        "localhost {\n    security-headers\n    respond 200 here\n}\nother.localhost {\n    respond 200 there\n}",
    );
    let ask = |name: &str| {
        let seen = gateway.get(name, "/", &root).unwrap();
        let wait = seen.response.headers().get("retry-after").map(|wait| wait.to_str().unwrap().to_owned());
        (seen.response.status().as_u16(), wait)
    };
    gateway.until_served("other.localhost", &root, SOON);
    let (code, said) = doorward(&gateway, &["maintenance", "on", "localhost", "--retry-after", "10min"]);
    assert!(code == Some(0) && said.contains("localhost:") && !said.contains("other"), "{said}");
    assert_eq!(ask("localhost"), (503, Some("600".into())));
    assert_eq!(ask("other.localhost"), (200, None));
    assert!(gateway.get("localhost", "/", &root).unwrap().response.headers().contains_key("x-frame-options"));
    assert!(doorward(&gateway, &["status"]).1.contains("maintenance"));
    assert_eq!(doorward(&gateway, &["reload"]).0, Some(0));
    assert_eq!(ask("localhost").0, 503, "a reload does not open it");
    assert_eq!(doorward(&gateway, &["maintenance", "on"]).0, Some(0));
    assert_eq!(ask("other.localhost"), (503, Some("300".into())));
    assert_eq!(doorward(&gateway, &["maintenance", "off"]).0, Some(0));
    assert_eq!((ask("localhost"), ask("other.localhost")), ((200, None), (200, None)));
    let (code, said) = doorward(&gateway, &["maintenance", "on", "strange.example"]);
    assert!(code == Some(1) && said.contains("no site has the host strange.example"), "{code:?} {said}");
}

#[test]
fn when_memory_is_short_new_connections_are_closed_and_tunnels_live() {
    let backend = echo::start();
    let site = format!("timeouts header 60s\nlocalhost {{\n    proxy {}\n}}", backend.address().port());
    let (mut gateway, root) = Gateway::on_localhost(&site);
    let mut tunnels = Tunnels::open("localhost", gateway.https, &root, 5);
    let limit = (gateway.process().resident() / (1 << 20) + 48).max(32);
    gateway.configure("", &format!("limit memory {limit}MiB\n{site}"));
    assert_eq!(doorward(&gateway, &["reload"]).0, Some(0));
    // Each holds 60 KiB of a header that does not end.
    let half = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(60_000));
    let mut lines = Vec::new();
    while !gateway.output().contains("memory_short") {
        assert!(lines.len() < 3_000, "{} lines did not fill {limit} MiB", lines.len());
        // The last ones may come too late.
        if let Ok(mut line) = Line::try_open("localhost", gateway.https, &root, &[b"http/1.1"]) {
            line.say(half.as_bytes());
            lines.push(line);
        }
    }
    assert!(lines.len() > 64, "{} lines", lines.len());
    assert!(!is_let_in(&gateway, &root), "a new connection is closed");
    tunnels.echo_all();
    drop(lines);
    wait::until_true("there is memory again", SOON, || gateway.output().contains("memory_enough"));
    gateway.until_served("localhost", &root, SOON);
    tunnels.echo_all();
}
