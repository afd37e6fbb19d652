//! A start with a thousand certificates in the state folder: all are served at once, and the authority hears nothing.

use std::fs;
use std::time::Duration;

use doorward::base::name::Identifier;
use doorward::base::time::{Clock, SystemClock};
use doorward::state::pem_store::Slot;
use doorward::state::schema::{Key, Remembered, Renewal};
use doorward::state::slug::Slug;
use doorward::state::store::Store;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::Instant;

use crate::support::authority::Authority;
use crate::support::issuance::{ISSUE, Issuance};
use crate::support::pebble::Options;
use crate::support::wait;

const COUNT: usize = 1_000;

#[test]
fn a_restart_with_a_thousand_certificates_serves_them_all_and_asks_the_authority_nothing() {
    let names: Vec<String> = (0..COUNT).map(|n| format!("n{n}.example.test")).collect();
    let all_names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut all = Issuance::new(&Options::default());
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    remember(&all, &authority, &all_names);
    all.configure("", &all_names);
    let start = Instant::now();
    all.gateway.start();
    all.gateway.until_served(&names[COUNT / 2], &authority.root_file(), ISSUE);
    let first = start.elapsed();
    assert!(first < wait::BEFORE_ANY_TIMEOUT, "first answer after {first:?}");
    // Whatever was due began before the first of these answers.
    for _ in 0..3 {
        let said = all.gateway.run("certs --json");
        let report: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        let text = report.to_string();
        assert_eq!(text.matches("\"state\":\"valid\"").count(), COUNT);
    }
    assert_eq!(all.proxy.count_all(), 0, "the authority was asked");
}

/// Fills the state folder as a gateway leaves it that obtained these certificates a while ago.
fn remember(all: &Issuance, authority: &Authority, names: &[&str]) {
    let now = SystemClock.now();
    let day = Duration::from_secs(86_400);
    let issuer = Slug::of_url(&format!("https://localhost:{}/dir", all.proxy.port()));
    let (store, _) = Store::open(all.gateway.state(), Duration::ZERO, now).unwrap();
    for name in names {
        let slot = Slot { issuer: issuer.clone(), name: Slug::of_names(&[Identifier::parse(name).unwrap()]) };
        let (leaf, key) = authority.sign(&[name]);
        let generation = store.vault().generation_folder(&slot, 1);
        fs::create_dir_all(&generation).unwrap();
        fs::write(generation.join("cert.pem"), leaf.clone() + &authority.root_pem()).unwrap();
        fs::write(generation.join("key.pem"), key).unwrap();
        let der = CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap();
        let (_, leaf) = x509_parser::parse_x509_certificate(&der).unwrap();
        let serial = leaf.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect();
        let renewal = Renewal {
            serial,
            backstop: now + 60 * day,
            renew_at: now + 60 * day,
            recheck_at: Some(now + day / 4),
            window: None,
            recalled: false,
        };
        store.put(&Key::Need(slot), &Remembered { renewal: Some(renewal), ..Remembered::default() }).unwrap();
    }
}
