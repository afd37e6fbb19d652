use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};

use super::read::MAX_PEM;
use super::*;
use crate::base::name::Identifier;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;

include!("tests/signed.rs");

const NOW: i64 = 1_795_219_200;

/// A root, an intermediate and a leaf, each with its key, all valid for ninety days around `NOW`.
struct World {
    root: String,
    intermediate: String,
    leaf: String,
    key: Secret<String>,
}

fn world(change: impl Fn(&mut CertificateParams)) -> World {
    let (root_key, root_params) = authority("Test Root");
    let root = root_params.self_signed(&root_key).unwrap();
    let root_issuer = Issuer::new(root_params, root_key);
    let (intermediate_key, intermediate_params) = authority("Test Intermediate");
    let intermediate = intermediate_params.signed_by(&intermediate_key, &root_issuer).unwrap();
    let issuer = Issuer::new(intermediate_params, intermediate_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["a.example".to_owned(), "*.b.example".into(), "192.0.2.1".into()]).unwrap();
    dates(&mut params);
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    let leaf = params.signed_by(&key, &issuer).unwrap();
    World { root: root.pem(), intermediate: intermediate.pem(), leaf: leaf.pem(), key: Secret::new(key.serialize_pem()) }
}

fn authority(name: &str) -> (KeyPair, CertificateParams) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    dates(&mut params);
    (KeyPair::generate().unwrap(), params)
}

fn dates(params: &mut CertificateParams) {
    let now = OffsetDateTime::from_unix_timestamp(NOW).unwrap();
    (params.not_before, params.not_after) = (now - Duration::days(1), now + Duration::days(89));
}

fn build(chain: &[&str], key: &Secret<String>, wanted: &[&str]) -> Result<CertBundle, BundleError> {
    let wanted: Vec<Identifier> = wanted.iter().map(|name| Identifier::parse(name).unwrap()).collect();
    CertBundle::build(&chain.concat(), key, &wanted, Timestamp::from_unix(NOW))
}

/// What the complaint says about the chain and key.
fn complaint(chain: &[&str], key: &Secret<String>, wanted: &[&str]) -> String {
    build(chain, key, wanted).unwrap_err().to_string()
}

#[test]
fn a_whole_chain_with_its_key_is_a_bundle() {
    let w = world(|_| ());
    for chain in [&[&*w.leaf, &w.intermediate][..], &[&w.leaf, &w.intermediate, &w.root]] {
        let bundle = build(chain, &w.key, &["a.example", "x.b.example", "*.b.example", "192.0.2.1"]).unwrap();
        assert_eq!(bundle.issuer_name(), "Test Intermediate");
        assert_eq!(bundle.root_name(), "Test Root");
        assert_eq!(bundle.identifiers().len(), 3);
        assert_eq!(bundle.validity().lifetime().as_secs(), 90 * 86_400);
        assert!(bundle.renewal_id().unwrap().contains('.'));
        assert_eq!(bundle.certified().cert.len(), chain.len());
        assert!(bundle.serial().len() >= 16);
        assert_eq!(CertBundle::restore(bundle.chain_pem(), &w.key).unwrap().serial(), bundle.serial());
    }
}

#[test]
fn a_cut_chain_is_refused_and_names_who_is_missing() {
    let w = world(|_| ());
    assert_eq!(
        complaint(&[&w.leaf], &w.key, &["a.example"]),
        "the chain is cut: the certificate of `Test Intermediate`, which signed the one for a.example, is missing; append it"
    );
    assert!(matches!(CertBundle::restore(&w.leaf, &w.key), Err(BundleError::Cut { .. })));
}

#[test]
fn a_leaf_issued_straight_by_a_known_root_needs_no_intermediate() {
    let w = world(|_| ());
    let issuer = CertificateDer::from_pem_slice(w.intermediate.as_bytes()).unwrap();
    let now = Timestamp::from_unix(NOW);
    assert!(CertBundle::build_under(&w.leaf, &w.key, &[], now, std::slice::from_ref(&issuer)).is_ok());
    let stranger = CertificateDer::from_pem_slice(w.root.as_bytes()).unwrap();
    assert!(CertBundle::build_under(&w.leaf, &w.key, &[], now, &[stranger]).is_err());
}

