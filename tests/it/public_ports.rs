//! Ports that something in front forwards to others: every URL that a client gets has the port by which it came.

use std::sync::Arc;
use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::line::Line;
use crate::support::peers::curl;
use crate::support::scene::Scene;
use crate::support::{obedient, ports};

const SOON: Duration = crate::support::wait::LIMIT;

/// The head of the response to a request by curl.
fn head(url: &str, root: &str, fields: &[&str]) -> String {
    let mut words = vec!["--output", "/dev/null", "--dump-header", "-", "--cacert", root];
    words.extend(fields.iter().flat_map(|field| ["--header", field]));
    words.push(url);
    curl(&words).to_ascii_lowercase()
}

#[test]
fn urls_have_the_public_port() {
    let backend = obedient::start(Arc::default());
    let mut gateway = Gateway::prepare();
    let other = ports::free();
    let rest = format!(
        "public-http-port 80\npublic-https-port 443\nlocalhost www.localhost {{\n    canonical localhost\n    proxy {0}\n}}\n\
         other.localhost:{other} {{\n    proxy {0}\n}}",
        backend.address().port()
    );
    gateway.configure("", &rest);
    gateway.start();
    let root = gateway.local_root();
    let seen = gateway.until_served("localhost", &root, SOON).text();
    let root = root.to_string_lossy().into_owned();
    let (http, https) = (gateway.http, gateway.https);

    assert!(seen.contains("x-forwarded-port: 443\n"), "{seen}");
    let seen = head(&format!("https://localhost:{https}/"), &root, &[]);
    assert!(seen.contains("\r\nalt-svc: h3=\":443\"; ma=86400\r\n"), "{seen}");

    let seen = head(&format!("http://localhost:{http}/a?b"), &root, &[]);
    assert!(seen.contains("\r\nlocation: https://localhost/a?b\r\n"), "{seen}");
    let upgrade =
        ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="];
    let mut words = vec![format!("http://localhost:{http}/ws")];
    words.extend(upgrade.iter().flat_map(|field| ["--header".to_owned(), (*field).to_owned()]));
    let seen = curl(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(seen.contains("wss://localhost/ws"), "{seen}");
    // A port that a site names is its own public port.
    let seen = head(&format!("http://other.localhost:{http}/a"), &root, &[]);
    assert!(seen.contains(&format!("\r\nlocation: https://other.localhost:{other}/a\r\n")), "{seen}");
    let seen = head(&format!("https://other.localhost:{other}/"), &root, &[]);
    assert!(seen.contains(&format!("\r\nalt-svc: h3=\":{other}\"; ma=86400\r\n")), "{seen}");
    let seen = head(&format!("https://www.localhost:{https}/a?b"), &root, &[]);
    assert!(seen.contains("\r\nlocation: https://localhost/a?b\r\n"), "{seen}");

    let mut line = Line::open_plain(https);
    line.say(b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let seen = String::from_utf8(line.rest(SOON).expect("it is closed")).unwrap();
    assert!(seen.ends_with("\r\n\r\nUse https://localhost/a\n"), "{seen}");
    gateway.until_logged(&format!("on port {https}, which speaks TLS: use https://localhost/a"));

    let said = |words: &str| String::from_utf8_lossy(&gateway.run(words).stdout).into_owned();
    let status = said("status");
    assert!(status.contains("(https, wss), public port 443\n") && status.contains("(http), public port 80\n"), "{status}");
    assert!(gateway.output().contains("https://localhost\""), "{}", gateway.output());
    for (url, words) in [
        ("https://localhost/x", "is asked"),
        ("https://localhost:443/x", "is asked"),
        ("http://localhost:80/x", "308: sent on to https://localhost/x\n"),
        ("https://localhost:9/x", "nothing listens on port 9: this scheme is served on 443"),
    ] {
        let told = said(&format!("explain {url}"));
        assert!(told.contains(words), "{url}: {told}");
    }
}

#[test]
fn http_3_has_the_public_port_too() {
    let scene = Scene::new("public-https-port 443");
    let answer = scene.run(async { scene.visitor().await.ask(scene.get("/a")).await });
    let seen = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(seen.contains("x-forwarded-port: 443\n"), "{seen}");
}

#[test]
fn a_reload_moves_the_public_port() {
    let (gateway, root) = Gateway::on_localhost("localhost {\n    respond 204\n}");
    let root = root.to_string_lossy().into_owned();
    let (http, https) = (gateway.http, gateway.https);
    let urls =
        || (head(&format!("http://localhost:{http}/"), &root, &[]), head(&format!("https://localhost:{https}/"), &root, &[]));
    let check = |port: u16| {
        let (redirect, alternative) = urls();
        assert!(redirect.contains(&format!("\r\nlocation: https://localhost:{port}/\r\n")), "{redirect}");
        assert!(alternative.contains(&format!("\r\nalt-svc: h3=\":{port}\"; ma=86400\r\n")), "{alternative}");
    };
    check(https);
    gateway.configure("", "public-https-port 9443\nlocalhost {\n    respond 204\n}");
    assert!(gateway.run("reload").status.success());
    check(9443);
    gateway.configure("", "public-http-port 9443\npublic-https-port 9443\nlocalhost {\n    respond 204\n}");
    assert!(!gateway.run("reload").status.success());
    check(9443);
}

#[test]
fn a_redirect_to_https_goes_to_the_usual_port_of_a_host_that_has_several() {
    let other = ports::free();
    let (gateway, root) =
        Gateway::on_localhost(&format!("localhost:{other} {{\n    respond 404\n}}\nlocalhost {{\n    respond 204\n}}"));
    let seen = head(&format!("http://localhost:{}/a", gateway.http), &root.to_string_lossy(), &[]);
    assert!(seen.contains(&format!("\r\nlocation: https://localhost:{}/a\r\n", gateway.https)), "{seen}");
}
