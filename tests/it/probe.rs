//! `doorward probe` with the real backends of the users' guides, and with those that misbehave.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::gateway::Gateway;
use crate::support::peers::Backend;
use crate::support::ports;
use crate::support::process;
use crate::support::server::Server;
use crate::support::wait;

const SOON: Duration = wait::LIMIT;

/// What `doorward probe` said.
struct Said {
    code: Option<i32>,
    report: Value,
    text: String,
}

impl Said {
    #[track_caller]
    fn is(&self, diagnosis: &str) {
        assert_eq!(self.report["diagnosis"]["code"], diagnosis, "{}", self.text);
        assert_eq!(self.code, Some(i32::from(diagnosis != "fine")), "{}", self.text);
        assert!(!self.text.contains("s3cret"), "a secret is told: {}", self.text);
    }
}

fn probe(words: &[&str]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let mut command = process::command(env!("CARGO_BIN_EXE_doorward"));
    let output = process::run("doorward probe", command.arg("probe").args(words).arg("--json").current_dir(folder.path()), SOON);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"));
    Said { code: output.status.code(), report, text }
}

/// A gateway on localhost before a backend.
struct Scene {
    gateway: Gateway,
    root: PathBuf,
}

impl Scene {
    fn new(site: &str) -> Self {
        let mut gateway = Gateway::prepare();
        gateway.configure("", site);
        gateway.start();
        let root = gateway.local_root();
        Self { gateway, root }
    }

    fn before(port: u16) -> Self {
        Self::new(&format!("localhost {{\n    proxy {port}\n}}"))
    }

    /// Probes a path with the gateway's own configuration at hand.
    fn probe(&self, path: &str, words: &[&str]) -> Said {
        let url = format!("wss://localhost:{}{path}", self.gateway.https);
        let (root, config) = (self.root.display().to_string(), self.gateway.config_file().display().to_string());
        probe(&[&[url.as_str(), "--ca", &root, "--config", &config], words].concat())
    }
}

/// A server that answers every connection's first bytes with `answer`, in which `KEY` stands for the right accept value.
fn answering(answer: &'static [u8]) -> Server {
    Server::start("misbehaving backend", ([127, 0, 0, 1], 0).into(), move |listener| async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let read = socket.read(&mut request).await.unwrap_or(0);
            let accept = accept_of(&String::from_utf8_lossy(&request[..read]));
            let at = answer.windows(3).position(|window| window == b"KEY");
            let whole = match at {
                Some(at) => [&answer[..at], accept.as_bytes(), &answer[at + 3..]].concat(),
                None => answer.to_vec(),
            };
            let _ = socket.write_all(&whole).await;
            let _ = socket.shutdown().await;
        }
    })
}

/// RFC 6455 section 4.2.2.
fn accept_of(request: &str) -> String {
    let key = request.lines().find_map(|line| line.to_lowercase().starts_with("sec-websocket-key:").then(|| line[18..].trim()));
    let text = format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key.unwrap_or_default());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    STANDARD.encode(digest)
}

#[test]
fn a_websocket_that_works_is_fine_both_ways() {
    // Python's websockets takes no client that does not offer its subprotocol.
    let subprotocol = ["--header", "Sec-WebSocket-Protocol: chat.v2"];
    let cases = [
        (Backend::uvicorn(), "/ws?token=s3cret", [].as_slice()),
        (Backend::node(), "/", &[]),
        (Backend::python(), "/", &subprotocol),
    ];
    for (backend, path, words) in cases {
        let said = Scene::before(backend.port()).probe(path, words);
        said.is("fine");
        for way in ["through", "straight"] {
            let last = said.report[way]["steps"].as_array().and_then(|steps| steps.last()).unwrap();
            assert!(last["what"] == "websocket" && last["seen"].as_str().unwrap().contains("pong"), "{}", said.text);
        }
    }
}

