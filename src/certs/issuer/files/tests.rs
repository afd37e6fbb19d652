//! Files as renewers write them, right and wrong.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::certs::issuer::local_ca::LocalCa;
use crate::state::pem_store::PemStore;

const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);

struct Folder {
    dir: tempfile::TempDir,
    ca: LocalCa,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = LocalCa::open(&PemStore::new(dir.path().join("state")), NOW).unwrap().0;
        Self { dir, ca }
    }

    fn chain(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    fn write(&mut self, name: &str) -> (String, String) {
        let (chain, key) = self.ca.make(&[Identifier::parse(name).unwrap()], NOW).unwrap();
        atomic_file::write(&self.chain(), chain.as_bytes()).unwrap();
        atomic_file::write(&self.key(), key.expose().as_bytes()).unwrap();
        (chain, key.expose().clone())
    }

    fn read(&self, now: Timestamp, any_time: bool) -> Result<FromFiles, String> {
        let wanted = [Identifier::parse("a.example").unwrap()];
        read(&self.chain(), &self.key(), &wanted, now, any_time)
            .map_err(|error| crate::base::error_chain::ErrorChain(&error).to_string())
    }
}

#[test]
fn right_files_are_taken_and_a_key_for_everybody_is_warned_of() {
    let mut folder = Folder::new();
    folder.write("a.example");
    assert_eq!(folder.read(NOW, false).unwrap().warning, None);
    fs::set_permissions(folder.key(), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(folder.read(NOW, false).unwrap().warning.unwrap().contains("0644"));
}

#[test]
fn wrong_files_are_refused_with_the_file_and_the_reason() {
    let mut folder = Folder::new();
    let says = |folder: &Folder, words: &[&str]| {
        let error = folder.read(NOW, false).map(|_| ()).unwrap_err();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    says(&folder, &["there is no file", "cert.pem"]);
    let (chain, key) = folder.write("a.example");
    folder.write("b.example");
    says(&folder, &["cert.pem", "does not cover a.example", "b.example"]);
    fs::write(folder.chain(), &chain).unwrap();
    says(&folder, &["key.pem", "does not belong"]);
    fs::write(folder.key(), &key).unwrap();
    let second = chain.rfind("-----BEGIN").unwrap();
    fs::write(folder.chain(), &chain[..second / 2]).unwrap();
    says(&folder, &["cert.pem"]);
    fs::write(folder.key(), "not a key").unwrap();
    fs::write(folder.chain(), &chain).unwrap();
    says(&folder, &["key.pem", "no private key"]);
}

#[test]
fn an_expired_certificate_is_served_only_when_there_is_nothing_else() {
    let mut folder = Folder::new();
    folder.write("a.example");
    let later = NOW + Duration::from_secs(86_400);
    assert!(folder.read(later, false).unwrap_err().contains("expired"));
    assert!(folder.read(later, true).unwrap().warning.unwrap().contains("expired"));
}

#[test]
fn changed_files_are_read_once_they_hold_still() {
    let mut folder = Folder::new();
    let see = |folder: &Folder, watch: &mut Watch| watch.sees(look(&folder.chain(), &folder.key()), NOW);
    let mut watch = Watch::default();
    folder.write("a.example");
    assert!(see(&folder, &mut watch), "the first look reads");
    assert!(!see(&folder, &mut watch));
    atomic_file::write(&folder.chain(), b"new").unwrap();
    assert!(!see(&folder, &mut watch), "the key may be about to follow");
    atomic_file::write(&folder.key(), b"new").unwrap();
    assert!(!see(&folder, &mut watch));
    assert!(see(&folder, &mut watch));
    assert!(!see(&folder, &mut watch), "and only once");
    fs::remove_file(folder.key()).unwrap();
    see(&folder, &mut watch);
    assert!(see(&folder, &mut watch), "a file that vanished is worth a word");
}

#[test]
fn a_certificate_that_is_not_valid_yet_says_from_when_it_is() {
    let mut folder = Folder::new();
    folder.write("a.example");
    let before = NOW - Duration::from_secs(30 * 86_400);
    let error = read(&folder.chain(), &folder.key(), &[], before, true).map(|_| ()).unwrap_err();
    let from = error.right_from().unwrap();
    assert!(from <= NOW && read(&folder.chain(), &folder.key(), &[], from, true).is_ok(), "{from}");
    fs::remove_file(folder.key()).unwrap();
    assert_eq!(read(&folder.chain(), &folder.key(), &[], before, true).map(|_| ()).unwrap_err().right_from(), None);
}

#[test]
fn many_files_are_looked_at_less_often() {
    let check = |certificates, seconds| assert_eq!(every(certificates), Duration::from_secs(seconds), "for {certificates}");
    check(1, 2);
    check(999, 2);
    check(1_000, 4);
    check(10_000, 22);
    assert_eq!(every(0), Duration::MAX);
}

/// The leaf that a private root signed itself, alone; with `pointer` it says where its issuer's certificate is.
fn leaf_alone(folder: &Folder, pointer: bool) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "Our Own Root");
    let root = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    if pointer {
        // RFC 5280 section 4.2.2.1: caIssuers, http://ca/
        let place = [&[0x06, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2, 0x86, 10][..], b"http://ca/"].concat();
        let content = [&[0x30, 24, 0x30, 22][..], &place].concat();
        params.custom_extensions.push(rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content));
    }
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &root).unwrap();
    atomic_file::write(&folder.chain(), leaf.pem().as_bytes()).unwrap();
    atomic_file::write(&folder.key(), key.serialize_pem().as_bytes()).unwrap();
}

#[test]
fn the_leaf_of_a_private_root_may_stand_alone_and_that_of_a_public_authority_may_not() {
    let folder = Folder::new();
    leaf_alone(&folder, false);
    let warning = folder.read(NOW, false).unwrap().warning.unwrap();
    assert!(warning.contains("`Our Own Root` itself") && warning.contains("append its certificate"), "{warning}");
    let wanted = [Identifier::parse("b.example").unwrap()];
    assert!(read(&folder.chain(), &folder.key(), &wanted, NOW, false).is_err(), "names are proved all the same");
    leaf_alone(&folder, true);
    let refused = folder.read(NOW, false).map(|_| ()).unwrap_err();
    assert!(refused.contains("the chain is cut") && refused.contains("`Our Own Root`"), "{refused}");
}
