//! Certificates as files: written for other programs, and taken over from other clients.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use crate::support::fault::{FaultProxy, Kind};
use crate::support::gateway::Gateway;
use crate::support::pebble::{Options, Pebble};
use crate::support::{process, wait};

const SITE: &str = "door.example.test";
const SOON: Duration = wait::LIMIT;

fn doorward(folder: &Path, words: &[&str]) -> Output {
    let mut command = process::command(env!("CARGO_BIN_EXE_doorward"));
    process::run("doorward", command.args(words).current_dir(folder), SOON)
}

/// All it said, if it ended with this code.
fn says(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_self_signed_certificate_serves_a_real_backend_and_real_clients_and_installs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let said = says(&doorward(folder.path(), &["self-signed", "app.test", "--out", "tls"]), 0);
    assert!(said.contains("localhost, 127.0.0.1, ::1") && said.contains("Nothing was installed"), "{said}");
    let (cert, key) = (folder.path().join("tls/cert.pem"), folder.path().join("tls/key.pem"));
    assert_eq!((mode(&cert), mode(&key)), (0o644, 0o600));
    assert!(says(&doorward(folder.path(), &["self-signed", "--out", "tls"]), 1).contains("--force"));
    // The gateway serves it as files of its own, and clients that are told to trust it do.
    let mut gateway = Gateway::prepare();
    let tls = format!("tls {} {}", cert.display(), key.display());
    gateway.configure("", &format!("app.test localhost {{\n    {tls}\n    respond 200 here\n}}"));
    gateway.start();
    assert_eq!(gateway.until_served("app.test", &cert, SOON).text(), "here");
    let url = format!("https://localhost:{}/", gateway.https);
    let mut curl = process::command("curl");
    curl.args(["--silent", "--show-error", "--max-time", "20", "--cacert"]).arg(&cert).arg(&url);
    assert_eq!(says(&process::run("curl", &mut curl, SOON), 0), "here");
    let script = "import ssl, sys, urllib.request as r; print(r.urlopen(sys.argv[1], context=ssl.create_default_context(cafile=sys.argv[2])).read().decode())";
    let mut python = process::command("python3");
    python.args(["-c", script, &url]).arg(&cert);
    assert_eq!(says(&process::run("python3", &mut python, SOON), 0).trim(), "here");
    let script = "require('https').get(process.argv[1], answer => answer.pipe(process.stdout))";
    let mut node = process::command("node");
    node.args(["-e", script, &url]).env("NODE_EXTRA_CA_CERTS", &cert);
    assert_eq!(says(&process::run("node", &mut node, SOON), 0), "here");
}

/// The file of a certificate may come before its key may be read, and before its time.
#[test]
fn certificate_files_that_were_refused_are_looked_at_again() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, from: time::OffsetDateTime| {
        let mut params = rcgen::CertificateParams::new(vec!["app.test".to_owned()]).unwrap();
        params.not_before = from;
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.path().join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(folder.path().join(format!("{name}.key")), key.serialize_pem()).unwrap();
    };
    let path = |name: &str| folder.path().join(name);
    let now = time::OffsetDateTime::now_utc();
    write("site", now - Duration::from_secs(3600));
    let mut gateway = Gateway::prepare();
    let tls = format!("tls {} {}", path("site.pem").display(), path("site.key").display());
    gateway.configure("", &format!("app.test {{\n    {tls}\n    respond 200 here\n}}"));
    gateway.start();
    let first = gateway.until_served("app.test", &path("site.pem"), SOON).serial();
    // The certificate first; what belongs to it does not come in one piece.
    write("new", now - Duration::from_secs(60));
    fs::copy(path("new.pem"), path("site.pem")).unwrap();
    gateway.process().until_said("certificate_files_refused", SOON);
    gateway.until_logged("the certificate that was read before stays in service");
    fs::copy(path("new.key"), path("site.key")).unwrap();
    let second = wait::until("the new one is served", SOON, || {
        let seen = gateway.get("app.test", "/", &path("site.pem")).map_err(|error| error.to_string())?.serial();
        if seen == first { Err("the first".to_owned()) } else { Ok(seen) }
    });
    // One whose time comes in a few seconds, as from a machine whose clock is ahead.
    write("site", time::OffsetDateTime::now_utc() + Duration::from_secs(8));
    gateway.process().until_said("is valid only from", SOON);
    wait::until("it is served in its time", SOON, || {
        let seen = gateway.get("app.test", "/", &path("site.pem")).map_err(|error| error.to_string())?.serial();
        if seen == second { Err("the second".to_owned()) } else { Ok(()) }
    });
}

