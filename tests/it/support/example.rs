//! The configurations of `config/examples/`, run as they stand but for what a test cannot have: names that the whole
//! Internet knows, other people's ports and folders.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::gateway::Gateway;
use super::line::Line;
use super::peers::curl;
use super::yard;

const SOON: Duration = super::wait::LIMIT;

/// An example on its way to a gateway.
pub struct Example(String);

impl Example {
    /// The folder they are in.
    pub fn folder() -> PathBuf {
        yard::repository().join("config/examples")
    }

    /// `NAME.conf`, with `example.localhost` for `example.com`: the local authority vouches for that.
    pub fn of(name: &str) -> Self {
        let text = fs::read_to_string(Self::folder().join(format!("{name}.conf"))).unwrap();
        Self(text.replace("example.com", "example.localhost"))
    }

    /// With `to` wherever it says `from`.
    pub fn with(self, from: &str, to: impl ToString) -> Self {
        assert!(self.0.contains(from), "the example does not say {from:?}:\n{}", self.0);
        Self(self.0.replace(from, &to.to_string()))
    }

    /// With this backend for the one at `port`.
    pub fn with_backend(self, port: u16, real: u16) -> Self {
        self.with(&format!("127.0.0.1:{port}"), format!("127.0.0.1:{real}"))
    }

    /// A gateway that does as it says, `host` being a name of its.
    pub fn run(self, host: &str) -> Running {
        let mut gateway = Gateway::prepare();
        gateway.configure("", &self.0);
        gateway.start();
        let root = gateway.local_root();
        gateway.until_served(host, &root, SOON);
        Running { gateway, root, host: host.to_owned() }
    }

    /// The text as it is now.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// A running example.
pub struct Running {
    pub gateway: Gateway,
    pub root: PathBuf,
    host: String,
}

/// An answer as curl shows it.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case, a line each.
    head: String,
    pub body: String,
}

impl Answer {
    /// A header's value; the first one's, if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no header: {text:?}"));
        let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {head:?}"));
        Self { status, head: head.to_lowercase(), body: body.to_owned() }
    }
}

impl Running {
    /// A URL of the example's first name.
    pub fn url(&self, scheme: &str, path: &str) -> String {
        let port = if scheme == "http" { self.gateway.http } else { self.gateway.https };
        format!("{scheme}://{}:{port}{path}", self.host)
    }

    /// Has curl ask for a path.
    pub fn ask(&self, path: &str, arguments: &[&str]) -> Answer {
        self.ask_url(&self.url("https", path), arguments)
    }

    /// Has curl ask for a URL.
    pub fn ask_url(&self, url: &str, arguments: &[&str]) -> Answer {
        let root = self.root.to_string_lossy().into_owned();
        let fixed = ["--include", "--http1.1", "--header", "Expect:", "--cacert", &root];
        Answer::read(&curl(&[&fixed, arguments, &[url]].concat()))
    }

    /// What the opening of a WebSocket is answered with, and its connection.
    pub fn upgrade(&self, path: &str, fields: &[&str]) -> (u16, Line) {
        let mut line = Line::open(&self.host, self.gateway.https, &self.root);
        line.say(upgrade(&format!("{}:{}", self.host, self.gateway.https), path, fields).as_bytes());
        let answer = Answer::read(&line.head());
        (answer.status, line)
    }
}

/// A WebSocket's opening handshake.
pub fn upgrade(host: &str, path: &str, fields: &[&str]) -> String {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
}
