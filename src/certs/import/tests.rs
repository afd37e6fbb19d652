//! Stores in the layouts that their tools really make, with certificates of an authority of the test's own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, EcPrivateKeyRfc5915Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::base::name::Identifier;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::certs::desired::DesiredCert;
use crate::certs::issuer::local_ca::LocalCa;
use crate::state::pem_store::{PemStore, Slot};
use crate::state::slug::Slug;

const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const USUAL: &str = "https://ca.example/dir";

struct World {
    dir: tempfile::TempDir,
    vault: PemStore,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let vault = PemStore::new(dir.path().join("state"));
        Self { dir, vault }
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.store().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A chain and a key for these names, made at this moment.
    fn pair(&self, names: &[&str], at: Timestamp) -> (String, String) {
        let names: Vec<Identifier> = names.iter().map(|name| Identifier::parse(name).unwrap()).collect();
        let (chain, key) = LocalCa::open(&PemStore::new(self.dir.path().join("ca")), at).unwrap().0.make(&names, at).unwrap();
        (chain, key.expose().clone())
    }

    fn take(&self, path: &Path, needs: &[DesiredCert]) -> (Tool, Vec<String>) {
        let stock = look(path).unwrap();
        let report = take(&stock, &self.vault, needs, USUAL, NOW);
        let told = |taken: Applied| match taken.came {
            Ok(Kept::Stored { names, not_after }) => {
                format!("{}: stored {} {}", taken.title, names.join("+"), not_after.is_some())
            }
            Ok(Kept::Superseded) => format!("{}: superseded", taken.title),
            Err(words) => format!("{}: {words}", taken.title),
        };
        (stock.tool, report.certificates.into_iter().chain(report.accounts).map(told).collect())
    }

    fn holds(&self, directory: &str, names: &[&str]) -> bool {
        let names: Vec<Identifier> = names.iter().map(|name| Identifier::parse(name).unwrap()).collect();
        !self.vault.pairs(&Slot { issuer: Slug::of_url(directory), name: Slug::of_names(&names) }).is_empty()
    }

    fn account_url(&self, directory: &str) -> Option<String> {
        self.vault.account(&Slug::of_url(directory)).unwrap()?.url
    }
}

/// A P-256 key as SEC 1 in PEM, with the parameters that OpenSSL writes before it.
fn sec1() -> (EcdsaKeyPair, String) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let body = lines.join("\n");
    let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    (pair, format!("{parameters}-----BEGIN EC PRIVATE KEY-----\n{body}\n-----END EC PRIVATE KEY-----\n"))
}

/// The same for certbot.
fn jwk(pair: &EcdsaKeyPair) -> String {
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let d: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().unwrap();
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    serde_json::json!({ "kty": "EC", "crv": "P-256", "x": part(x), "y": part(y), "d": part(d.as_ref()) }).to_string()
}

fn public_of(pem: &Secret<String>) -> Vec<u8> {
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der()).unwrap();
    pair.public_key().as_ref().to_vec()
}

