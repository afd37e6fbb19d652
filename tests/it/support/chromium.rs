//! Chromium without a window, driven by its own debugging protocol. It trusts one root more than usual, in the way in
//! which a person would make it: by the certificate store of its user.

use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::process::{self, Process};
use super::{server, wait, yard};

const START: Duration = wait::LIMIT;
const ANSWER: Duration = wait::LIMIT;

/// An open browser with one page.
pub struct Chromium {
    folder: TempDir,
    process: Process,
}

impl Chromium {
    /// Opens `url`; every name is 127.0.0.1 to it. `flags` are added to its command line.
    pub fn open(url: &str, root: &Path, flags: &[&str]) -> Self {
        Self::open_over_quic(url, root, &[&["--disable-quic"], flags].concat())
    }

    /// As [`open`](Self::open), with QUIC where it is offered.
    pub fn open_over_quic(url: &str, root: &Path, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        trust(folder.path(), root);
        let mut command = process::command(yard::tool("chromium"));
        command.env("HOME", folder.path()).args(QUIET).args(flags);
        command.arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
        command.args(["--remote-debugging-port=0", "--host-resolver-rules=MAP * 127.0.0.1", url]);
        Self { process: Process::start("chromium", &mut command), folder }
    }

    /// What an expression is in the page, promises awaited. An exception fails the test.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        self.try_evaluate(expression).unwrap_or_else(|complaint| panic!("{expression}: {complaint}"))
    }

    fn try_evaluate(&mut self, expression: &str) -> Result<Value, String> {
        let address = self.page_address();
        server::runtime().block_on(async {
            tokio::time::timeout(ANSWER, evaluate(&address, expression))
                .await
                .unwrap_or_else(|_| panic!("{expression}: no answer"))
        })
    }

    /// Waits until an expression is true in the page, which may be loading still.
    pub fn until_true(&mut self, expression: &str, limit: Duration) {
        wait::until(&format!("the page has {expression}"), limit, || {
            match self.try_evaluate(&format!("({expression}) ? true : document.documentElement.innerText")) {
                Ok(Value::Bool(true)) => Ok(()),
                Ok(page) => Err(page.to_string()),
                Err(complaint) => Err(complaint),
            }
        });
    }

    /// The debugging address of its page.
    fn page_address(&mut self) -> String {
        let file = self.folder.path().join("profile/DevToolsActivePort");
        let process = &mut self.process;
        wait::until("chromium opens its page", START, || {
            assert!(process.exit_status().is_none(), "chromium ended:\n{}", process.output());
            let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
            let port = text.lines().next().unwrap_or_default().to_owned();
            let mut curl = process::command("curl");
            curl.args(["--silent", "--max-time", "5", &format!("http://127.0.0.1:{port}/json/list")]);
            let list = process::run("curl", &mut curl, ANSWER).stdout;
            let pages: Value = serde_json::from_slice(&list).map_err(|error| error.to_string())?;
            let page = pages.as_array().and_then(|pages| pages.iter().find(|page| page["type"] == "page"));
            page.and_then(|page| page["webSocketDebuggerUrl"].as_str()).map(str::to_owned).ok_or_else(|| pages.to_string())
        })
    }
}

/// For a machine without a screen, a sandbox or the internet.
const QUIET: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

fn trust(home: &Path, root: &Path) {
    let store = home.join(".pki/nssdb");
    fs::create_dir_all(&store).unwrap();
    let store = format!("sql:{}", store.display());
    let certutil = |arguments: &[&str]| {
        let mut command = process::command("certutil");
        let output = process::run("certutil", command.args(["-d", &store]).args(arguments), ANSWER);
        assert!(output.status.success(), "certutil {arguments:?}: {output:?}");
    };
    certutil(&["-N", "--empty-password"]);
    certutil(&["-A", "-n", "yard", "-t", "C,,", "-i", &root.to_string_lossy()]);
}

async fn evaluate(address: &str, expression: &str) -> Result<Value, String> {
    let host = address.trim_start_matches("ws://").split('/').next().unwrap_or_default();
    let stream = TcpStream::connect(host).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(address, stream).await.unwrap();
    let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
    let request = json!({ "id": 1, "method": "Runtime.evaluate", "params": parameters });
    socket.send(Message::text(request.to_string())).await.unwrap();
    while let Some(message) = socket.next().await {
        let mut reply: Value = serde_json::from_str(message.unwrap().to_text().unwrap()).unwrap();
        if reply["id"] == 1 {
            let went_well = reply["error"].is_null() && reply["result"]["exceptionDetails"].is_null();
            return if went_well { Ok(reply["result"]["result"]["value"].take()) } else { Err(reply.to_string()) };
        }
    }
    Err("chromium hung up".to_owned())
}
