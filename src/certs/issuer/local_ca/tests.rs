//! The local authority before a real TLS client, and over restarts and damage.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::authority::{DAY, HOUR, ROOT_LIFE};
use super::*;

const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);

fn names(texts: &[&str]) -> Vec<Identifier> {
    texts.iter().map(|text| Identifier::parse(text).unwrap()).collect()
}

/// Whether a client that trusts `root` accepts the chain for `name` at `at`.
fn accepts(root: &str, chain: &str, name: &str, at: Timestamp) -> bool {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(at.unix().unsigned_abs()));
    verifier.verify_server_cert(&chain[0], &chain[1..], &ServerName::try_from(name).unwrap(), &[], time).is_ok()
}

fn open(vault: &PemStore, now: Timestamp) -> (LocalCa, Opened) {
    LocalCa::open(vault, now).unwrap()
}

#[test]
fn a_client_that_trusts_the_root_accepts_names_wildcards_and_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ca, opened) = open(&PemStore::new(dir.path().to_owned()), NOW);
    assert!(opened.new_root);
    let (chain, _) = ca.make(&names(&["localhost", "*.app.internal", "127.0.0.1", "::1"]), NOW).unwrap();
    for name in ["localhost", "x.app.internal", "127.0.0.1", "::1"] {
        assert!(accepts(ca.root_pem(), &chain, name, NOW), "{name}");
    }
    assert!(!accepts(ca.root_pem(), &chain, "other.internal", NOW));
    assert!(!accepts(ca.root_pem(), &chain, "localhost", NOW + LEAF_LIFE + HOUR));
}

#[test]
fn the_root_stays_over_restarts_and_the_intermediate_is_renewed_before_its_leaves_end() {
    let dir = tempfile::tempdir().unwrap();
    let vault = PemStore::new(dir.path().to_owned());
    let (first, _) = open(&vault, NOW);
    first.keep().unwrap();
    let (mut second, opened) = open(&vault, NOW + DAY);
    assert!(!opened.new_root);
    assert_eq!(first.root_pem(), second.root_pem());
    assert_eq!(first.intermediate.pem, second.intermediate.pem);
    let mut at = NOW;
    for _ in 0..60 {
        at = at + Duration::from_secs(6 * 3_600);
        let (chain, _) = second.make(&names(&["localhost"]), at).unwrap();
        assert!(accepts(second.root_pem(), &chain, "localhost", at + LEAF_LIFE - HOUR));
        assert!(second.vouches_for(&chain));
    }
}

#[test]
fn what_a_lost_root_vouched_for_is_not_taken_for_ours() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lost, _) = open(&PemStore::new(dir.path().to_owned()), NOW);
    let (chain, _) = lost.make(&names(&["localhost"]), NOW).unwrap();
    let (ours, _) = open(&PemStore::new(dir.path().to_owned()), NOW);
    assert!(lost.vouches_for(&chain) && !ours.vouches_for(&chain));
    assert!(!ours.vouches_for("no chain at all"));
}

#[test]
fn damaged_files_are_reported_and_a_new_root_is_made() {
    for damage in ["root.pem", "root-key.pem"] {
        let dir = tempfile::tempdir().unwrap();
        let vault = PemStore::new(dir.path().to_owned());
        open(&vault, NOW).0.keep().unwrap();
        std::fs::write(vault.authority_file("local", damage), "garbage").unwrap();
        let (mut ca, opened) = open(&vault, NOW);
        assert!(opened.new_root && opened.damaged.is_some(), "{opened:?}");
        assert!(ca.make(&names(&["localhost"]), NOW).is_ok());
    }
}

#[test]
fn a_vault_that_cannot_be_written_leaves_an_authority_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (mut ca, _) = open(&PemStore::new(file.join("state")), NOW);
    assert!(ca.keep().is_err());
    assert!(ca.make(&names(&["localhost"]), NOW).is_ok());
}

#[test]
fn a_root_is_followed_before_its_end_by_one_that_lay_ready_for_a_year() {
    let dir = tempfile::tempdir().unwrap();
    let vault = PemStore::new(dir.path().to_owned());
    let read = |path: PathBuf| std::fs::read_to_string(path).ok();
    let (mut ca, _) = open(&vault, NOW);
    ca.keep().unwrap();
    let old = ca.root_pem().to_owned();
    let end = NOW + ROOT_LIFE;
    ca.make(&names(&["localhost"]), end - DAY * 366).unwrap();
    assert_eq!((ca.ending(), read(next_root_file(&vault))), (None, None));
    // A year before its end the successor lies ready, and the old root signs on, over restarts as well.
    let (chain, _) = ca.make(&names(&["localhost"]), end - DAY * 364).unwrap();
    let next = read(next_root_file(&vault)).expect("the successor is kept");
    assert!(ca.ending() == Some(end) && accepts(&old, &chain, "localhost", end - DAY * 364));
    let (mut ca, opened) = open(&vault, end - DAY * 300);
    assert!(!opened.new_root && ca.ending() == Some(end) && ca.root_pem() == old);
    // It takes its place before anything that the old one signed could outlive it.
    let (last, _) = ca.make(&names(&["localhost"]), end - DAY * 15).unwrap();
    assert!(accepts(&old, &last, "localhost", end - DAY * 15));
    let (chain, _) = ca.make(&names(&["localhost"]), end - DAY * 13).unwrap();
    assert!(ca.root_pem() == next && accepts(&next, &chain, "localhost", end - DAY * 13));
    assert_eq!((read(root_file(&vault)), read(next_root_file(&vault))), (Some(next.clone()), None));
    let (ca, opened) = open(&vault, end);
    assert!(!opened.new_root && ca.root_pem() == next && ca.ending().is_none());
}

