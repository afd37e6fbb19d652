//! dns-01 from the configuration to the certificate: by a program, by updates of a real name server, with wildcards, and
//! no record left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::support::dns::DnsServer;
use crate::support::echo;
use crate::support::fault::{Fault, FaultProxy, Kind};
use crate::support::gateway::Gateway;
use crate::support::knot::Knot;
use crate::support::pebble::{Options, Pebble};
use crate::support::server::Server;
use crate::support::wait;

/// What a program for `dns-hook` does; `$at` is the folder of the name.
const OBEDIENT: &str =
    "mkdir -p \"$at\"; case $1 in set) : >\"$at/$3\" ;; unset) rm -f \"$at/$3\"; rmdir \"$at\" || true ;; esac";

/// Enough for a busy machine.
const SOON: Duration = wait::LIMIT;

/// A gateway whose program writes records into a folder that a name server of the tests answers from.
struct Scene {
    gateway: Gateway,
    pebble: Pebble,
    proxy: FaultProxy,
    dns: DnsServer,
    backend: Server,
    folder: tempfile::TempDir,
}

impl Scene {
    /// One whose authority asks `dns`, and whose own resolver it is.
    fn new() -> Self {
        let (folder, dns) = (tempfile::tempdir().unwrap(), DnsServer::start());
        fs::create_dir(folder.path().join("records")).unwrap();
        dns.zone("door.test")
            .address_of("door.test", "127.0.0.1")
            .anything_at("127.0.0.1")
            .txt_from(&folder.path().join("records"));
        let gateway = Gateway::prepare();
        let options = Options { dns: Some(dns.address()), ..Options::default() };
        let pebble = Pebble::start(gateway.http, gateway.https, &options);
        let proxy = FaultProxy::start(&pebble);
        let scene = Self { gateway, pebble, proxy, dns, backend: echo::start(), folder };
        scene.program(OBEDIENT);
        scene
    }

