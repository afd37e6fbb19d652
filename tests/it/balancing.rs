//! Backends that go and come, as their operator sees it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::gateway::Gateway;
use crate::support::peers::{curl, curl_status};
use crate::support::server::Server;
use crate::support::tunnels::Tunnels;
use crate::support::{echo, wait};

const SOON: Duration = wait::LIMIT;

/// What `status` says of a target.
fn target(gateway: &Gateway, address: SocketAddr) -> Value {
    let status = gateway.run("status --json");
    let report: Value = serde_json::from_slice(&status.stdout).unwrap_or_else(|error| panic!("{error}: {status:?}"));
    let targets = report["upstreams"].as_array().into_iter().flatten().flat_map(|group| group["targets"].as_array().unwrap());
    targets.into_iter().find(|target| target["target"] == address.to_string()).cloned().unwrap_or_default()
}

fn until_state(gateway: &Gateway, address: SocketAddr, state: &str) -> Value {
    wait::until(&format!("{address} is {state}"), SOON, || {
        let target = target(gateway, address);
        if target["state"] == state { Ok(target) } else { Err(target) }
    })
}

#[test]
fn a_backend_is_drained_by_command_and_its_tunnels_live_on() {
    let (first, second) = (echo::start(), echo::start());
    let mut gateway = Gateway::prepare();
    let site = |words: &str| {
        let targets = format!("{} {}", first.address(), second.address());
        format!("upstream app {{\n    to {targets}\n{words}}}\nlocalhost {{\n    proxy app\n}}\n")
    };
    gateway.configure("", &site(""));
    gateway.start();
    let root = gateway.local_root();
    gateway.until_served("localhost", &root, SOON);
    let mut tunnels = Tunnels::open("localhost", gateway.https, &root, 4);
    assert_eq!(target(&gateway, first.address())["open"], 2);

    let drained = gateway.run(&format!("drain {}", first.address().port()));
    let said = String::from_utf8_lossy(&drained.stdout).into_owned();
    assert!(drained.status.success() && said.contains("2 requests and tunnels are still open on it"), "{drained:?}");
    let mut more = Tunnels::open("localhost", gateway.https, &root, 4);
    let state = target(&gateway, first.address());
    assert_eq!((&state["state"], &state["open"]), (&"draining".into(), &2.into()));
    assert_eq!(target(&gateway, second.address())["open"], 6);
    tunnels.echo_all();
    more.echo_all();

    gateway.configure("", &site("    retry 2\n"));
    assert!(gateway.run("reload").status.success());
    assert_eq!(target(&gateway, first.address())["state"], "draining");
    tunnels.echo_all();
    drop(tunnels);
    until_state(&gateway, first.address(), "drained");

    assert!(gateway.run(&format!("undrain {}", first.address())).status.success());
    until_state(&gateway, first.address(), "up");
    let unknown = gateway.run("drain 10.9.9.9:1");
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && said.contains(&second.address().to_string()), "{unknown:?}");
}

