//! WebSockets over their life, with the programs of the field at both ends: they stand while nobody speaks, they end when an
//! end is stopped in its tracks, they wait for a backend that restarts, and wscat sees what a person should see.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::example::upgrade;
use crate::support::gateway::Gateway;
use crate::support::line::Line;
use crate::support::peers::{self, Backend};
use crate::support::process::Process;
use crate::support::tunnels::Tunnels;
use crate::support::{echo, ports, wait};

const SOON: Duration = wait::LIMIT;

/// A gateway on localhost before a backend, with words of its site.
fn before(backend: u16, words: &str) -> (Gateway, std::path::PathBuf) {
    Gateway::on_localhost(&format!("localhost {{\n    {words}\n    proxy {backend}\n}}"))
}

#[test]
fn fifty_pings_of_uvicorn_and_of_websockets_keep_a_tunnel_in_which_nobody_speaks() {
    // Either would close a connection whose client does not answer.
    let often = ["--ws-ping-interval", "0.05", "--ws-ping-timeout", "5"];
    for backend in [Backend::uvicorn_at(ports::free(), &often), Backend::python()] {
        for words in ["", "limit message 1MiB"] {
            let (gateway, root) = before(backend.port(), words);
            let mut tunnels = Tunnels::open("localhost", gateway.https, &root, 2);
            tunnels.until_pinged(50);
            tunnels.echo_all();
        }
    }
}

/// A client that is open, and what it is called.
type Open = fn(&str, u16, &Path) -> Process;

#[test]
fn a_client_that_is_stopped_is_found_by_pings_and_its_backend_is_told() {
    let check = |mut backend: Backend, open: Open| {
        let (gateway, root) = before(backend.port(), "ping 1s");
        let url = format!("wss://localhost:{}/ws", gateway.https);
        let mut answers = open(&url, gateway.https, &root);
        let stopped = open(&url, gateway.https, &root);
        stopped.signal("STOP");
        backend.process().until_said("closed 1001", SOON);
        assert_eq!(ended(&gateway, 1), ["client-silent"]);
        assert!(answers.exit_status().is_none() && !answers.output().contains("closed"), "{}", answers.output());
    };
    thread::scope(|scope| {
        scope.spawn(|| check(Backend::node(), peers::quiet_python));
        scope.spawn(|| check(Backend::python(), peers::quiet_node));
    });
}

#[test]
fn a_backend_that_is_stopped_is_found_by_pings_and_its_clients_are_told() {
    let check = |mut backend: Backend, open: Open| {
        let (gateway, root) = before(backend.port(), "ping 1s");
        let url = format!("wss://localhost:{}/ws", gateway.https);
        let mut clients = [open(&url, gateway.https, &root), open(&url, gateway.https, &root)];
        backend.process().signal("STOP");
        for client in &mut clients {
            client.until_said("closed 1011", SOON);
        }
        assert_eq!(ended(&gateway, 2), ["backend-silent", "backend-silent"]);
    };
    thread::scope(|scope| {
        scope.spawn(|| check(Backend::node(), peers::quiet_python));
        scope.spawn(|| check(Backend::python(), peers::quiet_node));
    });
}

/// Why the first so many tunnels ended, as the access log has it; each stood for as long as a ping and its answer may take.
fn ended(gateway: &Gateway, count: usize) -> Vec<String> {
    let records = wait::until("the tunnels are logged", SOON, || {
        let log = gateway.output();
        let lines = log.lines().filter(|line| line.contains("\"status\":101"));
        let records: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        if records.len() >= count { Ok(records) } else { Err(log) }
    });
    let stood = |record: &Value| record["duration_ms"].as_f64().unwrap();
    assert!(records.iter().all(|record| stood(record) >= 2_000.0), "{records:?}");
    records.iter().map(|record| record["reason"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_kernel_probes_the_connections_of_a_tunnel_on_both_sides() {
    let backend = Backend::node();
    let (gateway, root) = before(backend.port(), "");
    let _tunnel = Tunnels::open("localhost", gateway.https, &root, 1);
    // Ours towards the client are those that end at our port; ours towards the backend those that go to its port.
    is_probed("client", 15, |connection| connection.local == gateway.https);
    is_probed("backend", 60, |connection| connection.remote == backend.port());
}

/// Waits until the kernel probes each of these connections after so many seconds of silence at the most.
fn is_probed(side: &str, most: u64, is_ours: impl Fn(&Connection) -> bool) {
    wait::until(&format!("the {side} is probed"), SOON, || {
        let mut ours = connections();
        ours.retain(&is_ours);
        let probed = |connection: &Connection| connection.timer == KEEPALIVE && (1..=most).contains(&connection.seconds);
        if !ours.is_empty() && ours.iter().all(probed) { Ok(()) } else { Err(ours) }
    });
}

/// An established connection of this machine, as the kernel tells of it.
#[derive(Debug)]
struct Connection {
    local: u16,
    remote: u16,
    /// Which timer runs, and when it is over.
    timer: u8,
    seconds: u64,
}

/// `tr` in proc_net_tcp: a timer that is neither for sending again nor for a closed window, nor for a closed connection.
const KEEPALIVE: u8 = 2;

fn connections() -> Vec<Connection> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':').unwrap().1, 16).unwrap();
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    let established = rows.filter(|row| row[3] == "01");
    established
        .map(|row| {
            let (timer, when) = row[5].split_once(':').unwrap();
            // In hundredths of a second, rounded up.
            let seconds = u64::from_str_radix(when, 16).unwrap().div_ceil(100);
            Connection { local: port(row[1]), remote: port(row[2]), timer: timer.parse().unwrap(), seconds }
        })
        .collect()
}