    /// Makes the program do this.
    fn program(&self, script: &str) {
        let folder = self.folder.path().display();
        let text = format!("#!/bin/sh\nset -eu\necho \"$*\" >>{folder}/told\nat={folder}/records/$2\n{script}\n");
        fs::write(self.hook(), text).unwrap();
        fs::set_permissions(self.hook(), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn hook(&self) -> PathBuf {
        self.folder.path().join("hook")
    }

    fn configure(&self, lines: &str, heads: &str, words: &str) {
        let acme =
            format!("{}resolvers {}\ndns-hook {}\n{lines}", self.proxy.acme_lines(), self.dns.address(), self.hook().display());
        let site = format!("{heads} {{\n    {words}\n    proxy {}\n}}", self.backend.address().port());
        self.gateway.configure(&acme, &site);
    }

    fn until_served(&self, name: &str) {
        self.gateway.until_served(name, &self.pebble.issued_root(), SOON);
    }

    /// What the program was told, in order.
    fn told(&self) -> Vec<String> {
        fs::read_to_string(self.folder.path().join("told")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn records(&self) -> Vec<PathBuf> {
        let names = fs::read_dir(self.folder.path().join("records")).unwrap().flatten();
        names.flat_map(|name| fs::read_dir(name.path()).into_iter().flatten().flatten()).map(|value| value.path()).collect()
    }

    fn until_clean(&self) {
        wait::until_true("every record is gone", SOON, || self.records().is_empty());
    }
}

#[test]
fn a_name_and_its_wildcard_are_proved_by_two_records_of_one_name_and_both_are_taken_away() {
    let mut scene = Scene::new();
    scene.configure("", "door.test *.door.test", "certificate shared");
    scene.gateway.start();
    for name in ["door.test", "any.door.test"] {
        scene.until_served(name);
    }
    scene.until_clean();
    let told = scene.told();
    let (set, unset): (Vec<&String>, Vec<&String>) = told.iter().partition(|line| line.starts_with("set "));
    assert_eq!((set.len(), unset.len()), (2, 2), "{told:?}");
    assert!(told[..2].iter().all(|line| line.starts_with("set _acme-challenge.door.test ")), "{told:?}");
    assert_eq!(scene.proxy.answered(Kind::NewOrder, 201), 1);
}

#[test]
fn certificates_of_a_name_and_its_wildcard_are_ordered_side_by_side() {
    let mut scene = Scene::new();
    scene.configure("challenges dns-01\n", "door.test *.door.test", "hsts");
    scene.gateway.start();
    for name in ["door.test", "any.door.test"] {
        scene.until_served(name);
    }
    scene.until_clean();
    assert_eq!(scene.proxy.answered(Kind::NewOrder, 201), 2);
}

#[test]
fn a_delegated_name_is_proved_where_its_alias_leads() {
    let mut scene = Scene::new();
    scene.dns.zone("other.test").cname("_acme-challenge.www.door.test", "proofs.other.test");
    scene.configure("challenges dns-01\n", "www.door.test", "hsts");
    scene.gateway.start();
    scene.until_served("www.door.test");
    scene.until_clean();
    let told = scene.told();
    assert!(told[0].starts_with("set proofs.other.test ") && told[1].starts_with("unset proofs.other.test "), "{told:?}");
}

#[test]
fn a_record_that_a_killed_process_left_is_taken_away_by_the_next() {
    let mut scene = Scene::new();
    // The authority has its certificate ready, and nobody hears of it: nothing is left to prove after the restart.
    scene.proxy.fail(Kind::Challenge, Fault::HoldAnswer);
    scene.configure("challenges dns-01\n", "door.test", "hsts");
    scene.gateway.start();
    scene.proxy.until_struck(Kind::Challenge, SOON);
    assert_eq!(scene.records().len(), 1);
    scene.gateway.kill();
    assert_eq!(scene.records().len(), 1);
    scene.gateway.start();
    scene.until_served("door.test");
    scene.until_clean();
}

#[test]
fn a_record_that_could_not_be_taken_away_is_taken_away_at_the_next_start() {
    let mut scene = Scene::new();
    scene.program("mkdir -p \"$at\"; case $1 in set) : >\"$at/$3\" ;; unset) exit 1 ;; esac");
    scene.configure("challenges dns-01\n", "door.test", "hsts");
    scene.gateway.start();
    scene.until_served("door.test");
    wait::until_true("it was tried", SOON, || scene.told().iter().any(|line| line.starts_with("unset ")));
    scene.gateway.kill();
    assert_eq!(scene.records().len(), 1);
    scene.program(OBEDIENT);
    scene.gateway.start();
    scene.until_clean();
    assert_eq!(scene.proxy.answered(Kind::NewOrder, 201), 1);
}

#[test]
fn a_program_that_fails_is_quoted_and_the_next_challenge_is_tried_at_once() {
    let mut scene = Scene::new();
    scene.program("echo no permission for \"$2\" >&2; exit 7");
    scene.configure("", "door.test", "hsts");
    scene.gateway.start();
    scene.until_served("door.test");
    let expected =
        "set _acme-challenge.door.test …` failed: it ended with status 7; it said: no permission for _acme-challenge.door.test";
    scene.gateway.until_logged(expected);
    wait::until_true("what may have been set is unset", SOON, || scene.told().iter().any(|line| line.starts_with("unset ")));
}

#[test]
fn a_wildcard_whose_program_fails_says_so_in_its_status_and_goes_on_with_the_same_order() {
    let mut scene = Scene::new();
    scene.program("exit 7");
    scene.configure("", "*.door.test", "hsts");
    scene.gateway.start();
    let status = wait::until("the failure is in the status", SOON, || {
        let output = scene.gateway.run("certs show *.door.test");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if text.contains("it ended with status 7") { Ok(text) } else { Err(text) }
    });
    assert!(status.contains("run the program by hand"), "{status}");
    assert_eq!(scene.proxy.answered(Kind::NewOrder, 201), 1);
}

#[test]
fn a_standing_record_is_asked_for_word_for_word_and_proves_a_name_and_its_wildcard_without_a_change() {
    let mut scene = Scene::new();
    scene.configure("challenges dns-persist-01\n", "door.test *.door.test", "certificate shared");
    scene.gateway.start();
    let said = scene.gateway.process().until_said("publish this one: _validation-persist.door.test. TXT ", SOON);
    let text = said.split("TXT \\\"").nth(1).and_then(|rest| rest.split("\\\"").next()).expect("the text stands in quotes");
    assert!(text.starts_with("pebble.letsencrypt.org; accounturi=https://localhost:"), "{text}");
    assert!(text.ends_with("; policy=wildcard"), "{text}");
    wait::until("the status says so, too", SOON, || {
        let shown = scene.gateway.run("certs show door.test");
        String::from_utf8_lossy(&shown.stdout).contains("keep the account's key safe").then_some(()).ok_or(shown)
    });
    scene.dns.txt("_validation-persist.door.test", text);
    assert!(scene.gateway.run("certs renew door.test").status.success());
    for name in ["door.test", "any.door.test"] {
        scene.until_served(name);
    }
    assert_eq!(scene.proxy.answered(Kind::NewOrder, 201), 1);
    assert_eq!(scene.told(), [""; 0]);
}

#[test]
fn a_real_name_server_is_updated_by_its_key() {
    let knot = Knot::start("door.test");
    let mut gateway = Gateway::prepare();
    let options = Options { dns: Some(knot.address()), ..Options::default() };
    let pebble = Pebble::start(gateway.http, gateway.https, &options);
    let backend = echo::start();
    let site = format!("door.test *.door.test {{\n    certificate shared\n    proxy {}\n}}", backend.address().port());
    gateway.configure(&format!("{}{}challenges dns-01\n", pebble.acme_lines(), knot.acme_lines()), &site);
    gateway.start();
    gateway.until_served("any.door.test", &pebble.issued_root(), SOON);
    gateway.until_served("door.test", &pebble.issued_root(), SOON);
    let dns = doorward::net::dns::Dns::only(knot.address());
    wait::until_true("both records are gone", SOON, || {
        let found = crate::support::server::runtime().block_on(dns.txt("_acme-challenge.door.test"));
        found.is_err_and(|error| error.is_absence())
    });
}

#[test]
fn a_program_that_cannot_be_run_is_warned_of_at_check() {
    let scene = Scene::new();
    scene.configure("", "door.test", "hsts");
    fs::set_permissions(scene.hook(), fs::Permissions::from_mode(0o644)).unwrap();
    assert_said(&scene.gateway, "which cannot be run: this file is not executable", &scene.hook());
}

fn assert_said(gateway: &Gateway, what: &str, path: &Path) {
    let output = gateway.run("check");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(what) && said.contains(&path.display().to_string()), "{said}");
}

#[test]
fn a_service_is_asked_over_its_own_interface_and_keeps_the_values_of_others() {
    let scene = ServiceScene::start("the key");
    let mut gateway = Gateway::prepare();
    let options = Options { dns: Some(scene.dns.address()), ..Options::default() };
    let pebble = Pebble::start(gateway.http, gateway.https, &options);
    let backend = echo::start();
    let site = format!("*.door.test {{\n    proxy {}\n}}", backend.address().port());
    gateway.configure(&format!("{}{}", pebble.acme_lines(), scene.acme_lines("the key")), &site);
    gateway.start();
    gateway.until_served("any.door.test", &pebble.issued_root(), SOON);
    wait::until_true("our value is gone and the other one is there", SOON, || scene.values() == ["other"]);
}

#[test]
fn what_a_service_answers_is_told_in_its_own_words_and_never_with_the_key() {
    let scene = ServiceScene::start("the key");
    let mut gateway = Gateway::prepare();
    let options = Options { dns: Some(scene.dns.address()), ..Options::default() };
    let pebble = Pebble::start(gateway.http, gateway.https, &options);
    gateway
        .configure(&format!("{}{}", pebble.acme_lines(), scene.acme_lines("a wrong key")), "*.door.test {\n    respond 200\n}");
    gateway.start();
    let said = gateway.process().until_said("powerdns did not set the record _acme-challenge.door.test: ", SOON);
    assert!(said.contains("Unauthorized"), "{said}");
    assert!(!gateway.output().contains("a wrong key"));
}

/// What PowerDNS's interface does with a zone's records, with a name server that answers from the same folder.
struct ServiceScene {
    dns: DnsServer,
    server: Server,
    folder: tempfile::TempDir,
}

impl ServiceScene {
    fn start(key: &'static str) -> Self {
        let (folder, dns) = (tempfile::tempdir().unwrap(), DnsServer::start());
        dns.zone("door.test").anything_at("127.0.0.1").txt_from(folder.path());
        fs::create_dir(folder.path().join(RECORD)).unwrap();
        fs::write(folder.path().join(RECORD).join("other"), "").unwrap();
        let values = folder.path().join(RECORD);
        let at = (std::net::Ipv4Addr::LOCALHOST, 0).into();
        let server = Server::start("powerdns", at, async move |listener| {
            while let Ok((socket, _)) = listener.accept().await {
                let values = values.clone();
                doorward::base::task::spawn("powerdns", async move {
                    let service = service_fn(async |request| powerdns(request, key, &values).await);
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { dns, server, folder }
    }

    fn acme_lines(&self, key: &str) -> String {
        let (resolver, at) = (self.dns.address(), self.server.address());
        let file = self.folder.path().join("key");
        fs::write(&file, format!("{key}\n")).unwrap();
        format!("resolvers {resolver}\ndns powerdns {{\n    url http://{at}\n    key file {}\n}}\n", file.display())
    }

    fn values(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path().join(RECORD)).unwrap().flatten();
        files.map(|file| file.file_name().into_string().unwrap()).collect()
    }
}

const RECORD: &str = "_acme-challenge.door.test";

/// GET tells the zone, PATCH replaces or deletes the values of one name.
async fn powerdns(request: Request<Incoming>, key: &str, values: &Path) -> http::Result<Response<Full<Bytes>>> {
    let answer = |status: u16, body: String| Response::builder().status(status).body(Full::new(Bytes::from(body)));
    if request.headers().get("x-api-key").is_none_or(|given| given != key) {
        return answer(401, r#"{"error":"Unauthorized"}"#.to_owned());
    }
    assert_eq!(request.uri().path(), "/api/v1/servers/localhost/zones/door.test.");
    let name = format!("{RECORD}.");
    if request.method() == http::Method::GET {
        let held = fs::read_dir(values).unwrap().flatten().map(|file| file.file_name().into_string().unwrap());
        let records: Vec<_> = held.map(|value| json!({ "content": format!("\"{value}\""), "disabled": false })).collect();
        let rrset = json!({ "name": name, "type": "TXT", "ttl": 300, "records": records });
        return answer(200, json!({ "rrsets": [rrset] }).to_string());
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let change: Value = serde_json::from_slice(&body).unwrap();
    let rrset = &change["rrsets"][0];
    assert_eq!((&rrset["name"], &rrset["type"]), (&json!(name), &json!("TXT")));
    fs::read_dir(values).unwrap().flatten().for_each(|file| fs::remove_file(file.path()).unwrap());
    for record in rrset["records"].as_array().into_iter().flatten() {
        fs::write(values.join(record["content"].as_str().unwrap().trim_matches('"')), "").unwrap();
    }
    answer(204, String::new())
}