#[test]
fn a_403_of_the_backend_is_told_from_one_of_the_gateway() {
    let backend = Backend::uvicorn();
    let scene = Scene::new(&format!(
        "localhost {{\n    /ours/* {{\n        origin https://app.test\n        proxy {0}\n    }}\n    /* {{\n        proxy {0}\n    }}\n}}",
        backend.port()
    ));
    scene.probe("/refuse?token=s3cret", &[]).is("backend-forbids");
    let said = scene.probe("/ours/ws", &["--origin", "https://evil.test"]);
    said.is("forbidden");
    assert!(said.text.contains("bad-origin"), "the rule of the configuration is named: {}", said.text);
}

#[test]
fn a_backend_that_minds_the_origin_is_found_by_leaving_it_out() {
    let picky = Server::start("picky backend", ([127, 0, 0, 1], 0).into(), |listener| async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let read = socket.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            if request.to_lowercase().contains("origin: https://app.test") {
                let _ = socket.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
                continue;
            }
            let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
            let _ = socket.write_all(format!("{head}{}\r\n\r\n", accept_of(&request)).as_bytes()).await;
            // The probe's masked ping of eight bytes; its pong goes unmasked.
            let mut ping = [0; 14];
            if socket.read_exact(&mut ping).await.is_ok() {
                let text: Vec<u8> = ping[6..].iter().zip(ping[2..6].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
                let _ = socket.write_all(&[&[0x8a, 8], text.as_slice()].concat()).await;
            }
            let _ = socket.read(&mut [0; 64]).await;
        }
    });
    let scene = Scene::before(picky.address().port());
    let said = scene.probe("/ws", &["--origin", "https://app.test"]);
    said.is("backend-origin");
    assert!(said.text.contains("https://app.test"), "{}", said.text);
}

#[test]
fn a_backend_that_is_not_there_is_told_from_one_that_speaks_otherwise() {
    Scene::before(ports::free()).probe("/ws", &[]).is("backend-not-there");
    let ssh = answering(b"SSH-2.0-OpenSSH_9.6\r\n");
    Scene::before(ssh.address().port()).probe("/ws", &[]).is("backend-speaks-otherwise");
}