#[test]
fn checks_take_a_backend_out_and_bring_it_back_and_status_tells_why() {
    let status = Arc::new(AtomicU16::new(200));
    let said = Arc::clone(&status);
    let backend = Server::start("backend that may be ill", ([127, 0, 0, 1], 0).into(), move |listener| async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let answer = format!("HTTP/1.1 {} X\r\ncontent-length: 0\r\n\r\n", said.load(Ordering::Relaxed));
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    let mut gateway = Gateway::prepare();
    let site = |words: &str| {
        let health = "    health /up every 100ms {\n        timeout 10s\n    }\n";
        let to = backend.address();
        format!("upstream app {{\n    to {to}\n{health}{words}}}\nhttp://localhost {{\n    proxy app\n}}\n")
    };
    gateway.configure("", &site(""));
    gateway.launch();
    wait::until_listening("the gateway", ([127, 0, 0, 1], gateway.http).into(), SOON);
    let url = format!("http://localhost:{}/", gateway.http);
    until_state(&gateway, backend.address(), "up");
    assert_eq!(curl_status(&url), "200");

    status.store(500, Ordering::Relaxed);
    let down = until_state(&gateway, backend.address(), "down");
    assert_eq!(down["why"], "its health check fails: /up answered 500 Internal Server Error, not 2xx or 3xx");
    assert_eq!(curl_status(&url), "503");
    gateway.process().until_said("target_down", SOON);
    gateway.process().until_said("no target can take the request", SOON);

    gateway.configure("", &site("    retry 3\n"));
    assert!(gateway.run("reload").status.success());
    assert_eq!(target(&gateway, backend.address())["state"], "down", "a reload is no reason to believe that it is well");

    status.store(204, Ordering::Relaxed);
    until_state(&gateway, backend.address(), "up");
    assert_eq!(curl_status(&url), "204");
    gateway.process().until_said("target_up", SOON);
}

/// A server that answers every request with 503 and counts them.
fn overloaded(address: SocketAddr) -> (Server, Arc<AtomicU16>) {
    let asked = Arc::new(AtomicU16::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start("overloaded backend", address, move |listener| async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            count.fetch_add(1, Ordering::Relaxed);
            let _ = socket.write_all(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        }
    });
    (server, asked)
}

#[test]
fn a_circuit_opens_on_a_backend_that_drowns_and_closes_when_it_works_again() {
    let healthy = echo::start();
    let address = healthy.address();
    let mut gateway = Gateway::prepare();
    let rule = "circuit-breaker 50% of 6 within 1min out 2s";
    gateway.configure("", &format!("upstream app {{\n    to {address}\n    {rule}\n}}\nlocalhost {{\n    proxy app\n}}\n"));
    gateway.start();
    let root = gateway.local_root();
    gateway.until_served("localhost", &root, SOON);
    let mut tunnels = Tunnels::open("localhost", gateway.https, &root, 1);
    tunnels.echo_all();
    drop(tunnels);
    drop(healthy);

    let (drowning, asked) = overloaded(address);
    let url = format!("https://localhost:{}/", gateway.https);
    let root_of = root.display().to_string();
    let plain = |words: &[&str]| {
        curl(
            &[&["-s", "--cacert", &root_of, "-o", "/dev/null", "-w", "%{http_code} %header{retry-after}"], words, &[&url]]
                .concat(),
        )
    };
    let upgrade = [
        "--http1.1",
        "-H",
        "Connection: Upgrade",
        "-H",
        "Upgrade: websocket",
        "-H",
        "Sec-WebSocket-Version: 13",
        "-H",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let mut refused = 0;
    for turn in 0..20 {
        let said = plain(if turn % 2 == 0 { &[] } else { &upgrade });
        assert!(said.starts_with("503"), "{said}");
        refused += usize::from(said.trim() != "503");
    }
    let sent = usize::from(asked.load(Ordering::Relaxed));
    assert_eq!(sent + refused, 20, "what the gateway refuses has Retry-After, and the backend saw none of it");
    assert!(refused > 5, "{sent} reached the backend");
    let open = target(&gateway, address);
    let why = open["why"].as_str().unwrap_or_default();
    assert!(
        open["state"].as_str().unwrap_or_default().starts_with("circuit ") && why.contains("requests failed within 1min"),
        "{open}"
    );
    let line = gateway.process().until_said("circuit_open", SOON);
    assert!(line.contains(&address.to_string()) && line.contains(r#""limit":"50%""#), "{line}");

    drop(drowning);
    let _healthy = echo::start_at(address);
    wait::until("the circuit closes", SOON, || Some(plain(&[])).filter(|said| said.starts_with("200")).ok_or("not yet"));
    Tunnels::open("localhost", gateway.https, &root, 4).echo_all();
    gateway.process().until_said("circuit_closed", SOON);
    assert_eq!(gateway.output().matches("circuit_open").count(), 1, "a trial that fails is no news");
}
