//! `doorward doctor` on loopback: a name server of ours says where names lead, and real programs stand behind the doors.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::dns::DnsServer;
use crate::support::gateway::Gateway;
use crate::support::pebble::{Options, Pebble};
use crate::support::ports;
use crate::support::process;
use crate::support::server::Server;

const SOON: Duration = crate::support::wait::LIMIT;

/// A gateway for names of a zone of ours, with an authority and a name server; running or not.
struct Scene {
    gateway: Gateway,
    dns: DnsServer,
    pebble: Pebble,
}

impl Scene {
    fn new(site: &str) -> Self {
        let gateway = Gateway::prepare();
        let options = Options { caa_identity: Some("pebble.letsencrypt.org"), ..Options::default() };
        let pebble = Pebble::start(gateway.http, gateway.https, &options);
        let dns = DnsServer::start();
        dns.zone("com").zone("example.com");
        gateway.configure(&format!("{}resolvers {}\n", pebble.acme_lines(), dns.address()), site);
        Self { gateway, dns, pebble }
    }

    /// The ports of the gateway stand for 80 and 443.
    fn examine(&self, words: &[&str]) -> Told {
        self.examine_at(self.gateway.http, self.gateway.https, words)
    }

    fn examine_at(&self, http: u16, https: u16, words: &[&str]) -> Told {
        let mut command = process::command(env!("CARGO_BIN_EXE_doorward"));
        command.arg("doctor").args(words).arg("--json").arg("--config").arg(self.gateway.config_file());
        command.args(["--public-http", &http.to_string(), "--public-https", &https.to_string()]);
        let output = process::run("doorward doctor", &mut command, SOON);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let findings = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"));
        Told { code: output.status.code(), findings, text }
    }
}

/// What was found.
struct Told {
    code: Option<i32>,
    findings: Vec<Value>,
    text: String,
}

impl Told {
    /// Some finding of this check has this weight and says this.
    #[track_caller]
    fn says(&self, check: &str, weight: &str, words: &str) -> &Self {
        let found = self.findings.iter().any(|finding| {
            let told = format!("{}; {}; {}", finding["seen"], finding["expected"], finding["repair"]);
            finding["check"] == check && finding["weight"] == weight && told.contains(words)
        });
        assert!(found, "no {check} that {weight} and says {words:?} in {}", self.text);
        self
    }

    #[track_caller]
    fn prevents(&self, prevents: bool) {
        assert_eq!(self.code, Some(i32::from(prevents)), "{}", self.text);
    }
}

const SITE: &str = "chat.example.com {\n    respond 200 here\n}";

#[test]
fn a_running_gateway_whose_name_leads_to_it_is_well() {
    let mut scene = Scene::new(SITE);
    scene.dns.address_of("chat.example.com", "127.0.0.1");
    scene.gateway.start();
    let told = scene.examine(&[]);
    told.says("dns", "fine", "127.0.0.1 (this machine)")
        .says("port-80", "fine", "127.0.0.1 leads here")
        .says("port-443", "fine", "127.0.0.1 leads here")
        .says("caa", "fine", "no CAA record")
        .says("authority", "fine", "the directory answers")
        .says("clock", "fine", "the clock is right")
        .says("state", "fine", "on the disk")
        .says("ports", "fine", "the gateway listens on")
        .says("challenge", "fine", "http-01, tls-alpn-01")
        .prevents(false);
}

#[test]
fn before_a_first_order_the_gateway_tells_what_it_sees_and_orders_all_the_same() {
    // The name server that is asked knows no address; the authority asks another one, and the name is proved.
    let mut scene = Scene::new(SITE);
    scene.gateway.start();
    let root = scene.pebble.issued_root();
    scene.gateway.until_served("chat.example.com", &root, SOON);
    for text in ["preflight", "the name has no address", "add an A record for chat.example.com"] {
        scene.gateway.until_logged(text);
    }
}

#[test]
fn without_a_gateway_the_ports_are_opened_for_a_moment() {
    let scene = Scene::new(SITE);
    scene.dns.address_of("chat.example.com", "127.0.0.1");
    let told = scene.examine(&["chat.example.com"]);
    told.says("ports", "fine", "this port can be had")
        .says("port-80", "fine", "leads here")
        .says("port-443", "fine", "leads here")
        .says("state", "fine", "not there yet")
        .prevents(false);
}

