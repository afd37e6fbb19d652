//! Who is told: a program after each issuance, a service and a program when something is wrong. With the real authority, a
//! real script, and a receiver of real HTTP.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::gateway::Gateway;
use crate::support::pebble::{Options, Pebble};
use crate::support::wait;

const SITE: &str = "door.example.test";
const SOON: Duration = wait::LIMIT;

/// A service that takes alarms, one POST a connection.
struct Service {
    url: String,
    alarms: Receiver<Value>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/hook?token=secret", listener.local_addr().unwrap());
        let (to, alarms) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream.set_read_timeout(Some(SOON)).unwrap();
                let (mut came, mut piece) = (Vec::new(), [0; 1_024]);
                while !came.ends_with(b"}") {
                    let length = stream.read(&mut piece).unwrap();
                    assert!(length > 0, "the gateway hung up early: {}", String::from_utf8_lossy(&came));
                    came.extend_from_slice(&piece[..length]);
                }
                stream.write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n").unwrap();
                let text = String::from_utf8(came).unwrap();
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                assert!(head.starts_with("POST /hook?token=secret HTTP/1.1\r\n"), "{head}");
                if to.send(serde_json::from_str(body).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { url, alarms }
    }

    fn next(&self) -> Value {
        self.alarms.recv_timeout(2 * SOON).expect("an alarm comes")
    }
}

/// An executable script.
fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn pebble(gateway: &Gateway, life: u64) -> Pebble {
    let profiles = vec![("default", Duration::from_secs(life))];
    Pebble::start(gateway.http, gateway.https, &Options { profiles, ..Options::default() })
}

fn until_written(path: &Path) -> String {
    wait::until(&format!("{} is written", path.display()), SOON, || {
        fs::read_to_string(path).ok().filter(|text| text.ends_with('\n')).ok_or("nothing yet")
    })
}

#[test]
fn a_program_runs_after_each_issuance_and_finds_the_certificate_and_its_key() {
    let mut gateway = Gateway::prepare();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let hook = script(
        folder.path(),
        "hook",
        &format!(
            "grep -c BEGIN \"$DOORWARD_CERT\" \"$DOORWARD_KEY\" >/dev/null && echo \"$1 $DOORWARD_NAMES $DOORWARD_NOT_AFTER\" > {0}.new && mv {0}.new {0}",
            out.display()
        ),
    );
    let pebble = pebble(&gateway, 7_776_000);
    gateway
        .configure(&format!("{}hook {}\n", pebble.acme_lines(), hook.display()), &format!("{SITE} {{\n    respond 200 here\n}}"));
    gateway.start();
    let told = until_written(&out);
    assert!(told.starts_with(&format!("issued {SITE} 20")), "{told}");
    gateway.process().until_said("hook_done", SOON);
    gateway.until_served(SITE, &pebble.issued_root(), SOON);
    // A program that fails harms nothing, and is told of.
    script(folder.path(), "hook", "echo the other server is down >&2; exit 3");
    let first = gateway.get(SITE, "/", &pebble.issued_root()).unwrap().serial();
    assert!(gateway.run(&format!("certs renew {SITE}")).status.success());
    let line = gateway.process().until_said("hook_failed", SOON);
    assert!(line.contains("the other server is down") && line.contains("status 3"), "{line}");
    assert_ne!(gateway.get(SITE, "/", &pebble.issued_root()).unwrap().serial(), first);
}

#[test]
fn a_service_is_told_when_a_life_runs_out_without_a_successor_and_status_shows_it() {
    let mut gateway = Gateway::prepare();
    let service = Service::start();
    let mut pebble = pebble(&gateway, 40);
    gateway
        .configure(&format!("{}alert {}\n", pebble.acme_lines(), service.url), &format!("{SITE} {{\n    respond 200 here\n}}"));
    gateway.start();
    gateway.until_served(SITE, &pebble.issued_root(), SOON);
    pebble.kill();
    let alarm = service.next();
    assert_eq!((&alarm["event"], &alarm["names"]), (&"certificate_in_danger".into(), &serde_json::json!([SITE])), "{alarm}");
    let text = alarm["text"].as_str().unwrap();
    assert!(text.contains(SITE) && text.contains("likely cause"), "{alarm}");
    let said = |words: &str| String::from_utf8(gateway.run(words).stdout).unwrap();
    let status = said("status");
    assert!(status.contains(&format!("ALARM: the certificate of {SITE} ends at ")), "{status}");
    let page = said(&format!("certs show {SITE}"));
    assert!(page.contains("  alarm       raised ") && page.contains("  to do       let this machine out"), "{page}");
    assert!(!gateway.output().contains("token=secret"), "the URL may hold a secret");
    // A restart does not repeat it.
    gateway.stop();
    gateway.start();
    gateway.process().until_said("certificate_failed", SOON);
    assert_eq!(service.alarms.try_iter().count(), 0);
}

#[test]
fn a_program_is_told_when_the_authority_calls_a_certificate_back() {
    let mut gateway = Gateway::prepare();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let alert = script(folder.path(), "alert", &format!("cat > {0}.new; echo >> {0}.new; mv {0}.new {0}", out.display()));
    let pebble = pebble(&gateway, 300);
    gateway.configure(
        &format!("{}alert {}\n", pebble.acme_lines(), alert.display()),
        &format!("{SITE} {{\n    respond 200 here\n}}"),
    );
    gateway.start();
    let first = gateway.until_served(SITE, &pebble.issued_root(), SOON).serial();
    let issuer = fs::read_dir(gateway.state().join("certificates")).unwrap().next().unwrap().unwrap().path();
    let pem = fs::read_to_string(issuer.join(SITE).join("current/cert.pem")).unwrap();
    pebble.suggest_renewal(&pem, "2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
    let alarm: Value = serde_json::from_str(&until_written(&out)).unwrap();
    assert_eq!((&alarm["event"], &alarm["names"]), (&"certificate_recalled".into(), &serde_json::json!([SITE])), "{alarm}");
    wait::until_true("it is replaced", SOON, || {
        gateway.get(SITE, "/", &pebble.issued_root()).is_ok_and(|seen| seen.serial() != first)
    });
}
