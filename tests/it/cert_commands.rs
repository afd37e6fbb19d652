//! Certificates by the command line: looked at, acted on, with a gateway and without one.

use std::time::Duration;

use serde_json::Value;

use crate::support::gateway::Gateway;
use crate::support::wait;

const SOON: Duration = wait::LIMIT;

/// Runs `doorward WORDS`; its exit code and all it said.
fn run(gateway: &Gateway, words: &str) -> (i32, String) {
    let output = gateway.run(words);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("it was not killed"), text(&output.stdout) + &text(&output.stderr))
}

/// Runs it and demands this exit code; what it said.
fn says(gateway: &Gateway, words: &str, code: i32) -> String {
    let (ended, said) = run(gateway, words);
    assert_eq!(ended, code, "`doorward {words}` said: {said}");
    said
}

/// What `doorward certs show NAME --json` prints.
fn facts(gateway: &Gateway, name: &str) -> Value {
    let output = gateway.run(&format!("certs show {name} --json"));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn an_operator_reads_what_failed_what_is_left_and_what_to_do() {
    let mut gateway = Gateway::prepare();
    // Nobody listens on the discard port.
    gateway.configure("directory https://127.0.0.1:9/dir\n", "door.example.test localhost {\n    respond 200\n}");
    gateway.start();
    let failed = wait::until("the first try fails", SOON, || {
        let seen = facts(&gateway, "door.example.test");
        if seen["last_error"].is_string() { Ok(seen) } else { Err(seen) }
    });
    assert!(failed["last_error"].as_str().unwrap().contains("127.0.0.1"), "{failed}");
    assert!(failed["remedy"].as_str().unwrap().contains("let this machine out to 127.0.0.1"), "{failed}");
    assert_eq!(failed["budget"]["failed_validations_in_hour"], serde_json::json!({ "used": 0, "most": 5 }));
    let page = says(&gateway, "certs show door.example.test", 0);
    assert!(page.contains("  to do       let this machine out") && page.contains("  held        none"), "{page}");
    let table = says(&gateway, "certs", 0);
    assert!(table.contains("  to do: let this machine out") && table.contains("localhost"), "{table}");
    assert!(says(&gateway, "certs --verbose", 0).contains("localhost\n  state       valid"));
    assert!(says(&gateway, "certs show other.example", 1).contains("no certificate is wanted for `other.example`"));
    let log = wait::until("the failure is one structured line", SOON, || {
        let output = gateway.output();
        output.lines().find(|line| line.contains("\"certificate_failed\"")).map(str::to_owned).ok_or(output)
    });
    let log: Value = serde_json::from_str(&log).unwrap();
    assert_eq!((&log["name"], &log["step"]), (&"door.example.test".into(), &"account".into()), "{log}");
    assert!(log["cause"].as_str().unwrap().starts_with("127.0.0.1 is down"), "{log}");
    assert!(log["remedy"].is_string() && log["next"].is_string() && log["attempt"] == 1, "{log}");
}

#[test]
fn scripts_learn_by_the_exit_code_what_ends_soon_with_a_gateway_and_without_one() {
    let mut gateway = Gateway::prepare();
    gateway.configure("directory https://127.0.0.1:9/dir\n", "localhost {\n    respond 200\n}");
    gateway.start();
    assert!(says(&gateway, "certs --expires-within 14d", 0).contains("No certificate ends within this time"));
    assert!(gateway.stop().success());
    assert!(says(&gateway, "certs --expires-within 14d", 0).contains("no gateway answers"));
    let listed = says(&gateway, "certs", 4);
    assert!(listed.contains("This is what the state folder") && listed.contains("localhost"), "{listed}");
    gateway.configure("directory https://127.0.0.1:9/dir\n", "localhost door.example.test {\n    respond 200\n}");
    let listed = says(&gateway, "certs --expires-within 14d", 5);
    assert!(listed.contains("door.example.test") && listed.contains("missing") && !listed.contains("localhost  "), "{listed}");
}
