//! Autobahn|Testsuite, by which WebSocket implementations are judged: whatever it thinks of a backend, it thinks the same
//! of it through the gateway.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::peers::Backend;
use crate::support::{process, yard};

const SOON: Duration = crate::support::wait::LIMIT;
const LONG: Duration = Duration::from_secs(240);

/// Cases in parts that run at once, as most of their time is spent waiting: framing, control frames, reserved bits,
/// opcodes, fragments, UTF-8 and closes as a whole; of size, of speed and of compression a few.
const PARTS: [&[&str]; 3] = [
    &[
        "1.*", "2.*", "3.*", "4.*", "5.*", "7.*", "9.1.1", "9.2.1", "9.5.6", "9.6.6", "9.7.1", "9.8.1", "10.*", "12.1.1",
        "12.4.1", "13.1.1",
    ],
    &["6.1.*", "6.2.*", "6.3.*", "6.4.*", "6.5.*", "6.6.*", "6.7.*", "6.8.*", "6.9.*", "6.10.*", "6.11.*", "6.12.*", "6.13.*"],
    &["6.14.*", "6.15.*", "6.16.*", "6.17.*", "6.18.*", "6.19.*", "6.20.*", "6.21.*", "6.22.*", "6.23.*"],
];

/// What was thought of each case.
type Decisions = BTreeMap<String, Value>;

#[test]
fn autobahn_thinks_the_same_of_a_backend_through_the_gateway_as_without_it() {
    let backend = Backend::node();
    let mut gateway = Gateway::prepare();
    let to = backend.port();
    let policed = format!("/policed {{\n limit message 32MiB\n ping 30s\n max-age 1h\n proxy {to}\n }}");
    gateway.configure("", &format!("http://127.0.0.1 127.0.0.1 {{\n {policed}\n proxy {to}\n}}"));
    gateway.start();
    gateway.until_served("127.0.0.1", &gateway.local_root(), SOON);
    let raw = format!("ws://127.0.0.1:{}/raw", gateway.http);
    let policed = format!("wss://127.0.0.1:{}/policed", gateway.https);
    let direct = format!("ws://127.0.0.1:{to}/");

    let ways = [direct, raw, policed];
    let mut verdicts = judge_all(&ways, &PARTS);
    assert!(verdicts[0].len() >= 240, "{} cases were run", verdicts[0].len());
    // Some cases wait a second for an answer, which may come too late on a busy machine: they get another chance.
    let first = suspects(&verdicts);
    if !first.is_empty() {
        let cases: Vec<_> = first.iter().map(String::as_str).collect();
        verdicts = judge_all(&ways, &[&cases]);
    }
    let told = |case: &String| format!("\n{case}: {:#?}", verdicts.each_ref().map(|way| way.get(case)));
    let told: String = suspects(&verdicts).iter().map(told).collect();
    assert!(told.is_empty(), "what the backend fails, or what ends otherwise on one of the ways {ways:?}: {told}");
}

/// The cases that the backend fails by itself, or of which something else is thought on another way.
fn suspects(verdicts: &[Decisions; 3]) -> Vec<String> {
    let [direct, through @ ..] = verdicts;
    let is_well =
        |case: &str, verdict: &Value| verdict["behavior"] != "FAILED" && through.iter().all(|way| way.get(case) == Some(verdict));
    direct.iter().filter(|(case, verdict)| !is_well(case, verdict)).map(|(case, _)| case.clone()).collect()
}

/// What is thought of each case on each way; all at once.
fn judge_all(ways: &[String; 3], parts: &[&[&str]]) -> [Decisions; 3] {
    thread::scope(|scope| {
        let running = ways.each_ref().map(|url| {
            let parts = parts.iter().map(|cases| scope.spawn(move || judge(url, cases)));
            parts.collect::<Vec<_>>()
        });
        running.map(|parts| parts.into_iter().flat_map(|part| part.join().unwrap()).collect())
    })
}

/// Has the client of the suite run some cases.
fn judge(url: &str, cases: &[&str]) -> Decisions {
    let folder = tempfile::tempdir().unwrap();
    let spec = json!({
        "outdir": folder.path(),
        "servers": [{ "agent": "backend", "url": url }],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    });
    let file = folder.path().join("spec.json");
    fs::write(&file, spec.to_string()).unwrap();
    let program = yard::tool("autobahn/wstest");
    let log = yard::tool("autobahn.log");
    assert!(
        program.exists(),
        "Autobahn|Testsuite is not there: it needs Python 2.7 of Debian bullseye. Set YARD_MIRROR to a Debian mirror that still \
         has that and run tests/yard.sh; what failed is in {}",
        log.display()
    );
    let mut command = process::command(program);
    command.args(["--mode", "fuzzingclient", "--spec"]).arg(&file);
    let output = process::run("wstest", &mut command, LONG);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && folder.path().join("index.json").exists(), "wstest with {url}: {said}");
    let index = read(&folder.path().join("index.json"));
    let index = index["backend"].as_object().unwrap_or_else(|| panic!("wstest with {url} ran no case: {said}"));
    index
        .iter()
        .map(|(case, entry)| (case.clone(), verdict(&read(&folder.path().join(entry["reportfile"].as_str().unwrap())))))
        .collect()
}

/// Of a case's report what does not depend on time. Reasons of closes are left out: with limits the gateway closes in its own words.
fn verdict(report: &Value) -> Value {
    let words = ["behavior", "behaviorClose", "remoteCloseCode", "result", "resultClose"];
    words.into_iter().map(|word| (word.to_owned(), report[word].clone())).collect()
}

/// Text that was no UTF-8 is told as halves of surrogate pairs, which a stricter reader refuses: they stay escaped here.
fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap().replace(r"\ud", r"\\ud");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