#[test]
fn wscat_talks_through_the_gateway_and_shows_the_status_of_a_refusal() {
    let backend = Backend::uvicorn();
    let words = "origin https://localhost\n    /closed {\n        respond 404 closed\n    }";
    let (gateway, root) = before(backend.port(), words);
    let root = root.to_string_lossy().into_owned();
    let wscat = |path: &str, more: &[&str]| {
        let url = format!("wss://localhost:{}{path}", gateway.https);
        let fixed = ["--no-color", "--ca", &root, "--execute", "good evening", "--wait", "1", "--connect", &url];
        peers::wscat(&[&fixed[..], more].concat())
    };
    let ours = ["--origin", "https://localhost"];
    assert_eq!(wscat("/ws", &ours), "good evening\n");
    assert_eq!(wscat("/ws", &[&ours[..], &["--subprotocol", "chat.v2"]].concat()), "good evening\n");
    for (path, origin, status) in
        [("/ws", "https://evil.example", 403), ("/refuse", "https://localhost", 403), ("/closed", "https://localhost", 404)]
    {
        let said = wscat(path, &["--origin", origin]);
        assert!(said.contains(&format!("Unexpected server response: {status}")), "{path} from {origin}: {said}");
    }
    assert!(wscat("/ws", &[]).contains("403"), "who names no page is refused where pages are listed");
    let said = peers::wscat(&["--connect", &format!("wss://localhost:{}/ws", gateway.https)]);
    assert!(said.contains("certificate"), "who does not know the local authority is told so: {said}");
}

#[test]
fn the_messages_of_a_client_are_counted_over_all_of_its_tunnels() {
    let backend = echo::start();
    let site = format!("localhost {{\n    limit message 1KiB 6/10min\n    proxy {}\n}}", backend.address().port());
    let (gateway, root) = Gateway::on_localhost(&site);
    let host = format!("localhost:{}", gateway.https);
    let open = || {
        let mut line = Line::open("localhost", gateway.https, &root);
        line.say(upgrade(&host, "/ws", &[]).as_bytes());
        assert!(line.head().starts_with("HTTP/1.1 101"));
        line
    };
    let (mut first, mut second) = (open(), open());
    for tunnel in [&mut first, &mut second] {
        for _ in 0..3 {
            tunnel.say(b"\x81\x82\0\0\0\0hi");
            assert_eq!(tunnel.exactly(4), b"\x81\x02hi");
        }
    }
    for mut tunnel in [second, first, open()] {
        tunnel.say(b"\x81\x82\0\0\0\0hi");
        assert_eq!(tunnel.exactly(4)[2..], 1008_u16.to_be_bytes(), "a seventh message");
    }
}

#[test]
fn a_request_and_a_websocket_wait_while_uvicorn_restarts() {
    let mut backend = Backend::uvicorn();
    let port = backend.port();
    let upstream = format!("upstream app {{\n    to 127.0.0.1:{port}\n    hold 60s\n}}");
    let (gateway, root) = Gateway::on_localhost(&format!("{upstream}\nlocalhost {{\n    proxy app\n}}"));
    backend.process().kill();
    let host = format!("localhost:{}", gateway.https);
    let ask = |request: String| {
        let mut line = Line::open("localhost", gateway.https, &root);
        line.say(request.as_bytes());
        assert_eq!(line.rest(Duration::from_millis(500)), None, "it is kept waiting");
        line
    };
    let mut page = ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let mut tunnel = ask(upgrade(&host, "/ws", &[]));
    let _again = Backend::uvicorn_at(port, &[]);
    let answer = page.answer();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello from uvicorn"), "{answer}");
    let head = tunnel.head();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    tunnel.say(b"\x81\x85\0\0\0\0still");
    assert_eq!(tunnel.exactly(7), b"\x81\x05still");
}