#[test]
fn certificates_move_from_certbots_folder_to_a_gateway_and_out_again_without_an_order() {
    // A first gateway is where the certificate comes from.
    let mut gateway = Gateway::prepare();
    let pebble = Pebble::start(gateway.http, gateway.https, &Options::default());
    let proxy = FaultProxy::start(&pebble);
    let site = format!("{SITE} {{\n    respond 200 here\n}}");
    gateway.configure(&proxy.acme_lines(), &site);
    gateway.start();
    let root = pebble.issued_root();
    let first = gateway.until_served(SITE, &root, SOON).serial();
    wait::until_true("the order is settled", SOON, || gateway.output().contains("certificate_issued"));
    let store = tempfile::tempdir().unwrap();
    let out = store.path().join("out");
    says(&gateway.run(&format!("certs export {SITE} {}", out.display())), 0);
    assert_eq!((mode(&out.join(format!("{SITE}.pem"))), mode(&out.join(format!("{SITE}.key")))), (0o600, 0o600));
    assert!(
        says(&gateway.run(&format!("certs export other.example {}", out.display())), 1)
            .contains("no certificate for other.example")
    );
    assert!(says(&gateway.run(&format!("certs export --all {}", out.display())), 0).contains(SITE));
    assert!(gateway.stop().success());

    // certbot's layout around it, with the account that ordered it.
    let accounts = gateway.state().join("accounts");
    let account = fs::read_dir(&accounts).unwrap().next().unwrap().unwrap().path();
    let url = fs::read_to_string(account.join("url")).unwrap();
    let live = store.path().join("letsencrypt/live").join(SITE);
    fs::create_dir_all(&live).unwrap();
    fs::create_dir_all(store.path().join("letsencrypt/renewal")).unwrap();
    fs::rename(out.join(format!("{SITE}.pem")), live.join("fullchain.pem")).unwrap();
    fs::rename(out.join(format!("{SITE}.key")), live.join("privkey.pem")).unwrap();
    let directory = format!("https://localhost:{}/dir", proxy.port());
    let renewal = format!("[renewalparams]\nserver = {directory}\n");
    fs::write(store.path().join(format!("letsencrypt/renewal/{SITE}.conf")), renewal).unwrap();

    // acme.sh's account folder, whose key is PEM.
    let ca = store.path().join(format!("acme.sh/ca/localhost:{}/dir", proxy.port()));
    fs::create_dir_all(&ca).unwrap();
    fs::write(store.path().join("acme.sh/account.conf"), "").unwrap();
    fs::copy(account.join("key.pem"), ca.join("account.key")).unwrap();
    fs::write(ca.join("ca.conf"), format!("ACCOUNT_URL='{}'\n", url.trim())).unwrap();

    // A second gateway with an empty state takes both over, and asks for neither a certificate nor an account.
    let (orders, made) = (proxy.count(Kind::NewOrder), proxy.count(Kind::NewAccount));
    let mut second = Gateway::prepare();
    (second.http, second.https) = (gateway.http, gateway.https);
    second.configure(&proxy.acme_lines(), &site);
    let said = says(&second.run(&format!("certs import {}", store.path().join("letsencrypt").display())), 0);
    assert!(said.contains("a store of certbot") && said.contains(&format!("{SITE}: taken over")), "{said}");
    // There is no certificate in it, which a script should learn.
    let said = says(&second.run(&format!("certs import {}", store.path().join("acme.sh").display())), 1);
    assert!(said.contains(&format!("account at {directory}: taken over")), "{said}");
    second.start();
    assert_eq!(second.until_served(SITE, &root, SOON).serial(), first);
    let shown = String::from_utf8(second.run("account show").stdout).unwrap();
    assert!(shown.contains(url.trim()) && shown.contains("status    valid"), "{shown}");
    assert_eq!((proxy.count(Kind::NewOrder), proxy.count(Kind::NewAccount)), (orders, made));
    // Its renewal names what it replaces, by the same account.
    says(&second.run(&format!("certs renew {SITE}")), 0);
    wait::until_true("the renewed one is served", SOON, || second.get(SITE, "/", &root).is_ok_and(|seen| seen.serial() != first));
    pebble.until_logged("is a replacement of");
    assert_eq!(proxy.count(Kind::NewAccount), made);
    assert!(says(&second.run("certs import /nowhere"), 1).contains("no store of certbot, Caddy or acme.sh"));
}
