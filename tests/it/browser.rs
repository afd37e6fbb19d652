//! The demo as a person sees it: `doorward demo`, and Chromium on its page.

use std::time::Duration;

use serde_json::Value;

use crate::support::chromium::Chromium;
use crate::support::gateway::Gateway;
use crate::support::process::{self, Process};
use crate::support::{ports, wait};

const SOON: Duration = wait::LIMIT;

#[test]
fn the_demo_page_talks_over_http_2() {
    visit(&[], "HTTP/2", "HTTP/2.0");
}

#[test]
fn the_demo_page_talks_over_http_1() {
    visit(&["--disable-http2"], "HTTP/1.1", "HTTP/1.1");
}

fn visit(flags: &[&str], protocol: &str, version: &str) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let (http, https) = (ports::free().to_string(), ports::free().to_string());
    let mut command = process::command(env!("CARGO_BIN_EXE_doorward"));
    command.args(["demo", "--bind", "127.0.0.1", "--http-port", &http, "--https-port", &https, "--state"]).arg(&state);
    let mut demo = Process::start("doorward demo", command.current_dir(folder.path()));
    let url = format!("https://localhost:{https}");
    demo.until_said(&url, SOON);
    let root = Gateway::local_root_in(&state);
    let mut chromium = Chromium::open(&url, &root, flags);
    chromium.until_true("document.getElementById('state')?.textContent === 'open'", SOON);
    assert_eq!(chromium.evaluate("document.getElementById('protocol').textContent"), protocol);
    // The page invites to this: a reload that its tunnel does not notice.
    let mut reload = process::command(env!("CARGO_BIN_EXE_doorward"));
    let reloaded = process::run("doorward reload", reload.arg("reload").arg("--socket").arg(state.join("admin.sock")), SOON);
    assert!(reloaded.status.success(), "{reloaded:?}");
    // Something said comes back from the server, and a second socket hears it as well.
    let said = chromium.evaluate(
        "new Promise((heard, never) => {
            const other = new WebSocket(location.href.replace('https:', 'wss:') + 'ws');
            other.onmessage = message => message.data.includes('good evening') && heard(message.data);
            other.onerror = () => never(new Error('the second socket failed'));
            other.onopen = () => {
                document.getElementById('text').value = 'good evening';
                document.getElementById('form').requestSubmit();
            };
        })",
    );
    assert!(said.as_str().is_some_and(|text| text.contains("good evening")), "{said}");
    chromium.until_true("document.getElementById('lines').innerText.includes('good evening')", SOON);
    assert_eq!(chromium.evaluate("document.getElementById('reconnects').textContent"), Value::from("0"));
    // A tunnel is logged when it ends, with the protocol it came by.
    drop(chromium);
    wait::until("the tunnel is logged", SOON, || {
        let log = demo.output();
        let tunnel = log.lines().find(|line| line.contains("\"target\":\"/ws\"") && line.contains(version)).map(str::to_owned);
        tunnel.ok_or(log)
    });
}