#[test]
fn certificates_from_another_chain_are_refused() {
    let (w, other) = (world(|_| ()), world(|_| ()));
    // The same names throughout: only the signature tells them apart.
    assert!(matches!(build(&[&w.leaf, &other.intermediate], &w.key, &[]), Err(BundleError::Unlinked { number: 2, .. })));
    let said = complaint(&[&w.leaf, &other.intermediate, &other.root], &w.key, &[]);
    assert!(said.starts_with("certificate 2 of the chain, `Test Intermediate`, did not sign the one before it"), "{said}");
    assert!(matches!(build(&[&w.leaf, &w.root], &w.key, &[]), Err(BundleError::Unlinked { number: 2, .. })));
    let said = complaint(&[&w.intermediate, &w.root], &w.key, &[]);
    assert!(said.contains("is an authority's"), "{said}");
}

#[test]
fn a_chain_in_any_order_is_sorted_with_a_note_and_kept_sorted() {
    let (w, other) = (world(|_| ()), world(|_| ()));
    let in_order = |chain: &[&str]| {
        let bundle = build(chain, &w.key, &["a.example"]).unwrap();
        let note = bundle.note().map(str::to_owned);
        // What is stored is in order, and nothing is said of it again.
        assert_eq!(CertBundle::restore(bundle.chain_pem(), &w.key).unwrap().note(), None);
        let read = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        assert_eq!(bundle.certified().cert[..2], [read(&w.leaf), read(&w.intermediate)]);
        (bundle.certified().cert.len(), note)
    };
    assert_eq!(in_order(&[&w.leaf, &w.intermediate]), (2, None));
    assert_eq!(in_order(&[&w.leaf, &w.intermediate, &w.root]), (3, None));
    for chain in [
        &[&*w.leaf, &w.root, &w.intermediate][..],
        &[&w.intermediate, &w.leaf, &w.root],
        &[&w.root, &w.intermediate, &w.leaf],
        &[&w.leaf, &w.leaf, &w.intermediate, &w.root],
    ] {
        let (length, note) = in_order(chain);
        assert!(length == 3 && note.unwrap().contains("are not in order"));
    }
    // What signed none of the others is left out, and named.
    let (length, note) = in_order(&[&w.leaf, &w.intermediate, &other.root]);
    assert!(length == 2 && note.unwrap().contains("`Test Root` signed none of the others"));
}

#[test]
fn two_certificates_that_may_be_the_issuer_are_left_to_a_person() {
    // One key under one name with two certificates, as cross-signed authorities have.
    let (key, params) = authority("Twin");
    let twins = [params.self_signed(&key).unwrap().pem(), params.self_signed(&key).unwrap().pem()];
    assert_ne!(twins[0], twins[1]);
    let issuer = Issuer::new(params, key);
    let leaf_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
    dates(&mut params);
    let leaf = params.signed_by(&leaf_key, &issuer).unwrap().pem();
    let key = Secret::new(leaf_key.serialize_pem());
    assert!(build(&[&leaf, &twins[0]], &key, &[]).is_ok());
    assert!(build(&[&twins[0], &twins[1], &leaf], &key, &[]).is_err());
}

#[test]
fn every_signature_that_clients_know_is_verified_and_any_other_is_served_with_a_note() {
    let now = Timestamp::from_unix(1_795_219_200);
    let wanted = [Identifier::parse("app.corp.test").unwrap()];
    for (name, chain, key) in SIGNED {
        let key = Secret::new((*key).to_owned());
        let bundle = CertBundle::build(chain, &key, &wanted, now).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(bundle.note().is_some(), name.starts_with("unchecked"), "{name}: {:?}", bundle.note());
        // One bit of the leaf's signature: the last byte of the certificate is part of it.
        let mut damaged: Vec<_> = bundle.certified().cert.clone();
        let mut bytes = damaged[0].as_ref().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        damaged[0] = CertificateDer::from(bytes);
        let verdict = CertBundle::build(&pem::chain(&damaged), &key, &wanted, now);
        assert_eq!(verdict.is_err(), !name.starts_with("unchecked"), "{name}: {verdict:?}");
    }
}

