//! The yard itself: the real authority answers, and the proxy before it fails as it is told.

use crate::support::authority::Authority;
use crate::support::chromium::Chromium;
use crate::support::client;
use crate::support::fault::{Fault, FaultProxy, Kind};
use crate::support::pebble::{Options, Pebble};
use crate::support::process::{self, Process};
use crate::support::{ports, wait};

#[test]
fn pebble_answers_through_the_fault_proxy_and_fails_as_told() {
    let pebble = Pebble::start(1, 1, &Options::default());
    let proxy = FaultProxy::start(&pebble);
    let root = pebble.authority().root_file();
    let directory = || client::get("localhost", proxy.port(), "/dir", &root);
    proxy.fail(Kind::Directory, Fault::Status(503, Some(7)));
    let refused = directory().unwrap();
    assert_eq!((refused.response.status().as_u16(), &refused.response.headers()["retry-after"]), (503, &"7".parse().unwrap()));
    proxy.fail(Kind::Directory, Fault::LoseAnswer);
    assert!(directory().is_err());
    let whole = directory().unwrap().text();
    assert!(whole.contains(&format!("https://localhost:{}/order-plz", proxy.port())), "URLs lead back here: {whole}");
    assert!(whole.contains("renewalInfo") && whole.contains("profiles"), "not Pebble 2.10 or newer: {whole}");
    proxy.until_struck(Kind::Directory, wait::LIMIT);
    assert_eq!(proxy.count(Kind::Directory), 3);
}

#[test]
fn chromium_trusts_the_root_it_is_given_and_runs_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let (chain, key) = authority.sign_files("page");
    let port = ports::free();
    let mut openssl = process::command("openssl");
    openssl.args(["s_server", "-www", "-quiet", "-accept", &port.to_string(), "-cert"]).arg(chain).arg("-key").arg(key);
    let _server = Process::start("openssl s_server", &mut openssl);
    wait::until_listening("openssl s_server", ([127, 0, 0, 1], port).into(), wait::LIMIT);
    let mut chromium = Chromium::open(&format!("https://localhost:{port}/"), &authority.root_file(), &[]);
    chromium.until_true("location.protocol === 'https:' && document.body.innerText.includes('Cipher')", wait::LIMIT);
}
