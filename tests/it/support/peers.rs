//! Backends and clients that people really have: Uvicorn with FastAPI, Node's ws, Python's websockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::{self, Process};
use super::{ports, wait, yard};

const START: Duration = wait::LIMIT;
const TALK: Duration = wait::LIMIT;

/// A running backend.
pub struct Backend {
    port: u16,
    process: Process,
}

impl Backend {
    /// Uvicorn, as one starts it, with the application of `tests/yard/app.py`.
    pub fn uvicorn() -> Self {
        Self::uvicorn_at(ports::free(), &[])
    }

    /// The same at a port of one's choice and with more arguments.
    pub fn uvicorn_at(port: u16, arguments: &[&str]) -> Self {
        Self::start_at(port, "uvicorn", |port| {
            let mut command = process::command(yard::tool("python/bin/python"));
            command.args(["-m", "uvicorn", "app:app", "--port", &port.to_string(), "--app-dir"]).arg(yard::script(""));
            command.args(arguments);
            command
        })
    }

    /// A WebSocket server on Node's ws.
    pub fn node() -> Self {
        Self::start("node", |port| {
            let mut command = node(&yard::script("server.js"));
            command.arg(port.to_string());
            command
        })
    }

    /// A WebSocket server on Python's websockets.
    pub fn python() -> Self {
        Self::start("python", |port| {
            let mut command = process::command(yard::tool("python/bin/python"));
            command.arg(yard::script("server.py")).arg(port.to_string());
            command
        })
    }

    /// A gRPC server.
    pub fn grpc() -> Self {
        Self::start("grpc", |port| {
            let mut command = process::command(yard::tool("python/bin/python"));
            command.arg(yard::script("grpc_server.py")).arg(port.to_string());
            command
        })
    }

    fn start(name: &str, command: impl FnOnce(u16) -> Command) -> Self {
        Self::start_at(ports::free(), name, command)
    }

    fn start_at(port: u16, name: &str, command: impl FnOnce(u16) -> Command) -> Self {
        let process = Process::start(name, &mut command(port));
        wait::until_listening(name, SocketAddr::from((Ipv4Addr::LOCALHOST, port)), START);
        Self { port, process }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The running program.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// A client that opens the WebSocket at `url` through `port`, says nothing, and tells how it was closed; as soon as it is
/// open. By Python's websockets.
pub fn quiet_python(url: &str, port: u16, roots: &Path) -> Process {
    let mut command = process::command(yard::tool("python/bin/python"));
    command.arg(yard::script("quiet.py"));
    quiet("Python websockets", command, url, port, roots)
}

/// As [`quiet_python`], by Node's ws.
pub fn quiet_node(url: &str, port: u16, roots: &Path) -> Process {
    quiet("Node ws", node(&yard::script("quiet.js")), url, port, roots)
}

fn quiet(name: &str, mut command: Command, url: &str, port: u16, roots: &Path) -> Process {
    let mut client = Process::start(name, command.args([url, &port.to_string()]).arg(roots));
    client.until_said("open", START);
    client
}

/// Runs wscat for two seconds after it is connected; what it showed.
pub fn wscat(arguments: &[&str]) -> String {
    let mut command = node(&yard::tool("node/node_modules/wscat/bin/wscat"));
    let output = process::run_with_open_input("wscat", command.args(arguments), TALK);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Has Python's websockets talk to the echo at `url` through `port`; what was agreed. `close` is what makes the server
/// close with 4001: a message, or a path to connect to.
pub fn talk_by_python(url: &str, port: u16, roots: &Path, close: &str) -> String {
    let mut command = process::command(yard::tool("python/bin/python"));
    command.arg(yard::script("client.py"));
    talk("Python websockets", command, url, port, roots, close)
}

/// As [`talk_by_python`], by Node's ws.
pub fn talk_by_node(url: &str, port: u16, roots: &Path, close: &str) -> String {
    talk("Node ws", node(&yard::script("client.js")), url, port, roots, close)
}

fn talk(name: &str, mut command: Command, url: &str, port: u16, roots: &Path, close: &str) -> String {
    let output = process::run(name, command.args([url, &port.to_string()]).arg(roots).arg(close), TALK);
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(
        output.status.success() && said.starts_with("ok"),
        "{name} with {url}: {said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

fn node(script: &Path) -> Command {
    let mut command = process::command("node");
    command.env("NODE_PATH", yard::tool("node/node_modules")).arg(script);
    command
}

/// Runs curl so that every name is 127.0.0.1; what it wrote.
pub fn curl(arguments: &[&str]) -> String {
    let mut command = process::command("curl");
    command.args(["--silent", "--show-error", "--max-time", "100", "--connect-to", "::127.0.0.1:"]).args(arguments);
    let output = process::run("curl", &mut command, TALK);
    assert!(output.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The status that curl gets for `url`.
pub fn curl_status(url: &str) -> String {
    curl(&["--output", "/dev/null", "--write-out", "%{http_code}", url])
}