#[test]
fn truncated_and_foreign_texts_are_refused() {
    let w = world(|_| ());
    let whole = format!("{}{}", w.leaf, w.intermediate);
    for cut in [whole.len() - 5, whole.len() - 60, w.leaf.len() + 100, w.leaf.len() - 10, 40, 0] {
        assert!(build(&[&whole[..cut]], &w.key, &["a.example"]).is_err(), "cut at {cut}");
    }
    assert_eq!(build(&["<html>"], &w.key, &[]).unwrap_err(), BundleError::NoCertificate);
    assert_eq!(build(&[&"x".repeat(MAX_PEM + 1)], &w.key, &[]).unwrap_err(), BundleError::TooLarge(MAX_PEM + 1));
    assert_eq!(build(&[&*w.leaf; 11], &w.key, &[]).unwrap_err(), BundleError::TooMany);
}

#[test]
fn the_key_must_be_the_leafs_own() {
    let (w, other) = (world(|_| ()), world(|_| ()));
    let chain = [&*w.leaf, &w.intermediate];
    let error = build(&chain, &other.key, &[]).unwrap_err();
    assert_eq!(error, BundleError::KeyMismatch { subject: "a.example".into() });
    assert_eq!(error.piece(), Piece::Key);
    assert_eq!(build(&chain, &Secret::new(w.leaf.clone()), &[]).unwrap_err(), BundleError::NoKey);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(build(&chain, &Secret::new(encrypted.into()), &[]).unwrap_err(), BundleError::KeyEncrypted);
    let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(build(&chain, &Secret::new(garbage.into()), &[]).unwrap_err(), BundleError::KeyUnusable);
}

#[test]
fn every_wanted_name_must_be_covered_by_one_label_at_most() {
    let w = world(|_| ());
    let chain = [&*w.leaf, &w.intermediate];
    for missing in ["b.example", "x.y.b.example", "*.a.example", "c.example", "192.0.2.2"] {
        assert!(matches!(build(&chain, &w.key, &["a.example", missing]), Err(BundleError::NotCovered { .. })), "{missing}");
    }
    let said = complaint(&chain, &w.key, &["c.example"]);
    assert_eq!(said, "the certificate does not cover c.example; it covers a.example, *.b.example, 192.0.2.1");
}

#[test]
fn dates_must_be_sane_for_a_new_bundle_and_are_forgiven_to_a_stored_one() {
    let now = OffsetDateTime::from_unix_timestamp(NOW).unwrap();
    let check = |before: i64, after: i64, expected: &str| {
        let w = world(|params| {
            (params.not_before, params.not_after) = (now + Duration::days(before), now + Duration::days(after));
        });
        let chain = [&*w.leaf, &w.intermediate];
        let said = complaint(&chain, &w.key, &[]);
        assert!(said.contains(expected), "{said}");
        assert!(CertBundle::restore(&chain.concat(), &w.key).is_ok());
    };
    check(-90, -1, "expired at 2026-11-20T00:00:00Z");
    check(1, 90, "is valid only from 2026-11-22T00:00:00Z");
    check(1, -1, "ends before it begins");
}

#[test]
fn a_client_certificate_is_not_for_servers() {
    let w = world(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert!(matches!(build(&[&w.leaf, &w.intermediate], &w.key, &[]), Err(BundleError::NotForServers { .. })));
}

#[test]
fn a_bundle_does_not_show_its_key() {
    let w = world(|_| ());
    let bundle = build(&[&w.leaf, &w.intermediate], &w.key, &[]).unwrap();
    assert!(!format!("{bundle:?}").contains("PRIVATE"));
}