#[test]
fn a_page_in_the_place_of_a_websocket_is_told() {
    let page = answering(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
    Scene::before(page.address().port()).probe("/ws", &[]).is("not-a-websocket");
    let missing = answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    Scene::before(missing.address().port()).probe("/ws", &[]).is("backend-path");
    let closed = answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    Scene::before(closed.address().port()).probe("/ws", &[]).is("backend-auth");
}

#[test]
fn a_websocket_that_is_closed_at_once_is_told_with_its_code() {
    const HEAD: &str =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n\r\n";
    let said = |close: &[u8]| {
        let answer: &'static [u8] = Vec::leak([HEAD.as_bytes(), close].concat());
        let backend = answering(answer);
        Scene::before(backend.address().port()).probe("/ws?token=s3cret", &[])
    };
    said(b"\x88\x02\x03\xf0").is("closed-policy");
    said(b"\x88\x05\x0f\xa1bye").is("closed-app");
    said(b"").is("closed-1006");
}

#[test]
fn a_handshake_that_a_backend_does_not_take_is_told_with_its_words() {
    let backend = Backend::python();
    let said = Scene::before(backend.port()).probe("/strict", &[]);
    said.is("backend-handshake");
    assert!(said.text.contains("missing subprotocol"), "{}", said.text);
}

#[test]
fn an_upgrade_header_that_is_lost_before_the_gateway_is_told() {
    let backend = Backend::node();
    let box_between = answering(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n");
    let url = format!("ws://127.0.0.1:{}/ws", box_between.address().port());
    probe(&[&url, "--to", &backend.port().to_string()]).is("lost-upgrade");
}

#[test]
fn port_80_needs_wss_and_a_circle_of_redirects_is_a_circle() {
    let scene = Scene::new("localhost {\n    respond 200 here\n}");
    let plain = format!("ws://localhost:{}/ws?token=s3cret", scene.gateway.http);
    probe(&[&plain]).is("needs-tls");
    probe(&[&plain, "--origin", "https://localhost"]).is("mixed-content");
    // A CDN that takes https and asks by http gets the same redirect for ever.
    let circle = answering(b"HTTP/1.1 308 Permanent Redirect\r\nLocation: /x?token=s3cret\r\nContent-Length: 0\r\n\r\n");
    probe(&[&format!("http://127.0.0.1:{}/x?token=s3cret", circle.address().port())]).is("redirect-loop");
    let said = probe(&[&format!("http://127.0.0.1:{}/y", circle.address().port())]);
    said.is("redirect-loop");
}

#[test]
fn what_fails_before_http_is_told_by_its_step() {
    let scene = Scene::new("localhost {\n    respond 200 here\n}");
    let https = scene.gateway.https;
    probe(&[&format!("https://localhost:{https}/")]).is("unknown-authority");
    probe(&[&format!("https://localhost:{https}/"), "--insecure"]).is("fine");
    probe(&[&format!("https://other.localhost:{https}/"), "--connect", &format!("127.0.0.1:{https}")]).is("name-refused");
    probe(&[&format!("https://localhost:{}/", ports::free())]).is("nobody-listens");
    probe(&["wss://no-such-name.invalid/ws"]).is("no-address");
}

#[test]
fn a_person_reads_steps_and_one_diagnosis() {
    let backend = Backend::node();
    let folder = tempfile::tempdir().unwrap();
    let mut command = process::command(env!("CARGO_BIN_EXE_doorward"));
    let url = format!("ws://127.0.0.1:{}/?token=s3cret", backend.port());
    command.args(["probe", &url, "--timeout", "20s"]).current_dir(folder.path());
    let output = process::run("doorward probe", &mut command, SOON);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    for part in ["through the gateway\n  ok   origin ", "ok   tcp ", "ok   http ", "101 Switching Protocols", "\nfine: "] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn a_target_that_is_down_is_told_and_one_that_is_up_is_asked() {
    let (up, dead) = (Backend::node(), [ports::free(), ports::free()]);
    let targets = format!("{} {} {}", dead[0], up.port(), dead[1]);
    let health = "    health /up every 100ms {\n        timeout 10s\n        status 2xx 4xx\n    }\n";
    let scene = Scene::new(&format!("upstream app {{\n    to {targets}\n{health}}}\nlocalhost {{\n    proxy app\n}}\n"));
    // Before any check has ended the gateway may still try a dead one first; it tells what it finds all the same.
    let said = wait::until("the gateway knows who is down", SOON, || {
        let said = scene.probe("/", &[]);
        if said.text.matches("its health check fails").count() == 2 { Ok(said) } else { Err(said.text) }
    });
    said.is("fine");
    let steps = said.report["straight"]["steps"].as_array().unwrap();
    assert!(steps[0]["seen"].as_str().unwrap().starts_with(&format!("127.0.0.1:{} is down (", dead[0])), "{}", said.text);
    assert_eq!(steps.iter().find(|step| step["what"] == "tcp").unwrap()["seen"], format!("127.0.0.1:{}", up.port()));

    // Where no gateway tells who is up, one that cannot be reached says nothing of the next.
    let Scene { mut gateway, root } = scene;
    gateway.stop();
    let url = format!("wss://localhost:{}/", gateway.https);
    let said = probe(&[&url, "--ca", &root.display().to_string(), "--config", &gateway.config_file().display().to_string()]);
    let steps = said.report["straight"]["steps"].as_array().unwrap();
    let told = |number: usize| (steps[number]["what"].clone(), steps[number]["ok"].clone());
    // A port of this machine is tried at both of its addresses.
    let tried = [told(0), told(1), told(2)];
    assert_eq!(tried, [false, false, true].map(|ok| ("tcp".into(), ok.into())), "{}", said.text);
}
