//! The commands as a script meets them: their words and their exit codes.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::support::gateway::Gateway;
use crate::support::process;

const SOON: Duration = crate::support::wait::LIMIT;

/// Runs `doorward WORDS` in an empty folder, which no gateway knows.
fn alone(words: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = process::command(env!("CARGO_BIN_EXE_doorward"));
    told(&process::run("doorward", command.args(words).current_dir(folder.path()), SOON))
}

fn told(output: &Output) -> (Option<i32>, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn every_ending_has_its_own_exit_code() {
    let check = |words: &[&str], code: i32, says: &str| {
        let (ended, said) = alone(words);
        assert_eq!(ended, Some(code), "{words:?}: {said}");
        assert!(said.contains(says), "{words:?} does not say {says:?}: {said}");
    };
    check(&["--version"], 0, env!("CARGO_PKG_VERSION"));
    check(&[], 2, "doorward proxy localhost 3000");
    check(&["explode"], 2, "unrecognized subcommand");
    check(&["run"], 3, "there is no configuration");
    check(&["check", "--config", "missing.conf"], 3, "missing.conf");
    check(&["proxy", "not a name", "3000"], 3, "not a name");
    check(&["explain", "example.com"], 2, "write it as https://example.com/path");
    check(&["explain", "https://example.com"], 3, "there is no configuration");
    check(&["certs", "--socket", "nowhere.sock"], 4, "no gateway answers at nowhere.sock");
    check(&["reload", "--socket", "nowhere.sock"], 4, "`doorward run`");
    check(&["trust", "--state", "nowhere"], 1, "`doorward demo` once");
}

#[test]
fn a_command_line_prints_the_file_that_does_the_same() {
    let words = ["proxy", "chat.example.com", "127.0.0.1:8000", "--state", "here", "--print"];
    let (code, said) = alone(&words);
    assert_eq!((code, said.as_str()), (Some(0), "state here\n\nchat.example.com {\n    proxy 127.0.0.1:8000\n}\n"));
}

#[test]
fn a_running_gateway_tells_of_itself_and_lets_no_second_one_in() {
    let mut gateway = Gateway::prepare();
    gateway.configure("", "localhost {\n    respond 200 here\n}");
    gateway.start();
    let (code, table) = told(&gateway.run("certs"));
    assert_eq!(code, Some(0), "{table}");
    assert!(table.contains("localhost  valid"), "{table}");
    let (code, page) = told(&gateway.run("status"));
    assert_eq!(code, Some(0), "{page}");
    assert!(page.contains(&gateway.config_file().display().to_string()), "{page}");
    let (code, second) = told(&gateway.run("run"));
    assert_eq!(code, Some(1), "{second}");
    assert!(second.contains("another doorward runs"), "{second}");
    assert!(gateway.stop().success());
    assert_eq!(told(&gateway.run("certs")).0, Some(4));
}

#[test]
fn what_the_gateway_refuses_it_refuses_in_the_same_words_and_goes_on() {
    let mut gateway = Gateway::prepare();
    gateway.configure("", "localhost {\n    respond 200 here\n}");
    gateway.start();
    let root = doorward::diagnostics::offline::root_file(gateway.state());
    gateway.configure("", "localhost {\n    respnd 200 there\n}");
    let (code, said) = told(&gateway.run("reload"));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("respnd") && said.contains("did you mean `respond`"), "{said}");
    assert_eq!(gateway.get("localhost", "/", &root).unwrap().text(), "here");
    let (code, said) = told(&gateway.run("certs"));
    assert_eq!(code, Some(0), "a broken file must not hide the gateway: {said}");
}

#[test]
fn the_machine_form_runs_as_well() {
    let gateway = Gateway::prepare();
    gateway.configure("", "localhost {\n    respond 200 here\n}");
    let (code, document) = told(&gateway.run("adapt"));
    assert_eq!(code, Some(0), "{document}");
    let value: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(value["https-port"], gateway.https);
    std::fs::write(gateway.config_file(), &document).unwrap();
    let (code, said) = told(&gateway.run("check"));
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn the_way_of_a_request_is_explained_without_a_gateway() {
    let gateway = Gateway::prepare();
    gateway.configure("", "localhost {\n    /ws/* {\n        origin https://localhost\n        proxy 3000\n    }\n}");
    let explained = |words: &[&str]| {
        let mut command = process::command(env!("CARGO_BIN_EXE_doorward"));
        command.arg("explain").args(words).arg("--config").arg(gateway.config_file());
        told(&process::run("doorward", &mut command, SOON))
    };
    let (code, page) = explained(&["wss://localhost/ws/x?token=s3cret", "--header", "Origin: https://evil.test"]);
    assert_eq!(code, Some(0), "{page}");
    assert!(page.contains("403 bad-origin") && !page.contains("s3cret"), "{page}");
    let (code, document) = explained(&["ws://localhost/ws/x", "--json"]);
    assert_eq!(code, Some(0), "{document}");
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!((&document["verdict"]["is"], &document["verdict"]["status"]), (&"refused".into(), &426.into()));
}