#[test]
fn another_server_on_the_port_is_recognised_as_another() {
    let other = Server::start("another web server", ([127, 0, 0, 1], 0).into(), |listener| async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let _ = socket.write_all(b"HTTP/1.1 404 Not Found\r\nServer: Apache\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    let mut scene = Scene::new(SITE);
    scene.dns.address_of("chat.example.com", "127.0.0.1");
    scene.gateway.start();
    let told = scene.examine_at(other.address().port(), scene.gateway.https, &[]);
    told.says("port-80", "note", "another web server (Apache): 404 Not Found")
        .says("challenge", "fine", "can be proved by tls-alpn-01\"")
        .prevents(false);
    let told = scene.examine_at(other.address().port(), other.address().port(), &[]);
    told.says("port-443", "prevents", "somebody who refuses the handshake")
        .says("challenge", "prevents", "dns-01")
        .prevents(true);
}

#[test]
fn a_forgotten_aaaa_record_is_named_by_itself() {
    let mut scene = Scene::new(SITE);
    scene.dns.address_of("chat.example.com", "127.0.0.1").address_of("chat.example.com", "::1");
    scene.gateway.start();
    // The gateway of the tests listens on 127.0.0.1 alone, and ::1 is this machine's as well.
    let told = scene.examine(&[]);
    let closed =
        format!("the AAAA record leads to ::1, which is this machine, and port {} refuses connections", scene.gateway.http);
    told.says("port-80", "note", &closed)
        .says("port-80", "fine", "127.0.0.1 leads here")
        .says("challenge", "fine", "http-01")
        .prevents(false);
}

#[test]
fn closed_ports_and_missing_names_prevent() {
    let mut scene = Scene::new(&format!("{SITE}\nnew.example.com {{\n    respond 200 there\n}}"));
    scene.dns.address_of("chat.example.com", "127.0.0.1");
    scene.gateway.start();
    let told = scene.examine_at(ports::free(), ports::free(), &["chat.example.com"]);
    told.says("port-80", "prevents", "in this machine's firewall").prevents(true);
    let told = scene.examine(&["new.example.com"]);
    told.says("dns", "prevents", "add an A record for new.example.com").prevents(true);
    let told = scene.examine(&["old.example.com"]);
    told.says("authority", "prevents", "no certificate is configured").prevents(true);
    scene.dns.mute(true);
    let told = scene.examine(&["chat.example.com"]);
    told.says("dns", "prevents", "the addresses are not told").prevents(true);
}

#[test]
fn caa_records_of_others_prevent_and_ours_do_not() {
    let mut scene = Scene::new(SITE);
    scene.dns.address_of("chat.example.com", "127.0.0.1");
    scene.gateway.start();
    scene.dns.caa("example.com", "issue", "other.example");
    scene.examine(&[]).says("caa", "prevents", "let other.example issue").prevents(true);
    scene.dns.remove("example.com").zone("example.com");
    scene.dns.caa("example.com", "issue", "pebble.letsencrypt.org; validationmethods=dns-01");
    scene.examine(&[]).says("caa", "prevents", "allows dns-01 only").prevents(true);
}

#[test]
fn an_authority_that_is_gone_and_a_backend_that_is_not_there_are_told() {
    let gateway = Gateway::prepare();
    let dns = DnsServer::start();
    dns.zone("com").zone("example.com").address_of("chat.example.com", "127.0.0.1");
    let acme = format!("directory https://localhost:{}/dir\nresolvers {}\n", ports::free(), dns.address());
    let backend = ports::free();
    gateway.configure(&acme, &format!("chat.example.com {{\n    proxy {backend}\n}}"));
    let pebble = Pebble::start(gateway.http, gateway.https, &Options::default());
    let scene = Scene { gateway, dns, pebble };
    let told = scene.examine(&[]);
    told.says("authority", "prevents", "the directory does not answer")
        .says("backend", "prevents", "start the program, or correct the port")
        .prevents(true);
}

#[test]
fn a_port_that_somebody_has_is_told_with_its_holder() {
    let scene = Scene::new(SITE);
    scene.dns.address_of("chat.example.com", "127.0.0.1");
    let _taken = std::net::TcpListener::bind(("127.0.0.1", scene.gateway.http)).unwrap();
    let told = scene.examine(&[]);
    told.says("ports", "prevents", "is in use by").prevents(true);
}

#[test]
fn check_looks_at_the_outside_when_it_is_asked_to() {
    let scene = Scene::new(SITE);
    let check = |words: &[&str]| {
        let mut command = process::command(env!("CARGO_BIN_EXE_doorward"));
        command.arg("check").args(words).arg("--config").arg(scene.gateway.config_file());
        let output = process::run("doorward check", &mut command, SOON);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = check(&[]);
    assert!(code == Some(0) && said.contains("is fine"), "{said}");
    let (code, said) = check(&["--live"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAIL  dns        chat.example.com: the name has no address"), "{said}");
    assert!(said.contains("-> add an A record for chat.example.com that points to this machine"), "{said}");
}

#[test]
fn the_ports_that_are_looked_at_are_the_configurations() {
    let mut scene = Scene::new(SITE);
    scene.dns.address_of("chat.example.com", "127.0.0.1");
    scene.gateway.start();
    let told = |scene: &Scene| {
        let output = scene.gateway.run("doctor --json");
        let findings = serde_json::from_slice(&output.stdout).unwrap();
        Told { code: output.status.code(), findings, text: String::from_utf8_lossy(&output.stdout).into_owned() }
    };
    told(&scene).says("port-80", "fine", "leads here").says("port-443", "fine", "leads here").prevents(false);
    let (http, https) = (ports::free(), ports::free());
    let resolvers = format!("{}resolvers {}\n", scene.pebble.acme_lines(), scene.dns.address());
    scene.gateway.configure(&resolvers, &format!("public-http-port {http}\npublic-https-port {https}\n{SITE}"));
    told(&scene)
        .says("port-80", "prevents", &format!("port {http} refuses connections"))
        .says("port-443", "prevents", &format!("port {https} refuses connections"))
        .prevents(true);
}

/// A page of text for a person, of a gateway for localhost alone: nothing outside is asked.
#[test]
fn a_local_name_needs_nobody_outside() {
    let gateway = Gateway::prepare();
    gateway.configure("", "localhost {\n    respond 200 here\n}");
    let output = gateway.run("doctor");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.ends_with("All is well.\n"), "{text}");
}