fn certbot(world: &World, account_key: &str) {
    let (chain, key) = world.pair(&["example.com", "www.example.com"], NOW);
    for (number, (chain, key)) in [(1, ("old".to_owned(), "old".to_owned())), (2, (chain, key))] {
        world.write(&format!("archive/example.com/fullchain{number}.pem"), &chain);
        world.write(&format!("archive/example.com/privkey{number}.pem"), &key);
    }
    let live = world.store().join("live/example.com");
    fs::create_dir_all(&live).unwrap();
    for file in ["fullchain", "privkey"] {
        symlink(format!("../../archive/example.com/{file}2.pem"), live.join(format!("{file}.pem"))).unwrap();
    }
    world.write("live/README", "This directory contains your keys and certificates.\n");
    let renewal = format!(
        "# renew_before_expiry = 30 days\nversion = 2.11.0\narchive_dir = /etc/letsencrypt/archive/example.com\n\n\
         [renewalparams]\naccount = 0f\nauthenticator = nginx\nserver = {LETS_ENCRYPT}\nkey_type = ecdsa\n"
    );
    world.write("renewal/example.com.conf", &renewal);
    let account = "accounts/acme-v02.api.letsencrypt.org/directory/0f";
    world.write(&format!("{account}/private_key.json"), account_key);
    world.write(&format!("{account}/regr.json"), r#"{"body": {}, "uri": "https://acme-v02.api.letsencrypt.org/acme/acct/7"}"#);
    world.write(&format!("{account}/meta.json"), r#"{"creation_host": "web"}"#);
}

#[test]
fn certbots_live_folder_comes_over_with_its_account() {
    let world = World::new();
    let (pair, _) = sec1();
    certbot(&world, &jwk(&pair));
    let expected =
        ["example.com: stored example.com+www.example.com true", &format!("{LETS_ENCRYPT}: stored  false")].map(str::to_owned);
    assert_eq!(world.take(&world.store(), &[]), (Tool::Certbot, expected.to_vec()));
    for names in [&["example.com"][..], &["www.example.com"], &["example.com", "www.example.com"]] {
        assert!(world.holds(LETS_ENCRYPT, names), "{names:?}");
    }
    assert_eq!(world.account_url(LETS_ENCRYPT).as_deref(), Some("https://acme-v02.api.letsencrypt.org/acme/acct/7"));
    let stored = world.vault.account(&Slug::of_url(LETS_ENCRYPT)).unwrap().unwrap();
    assert_eq!(public_of(&stored.key), pair.public_key().as_ref());
    // Doing it again changes nothing, and `live` or one certificate's folder will do as well.
    for path in ["", "live", "live/example.com"] {
        let (_, told) = world.take(&world.store().join(path), &[]);
        assert!(told.iter().all(|one| one.ends_with(": superseded")) && told.len() == 2, "{path}: {told:?}");
    }
}

#[test]
fn certbots_usual_rsa_account_is_left_in_words_and_the_certificates_come_all_the_same() {
    let world = World::new();
    certbot(&world, r#"{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"}"#);
    let (_, told) = world.take(&world.store(), &[]);
    assert!(told[0].contains("stored"), "{told:?}");
    assert!(told[1].contains("not ECDSA P-256") && told[1].contains("account of our own"), "{told:?}");
    assert_eq!(world.account_url(LETS_ENCRYPT), None);
}

#[test]
fn caddys_storage_comes_over_with_its_account() {
    let world = World::new();
    let issuer = "certificates/acme-v02.api.letsencrypt.org-directory/example.com/example.com";
    let (chain, key) = world.pair(&["example.com"], NOW);
    world.write(&format!("{issuer}.crt"), &chain);
    world.write(&format!("{issuer}.key"), &key);
    let data = serde_json::json!({ "sans": ["example.com"], "issuer_data": { "url": "https://x", "ca": LETS_ENCRYPT, "account": "https://y" } });
    world.write(&format!("{issuer}.json"), &data.to_string());
    let (chain, key) = world.pair(&["localhost"], NOW);
    world.write("certificates/local/localhost/localhost.crt", &chain);
    world.write("certificates/local/localhost/localhost.key", &key);
    let (pair, pem) = sec1();
    let users = "acme/acme-v02.api.letsencrypt.org-directory/users/ops@example.com/ops";
    world.write(&format!("{users}.key"), &pem);
    world.write(
        &format!("{users}.json"),
        r#"{"status":"valid","contact":["mailto:ops@example.com"],"location":"https://le/acct/9"}"#,
    );
    let expected = ["example.com: stored example.com true", &format!("{LETS_ENCRYPT}: stored  false")].map(str::to_owned);
    assert_eq!(world.take(&world.store(), &[]), (Tool::Caddy, expected.to_vec()));
    assert!(world.holds(LETS_ENCRYPT, &["example.com"]) && !world.holds(LETS_ENCRYPT, &["localhost"]));
    assert_eq!(world.account_url(LETS_ENCRYPT).as_deref(), Some("https://le/acct/9"));
    let stored = world.vault.account(&Slug::of_url(LETS_ENCRYPT)).unwrap().unwrap();
    assert_eq!(public_of(&stored.key), pair.public_key().as_ref());
    let (_, told) = world.take(&world.store().join("certificates"), &[]);
    assert!(told[0].ends_with("superseded"), "{told:?}");
}

#[test]
fn acme_shs_store_comes_over_with_its_account() {
    let world = World::new();
    let (chain, key) = world.pair(&["example.com", "*.example.com"], NOW);
    world.write("example.com_ecc/fullchain.cer", &chain);
    world.write("example.com_ecc/example.com.key", &key);
    let conf = format!("Le_Domain='example.com'\nLe_Alt='*.example.com'\nLe_API='{LETS_ENCRYPT}'\nLe_Keylength='ec-256'\n");
    world.write("example.com_ecc/example.com.conf", &conf);
    world.write("account.conf", "LOG_FILE='/root/.acme.sh/acme.sh.log'\n");
    let (_, pem) = sec1();
    world.write("ca/acme-v02.api.letsencrypt.org/directory/account.key", &pem);
    world.write("ca/acme-v02.api.letsencrypt.org/directory/ca.conf", "CA_KEY_HASH='x'\nACCOUNT_URL='https://le/acct/3'\n");
    let expected =
        ["example.com: stored example.com+*.example.com true", &format!("{LETS_ENCRYPT}: stored  false")].map(str::to_owned);
    assert_eq!(world.take(&world.store(), &[]), (Tool::AcmeSh, expected.to_vec()));
    assert!(world.holds(LETS_ENCRYPT, &["*.example.com"]));
    assert_eq!(world.account_url(LETS_ENCRYPT).as_deref(), Some("https://le/acct/3"));
    let (_, told) = world.take(&world.store().join("example.com_ecc"), &[]);
    assert!(told[0].ends_with("superseded"), "{told:?}");
}

#[test]
fn what_is_expired_mismatched_or_cut_is_refused_with_the_file_and_nothing_is_stored() {
    let world = World::new();
    let (old, old_key) = world.pair(&["old.example"], NOW - Duration::from_secs(7 * 86_400));
    let (chain, key) = world.pair(&["a.example"], NOW);
    let leaf = chain.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap().to_owned();
    for (name, chain, key) in [("old", &old, &old_key), ("mixed", &chain, &old_key), ("cut", &leaf, &key)] {
        world.write(&format!("{name}_ecc/fullchain.cer"), chain);
        world.write(&format!("{name}_ecc/{name}.key"), key);
        world.write(&format!("{name}_ecc/{name}.conf"), &format!("Le_Domain='{name}'\n"));
    }
    let (_, told) = world.take(&world.store(), &[]);
    let check = |at: usize, words: &[&str]| assert!(words.iter().all(|word| told[at].contains(word)), "{words:?}: {told:?}");
    check(0, &["cut: ", "fullchain.cer", "the chain is cut"]);
    check(1, &["mixed: ", "mixed.key", "does not belong"]);
    check(2, &["old: ", "fullchain.cer", "expired at"]);
    assert!(world.vault.slots().is_empty());
}

#[test]
fn where_the_configuration_asks_another_authority_the_certificate_serves_until_that_one_renews_it() {
    let world = World::new();
    certbot(&world, "{}");
    let needs = [crate::certs::fixtures::acme_need(USUAL, &["example.com"])];
    world.take(&world.store(), &needs);
    assert!(world.holds(USUAL, &["example.com"]) && world.holds(LETS_ENCRYPT, &["example.com"]));
    assert!(!world.holds(USUAL, &["www.example.com"]));
}

#[test]
fn another_folder_is_told_apart_in_words() {
    let world = World::new();
    let (chain, key) = world.pair(&["a.example"], NOW);
    let slot = Slot { issuer: Slug::of_url(USUAL), name: Slug::parse("a.example").unwrap() };
    world.vault.save_pair(&slot, &chain, &Secret::new(key)).unwrap();
    for path in [world.vault.root(), world.dir.path(), Path::new("/nowhere")] {
        assert!(look(path).unwrap_err().to_string().contains("no store of certbot, Caddy or acme.sh"));
    }
}
