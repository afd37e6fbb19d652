//! What people run behind a gateway and come with: Uvicorn with FastAPI, Node's ws, Python's websockets, curl.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::gateway::Gateway;
use crate::support::peers::{self, Backend, curl, curl_status};
use crate::support::process::{self, Process};
use crate::support::server::Server;
use crate::support::{ports, wait};

const SOON: Duration = wait::LIMIT;

/// A gateway on localhost before a backend.
struct Scene {
    gateway: Gateway,
    root: PathBuf,
    _backend: Backend,
}

impl Scene {
    fn new(backend: Backend) -> Self {
        let mut gateway = Gateway::prepare();
        gateway.configure("", &format!("localhost {{\n    proxy {}\n}}", backend.port()));
        gateway.start();
        let root = gateway.local_root();
        gateway.until_served("localhost", &root, SOON);
        Self { gateway, root, _backend: backend }
    }

    fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://localhost:{}{path}", self.gateway.https)
    }

    /// curl with the local root, and what it wrote.
    fn curl(&self, arguments: &[&str], path: &str) -> String {
        let (root, url) = (self.root.to_string_lossy().into_owned(), self.url("https", path));
        curl(&[&["--cacert", &root], arguments, &[&url]].concat())
    }

    /// Python's and Node's clients both, and what they agreed on.
    fn talk(&self, path: &str, close: &str) -> [String; 2] {
        let url = self.url("wss", path);
        [
            peers::talk_by_python(&url, self.gateway.https, &self.root, close),
            peers::talk_by_node(&url, self.gateway.https, &self.root, close),
        ]
    }
}

#[test]
fn python_and_node_talk_to_uvicorn() {
    let scene = Scene::new(Backend::uvicorn());
    for agreed in scene.talk("/ws", "/close") {
        assert!(agreed.contains("subprotocol=chat.v2") && agreed.contains("permessage-deflate"), "{agreed}");
    }
}

#[test]
fn python_and_node_talk_to_node() {
    let scene = Scene::new(Backend::node());
    for agreed in scene.talk("/", "close") {
        assert!(agreed.contains("subprotocol=chat.v2") && agreed.contains("permessage-deflate"), "{agreed}");
    }
}

#[test]
fn python_and_node_talk_to_python_whose_pings_pass() {
    let scene = Scene::new(Backend::python());
    for agreed in scene.talk("/", "close") {
        assert!(agreed.contains("subprotocol=chat.v2") && agreed.contains("permessage-deflate"), "{agreed}");
    }
}

#[test]
fn fastapi_sees_who_came_and_how() {
    let scene = Scene::new(Backend::uvicorn());
    for version in ["--http1.1", "--http2"] {
        let text = scene.curl(&[version, "--data", "twelve bytes", "--header", "X-Forwarded-For: 192.0.2.1"], "/echo?q=1");
        let seen: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&seen["method"], &seen["path"], &seen["query"], &seen["body"]),
            (&"POST".into(), &"/echo".into(), &"q=1".into(), &12.into())
        );
        let headers = &seen["headers"];
        assert_eq!(headers["x-forwarded-for"], "127.0.0.1", "what a stranger says of himself is not believed");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["host"], format!("localhost:{}", scene.gateway.https));
        // Uvicorn believes a proxy on loopback, as it stands.
        assert_eq!(seen["scheme"], "https");
    }
}

#[test]
fn an_event_stream_begins_at_once() {
    let scene = Scene::new(Backend::uvicorn());
    for version in ["--http1.1", "--http2"] {
        let mut command = process::command("curl");
        command.args(["--silent", "--no-buffer", version, "--cacert"]).arg(&scene.root).arg(scene.url("https", "/events"));
        let mut stream = Process::start("curl", &mut command);
        stream.until_said("data: first", SOON);
    }
}

#[test]
fn a_refused_websocket_keeps_the_backends_status() {
    let scene = Scene::new(Backend::uvicorn());
    let arguments = ["--http1.1", "--output", "/dev/null", "--write-out", "%{http_code}"];
    let upgrade =
        ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
    let headers: Vec<&str> = upgrade.iter().flat_map(|header| ["--header", header]).collect();
    assert_eq!(scene.curl(&[&arguments, headers.as_slice()].concat(), "/refuse"), "403");
}

#[test]
fn port_80_sends_on_to_https_and_tells_a_websocket_where_to_go() {
    let scene = Scene::new(Backend::node());
    let plain = format!("http://localhost:{}/a/b?c=d", scene.gateway.http);
    let said = curl(&["--include", &plain]);
    let location = format!("location: {}", scene.url("https", "/a/b?c=d"));
    assert!(said.starts_with("HTTP/1.1 308") && said.to_lowercase().contains(&location), "{said}");
    let upgrade = ["--include", "--header", "Connection: Upgrade", "--header", "Upgrade: websocket", &plain];
    let said = curl(&upgrade);
    assert!(said.starts_with("HTTP/1.1 426") && said.contains(&scene.url("wss", "/a/b?c=d")), "{said}");
    let strange = curl(&["--include", "--header", "Host: evil.example", &plain]);
    assert!(!strange.to_lowercase().contains("location: https://evil.example"), "{strange}");
}

#[test]
fn a_backend_that_is_not_there_is_502() {
    let mut gateway = Gateway::prepare();
    gateway.configure("", &format!("http://localhost {{\n    proxy {}\n}}", ports::free()));
    gateway.launch();
    wait::until_listening("the gateway", ([127, 0, 0, 1], gateway.http).into(), SOON);
    assert_eq!(curl_status(&format!("http://localhost:{}/", gateway.http)), "502");
    gateway.process().until_said("refused", SOON);
}

#[test]
fn a_backend_that_dies_in_the_middle_gives_a_broken_answer_never_a_clean_end() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let dying = Server::start("dying backend", ([127, 0, 0, 1], 0).into(), move |listener| async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    let mut gateway = Gateway::prepare();
    gateway.configure("", &format!("localhost {{\n    proxy {}\n}}", dying.address().port()));
    gateway.start();
    let root = gateway.local_root();
    for version in ["--http1.1", "--http2"] {
        let mut command = process::command("curl");
        command
            .args(["--silent", "--max-time", "20", version, "--cacert"])
            .arg(&root)
            .arg(format!("https://localhost:{}/", gateway.https));
        let output = process::run("curl", &mut command, SOON);
        assert_eq!(output.stdout, b"hello", "{version}: what came before is passed on");
        // 18: a partial file; 92: the stream was reset; 56: the connection was.
        assert!([18, 56, 92].contains(&output.status.code().unwrap_or_default()), "{version}: {output:?}");
    }
}
