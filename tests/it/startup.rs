//! From the start of the program to the first answer, and what it says when it cannot start.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use tokio::time::Instant;

use crate::support::authority::Authority;
use crate::support::gateway::Gateway;
use crate::support::pebble::{Options, Pebble};
use crate::support::peers::curl;
use crate::support::{client, echo, ports, process, wait};

const SITE: &str = "door.example.test";
const ISSUE: Duration = wait::LIMIT;

#[test]
fn the_first_https_answer_comes_at_once_and_after_a_restart_without_an_authority() {
    let mut gateway = Gateway::prepare();
    let mut pebble = Pebble::start(gateway.http, gateway.https, &Options::default());
    let backend = echo::start();
    gateway.configure(&pebble.acme_lines(), &format!("{SITE} {{\n    proxy {}\n}}", backend.address().port()));
    let root = pebble.issued_root();
    let start = Instant::now();
    gateway.launch();
    gateway.until_served(SITE, &root, ISSUE);
    let first = start.elapsed();
    assert!(first < wait::BEFORE_ANY_TIMEOUT, "first answer after {first:?}");
    gateway.kill();
    pebble.kill();
    let start = Instant::now();
    gateway.launch();
    gateway.until_served(SITE, &root, ISSUE);
    let again = start.elapsed();
    assert!(again < wait::BEFORE_ANY_TIMEOUT, "first answer after {again:?} with a stored certificate");
}

#[test]
fn the_banner_names_what_listens_and_what_answers() {
    let mut gateway = Gateway::prepare();
    gateway.configure("", "localhost {\n    proxy 3000\n}");
    gateway.start();
    let url = format!("https://localhost:{}", gateway.https);
    gateway.process().until_said(&url, ISSUE);
    let state = gateway.state().display().to_string();
    gateway.process().until_said(&state, ISSUE);
}

#[test]
fn a_port_in_use_is_named_with_who_has_it() {
    let gateway = Gateway::prepare();
    let taken = TcpListener::bind(("127.0.0.1", gateway.https)).unwrap();
    gateway.configure("", "localhost {\n    proxy 3000\n}");
    let output = gateway.run("run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    for word in [gateway.https.to_string(), "in use".to_owned(), std::process::id().to_string()] {
        assert!(said.contains(&word), "{word:?} is missing: {said}");
    }
    drop(taken);
}

#[test]
fn a_malformed_configuration_starts_nothing_and_tells_every_problem() {
    let gateway = Gateway::prepare();
    gateway.configure("", "localhost {\n    proxxy 3000\n    compres\n}");
    for command in ["run", "check"] {
        let output = gateway.run(command);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success(), "{command}: {said}");
        for word in ["proxxy", "compres", "proxy", "compress", "doorward.conf"] {
            assert!(said.contains(word), "{command}: {word:?} is missing: {said}");
        }
    }
    assert!(!gateway.state().exists(), "a configuration that does not run leaves nothing behind");
}

#[test]
fn certificates_given_as_files_are_taken_when_they_fit_and_the_last_good_pair_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let (chain, key) = authority.sign_files("site");
    let first = fs::read(&chain).unwrap();
    let (_, strange) = authority.sign(&[]);
    let mut gateway = Gateway::prepare();
    gateway.configure("", &format!("localhost {{\n    tls {} {}\n    respond 200 here\n}}", chain.display(), key.display()));
    gateway.start();
    let root = authority.root_file();
    let before = gateway.until_served("localhost", &root, ISSUE).serial();
    // Another site's key, as a mistaken copy leaves it.
    fs::write(&key, &strange).unwrap();
    let said = gateway.process().until_said("site.key", ISSUE);
    assert!(said.contains("WARN") || said.contains("ERROR"), "{said}");
    assert_eq!(gateway.get("localhost", "/", &root).unwrap().serial(), before);
    let check = gateway.run("check");
    let said = String::from_utf8_lossy(&check.stderr);
    assert!(check.status.code() == Some(3) && said.contains("site.key"), "{said}");
    // Both halves of a new pair.
    authority.sign_files("site");
    assert_ne!(fs::read(&chain).unwrap(), first);
    wait::until_true("the new pair is served", ISSUE, || {
        gateway.get("localhost", "/", &root).is_ok_and(|seen| seen.serial() != before)
    });
}

#[test]
fn a_state_that_cannot_be_written_is_said_and_served_without() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("no-folder");
    fs::write(&file, "in the way").unwrap();
    let backend = echo::start();
    let mut gateway = Gateway::prepare();
    gateway.keep_state_at(&file);
    gateway.configure("", &format!("localhost {{\n    proxy {}\n}}", backend.address().port()));
    gateway.start();
    gateway.process().until_said("no-folder", ISSUE);
    let url = format!("https://localhost:{}/", gateway.https);
    assert_eq!(curl(&["--insecure", "--retry", "5", "--retry-all-errors", &url]), "hello from echo: GET /\n");
}

#[test]
fn one_line_without_a_file_does_the_same() {
    let backend = echo::start();
    let folder = tempfile::tempdir().unwrap();
    let (http, https) = (ports::free().to_string(), ports::free());
    let state = folder.path().join("state");
    let mut command = process::command(env!("CARGO_BIN_EXE_doorward"));
    command.args([
        "proxy",
        "localhost",
        &backend.address().port().to_string(),
        "--http-port",
        &http,
        "--https-port",
        &https.to_string(),
    ]);
    command.args(["--bind", "127.0.0.1", "--state"]).arg(&state).current_dir(folder.path());
    let mut gateway = process::Process::start("doorward proxy", &mut command);
    gateway.until_said(&format!("https://localhost:{https}"), ISSUE);
    let root = Gateway::local_root_in(&state);
    let seen = wait::until("localhost is served", ISSUE, || client::get("localhost", https, "/", &root));
    assert_eq!(seen.text(), "hello from echo: GET /\n");
}