#[test]
fn a_crash_while_the_successor_takes_the_roots_place_loses_neither() {
    let dir = tempfile::tempdir().unwrap();
    let vault = PemStore::new(dir.path().to_owned());
    open(&vault, NOW).0.keep().unwrap();
    let end = NOW + ROOT_LIFE;
    let (ca, _) = open(&vault, end - DAY * 100);
    ca.keep().unwrap();
    let next = std::fs::read_to_string(next_root_file(&vault)).unwrap();
    // Killed between the root's key and its certificate.
    std::fs::copy(vault.authority_file("local", "next-root-key.pem"), vault.authority_file("local", "root-key.pem")).unwrap();
    let (ca, opened) = open(&vault, end - DAY);
    assert!(!opened.new_root && opened.damaged.is_none() && ca.root_pem() == next);
    ca.keep().unwrap();
    assert_eq!(open(&vault, end - DAY).0.root_pem(), next);
}

/// The root that a client was told to trust, made at `NOW`, in a vault of its own.
fn trusted() -> (tempfile::TempDir, PemStore, String) {
    let dir = tempfile::tempdir().unwrap();
    let vault = PemStore::new(dir.path().to_owned());
    let (ca, _) = open(&vault, NOW);
    ca.keep().unwrap();
    let root = ca.root_pem().to_owned();
    (dir, vault, root)
}

#[test]
fn a_start_under_a_clock_years_ahead_sets_the_root_aside_and_the_next_start_takes_it_again() {
    for years in [9, 11, 40] {
        let (_dir, vault, root) = trusted();
        let ahead = NOW + DAY * 365 * years;
        let (mut ca, _) = open(&vault, ahead);
        let (chain, _) = ca.make(&names(&["localhost"]), ahead).unwrap();
        assert!(accepts(ca.root_pem(), &chain, "localhost", ahead), "{years}");
        ca.keep().unwrap();
        let other = ca.root_pem().to_owned();
        let (mut ca, opened) = open(&vault, NOW + HOUR);
        assert!(!opened.new_root && opened.damaged.is_none() && ca.root_pem() == root, "{years}");
        let (chain, _) = ca.make(&names(&["localhost"]), NOW + HOUR).unwrap();
        assert!(accepts(&root, &chain, "localhost", NOW + HOUR) && ca.ending().is_none(), "{years}");
        ca.keep().unwrap();
        assert_eq!(std::fs::read_to_string(root_file(&vault)).unwrap(), root);
        // The other one is there for the day when it is valid, and no third one is made.
        let (ca, opened) = open(&vault, ahead + DAY);
        assert!(!opened.new_root && ca.root_pem() == other, "{years}");
    }
}

#[test]
fn a_clock_that_jumps_while_it_runs_and_comes_back_changes_no_root() {
    let (_dir, vault, root) = trusted();
    let (mut ca, _) = open(&vault, NOW);
    for years in [0, 11, 0, 9, 0, 60, 0] {
        let at = NOW + DAY * 365 * years;
        let (chain, _) = ca.make(&names(&["localhost"]), at).unwrap();
        assert!(accepts(ca.root_pem(), &chain, "localhost", at), "{years}");
        assert_eq!(ca.root_pem() == root, years < 10, "{years}");
    }
    assert!(std::fs::read_to_string(root_file(&vault)).unwrap() == root && ca.ending().is_none());
}

#[test]
fn a_root_from_the_future_gives_way_to_one_that_is_valid_now() {
    let dir = tempfile::tempdir().unwrap();
    let vault = PemStore::new(dir.path().to_owned());
    open(&vault, NOW + DAY * 500).0.keep().unwrap();
    let (mut ca, opened) = open(&vault, NOW);
    assert!(opened.new_root && opened.damaged.is_none());
    let (chain, _) = ca.make(&names(&["localhost"]), NOW).unwrap();
    assert!(accepts(ca.root_pem(), &chain, "localhost", NOW));
    ca.keep().unwrap();
    assert!(!open(&vault, NOW + DAY).1.new_root);
}

#[test]
fn files_that_cannot_be_read_now_are_neither_replaced_nor_called_damaged() {
    let (_dir, vault, root) = trusted();
    let key = vault.authority_file("local", "root-key.pem");
    // Reading a folder fails as reading without descriptors does: the file's content is not at fault.
    let moved = key.with_extension("moved");
    std::fs::rename(&key, &moved).unwrap();
    std::fs::create_dir(&key).unwrap();
    assert!(matches!(LocalCa::open(&vault, NOW), Err(LocalCaError::Read(_))));
    std::fs::remove_dir(&key).unwrap();
    std::fs::rename(&moved, &key).unwrap();
    assert_eq!(open(&vault, NOW).0.root_pem(), root);
}
