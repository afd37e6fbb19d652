//! Certificates of the vault as files for other programs.

use std::path::{Path, PathBuf};

use crate::base::name::Identifier;
use crate::base::time::Timestamp;
use crate::certs::bundle::CertBundle;
use crate::state::atomic_file::{self, FileError};
use crate::state::pem_store::{PemStore, StoredPair};
use crate::state::slug::Slug;

/// A certificate that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// What it covers.
    pub names: Vec<String>,
    /// Its chain, leaf first.
    pub chain: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// When it ends.
    pub not_after: Timestamp,
}

/// Nothing, or not all, was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// None covers the name.
    #[error(
        "the state folder {} holds no certificate for {name}; those of the local authority are made anew at each start, and \
         `doorward self-signed` writes one for other programs",
        state.display()
    )]
    NotHeld {
        /// As asked.
        name: String,
        /// Where it was looked for.
        state: PathBuf,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Writes the certificate for one name, or all of them, to `NAME.pem` and `NAME.key` in `folder`, each file whole or not at
/// all, with mode 0600. The valid one that ends last is taken.
pub fn export(
    vault: &PemStore,
    wanted: Option<&Identifier>,
    folder: &Path,
    now: Timestamp,
) -> Result<Vec<Exported>, ExportError> {
    let mut best: Vec<(Slug, CertBundle, StoredPair)> = Vec::new();
    for slot in vault.slots() {
        for pair in vault.pairs(&slot).into_iter().flatten() {
            let Ok(bundle) = CertBundle::restore(&pair.chain, &pair.key) else { continue };
            let name = match wanted {
                Some(wanted) if bundle.covers_all(std::slice::from_ref(wanted)) => Slug::of_names(std::slice::from_ref(wanted)),
                Some(_) => continue,
                None => slot.name.clone(),
            };
            match best.iter_mut().find(|(known, _, _)| *known == name) {
                Some(known) if worth(&known.1, now) < worth(&bundle, now) => *known = (name, bundle, pair),
                Some(_) => (),
                None => best.push((name, bundle, pair)),
            }
        }
    }
    if let (Some(wanted), true) = (wanted, best.is_empty()) {
        return Err(ExportError::NotHeld { name: wanted.to_string(), state: vault.root().to_owned() });
    }
    best.into_iter().map(|(name, bundle, pair)| write(&name, &bundle, &pair, folder)).collect()
}

fn worth(bundle: &CertBundle, now: Timestamp) -> (bool, Timestamp) {
    (bundle.validity().holds_at(now), bundle.validity().not_after)
}

/// The key first: a reader that finds the new chain finds its key.
fn write(name: &Slug, bundle: &CertBundle, pair: &StoredPair, folder: &Path) -> Result<Exported, ExportError> {
    let file = |suffix: &str| folder.join(format!("{name}.{suffix}"));
    let (chain, key) = (file("pem"), file("key"));
    atomic_file::write(&key, pair.key.expose().as_bytes())?;
    atomic_file::write(&chain, pair.chain.as_bytes())?;
    let names = bundle.identifiers().iter().map(ToString::to_string).collect();
    Ok(Exported { names, chain, key, not_after: bundle.validity().not_after })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;
    use crate::certs::issuer::local_ca::LocalCa;
    use crate::state::pem_store::Slot;

    const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);

    fn save(vault: &PemStore, directory: &str, name: &str, at: Timestamp) {
        let names = [Identifier::parse(name).unwrap()];
        let mut ca = LocalCa::open(&PemStore::new(vault.root().join("ca")), at).unwrap().0;
        let (chain, key) = ca.make(&names, at).unwrap();
        vault.save_pair(&Slot { issuer: Slug::of_url(directory), name: Slug::of_names(&names) }, &chain, &key).unwrap();
    }

    #[test]
    fn the_valid_certificate_that_ends_last_is_written_privately() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, out) = (PemStore::new(dir.path().join("state")), dir.path().join("out"));
        save(&vault, "https://first.example", "a.example", NOW);
        save(&vault, "https://second.example", "a.example", NOW + Duration::from_secs(60));
        save(&vault, "https://first.example", "*.b.example", NOW);
        let a = Identifier::parse("a.example").unwrap();
        let now = NOW + Duration::from_secs(120);
        let one = export(&vault, Some(&a), &out, now).unwrap().remove(0);
        assert_eq!(one.not_after, NOW + Duration::from_secs(12 * 3_600 + 60));
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let key = crate::base::secret::Secret::new(read(&one.key));
        assert!(CertBundle::build(&read(&one.chain), &key, &[a], now).is_ok());
        for path in [&one.key, &one.chain] {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let covered = Identifier::parse("x.b.example").unwrap();
        assert_eq!(export(&vault, Some(&covered), &out, now).unwrap()[0].chain, out.join("x.b.example.pem"));
        let all: Vec<_> = export(&vault, None, &out, now).unwrap().into_iter().map(|one| one.names.join(" ")).collect();
        assert_eq!(all, ["a.example", "*.b.example"]);
        let missing = Identifier::parse("c.example").unwrap();
        assert!(export(&vault, Some(&missing), &out, now).unwrap_err().to_string().contains("no certificate for c.example"));
    }
}
