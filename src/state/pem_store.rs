//! Certificates, their keys and account keys as PEM files: the truth, readable by any other program.
//!
//! ```text
//! certificates/<issuer>/<name>/<n>/cert.pem, key.pem    generation n; the last two are kept
//! certificates/<issuer>/<name>/current                  symbolic link to the newest (copies where there are no links)
//! accounts/<issuer>/key.pem, url                        key first, then the URL the authority gave
//! accounts/<issuer>/next-key.pem                        the key's successor, until the authority has taken it
//! pending/<issuer>/<name>.pem                           key of a certificate being ordered
//! authorities/local/*.pem                               the local authority
//! ```
//!
//! It does not judge certificates: whether a pair fits is for `certs` to say.

use std::fs;
use std::path::{Path, PathBuf};

use super::atomic_file::{self, FileError};
use super::disk_watch::DiskWatch;
use super::slug::Slug;
use crate::base::error_chain::ErrorChain;
use crate::base::secret::Secret;

mod current;

/// Generations of a certificate that stay on disk.
const KEPT: usize = 2;

/// Which certificate: from whom, for which names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// The authority.
    pub issuer: Slug,
    /// The names.
    pub name: Slug,
}

/// One stored pair. Not checked beyond being text.
#[derive(Clone, Debug)]
pub struct StoredPair {
    /// Its number; larger is newer.
    pub generation: u64,
    /// PEM, leaf first.
    pub chain: String,
    /// PEM.
    pub key: Secret<String>,
}

/// An account at an authority.
#[derive(Clone, Debug)]
pub struct StoredAccount {
    /// PEM (PKCS #8).
    pub key: Secret<String>,
    /// Missing when a crash came between the key and the authority's answer.
    pub url: Option<String>,
    /// PEM (PKCS #8) of a key that was about to take the place of the other.
    pub next_key: Option<Secret<String>>,
}

/// The folder of PEM files.
#[derive(Clone, Debug)]
pub struct PemStore {
    root: PathBuf,
    watch: DiskWatch,
}

impl PemStore {
    /// In this state folder. Creates nothing yet.
    pub fn new(root: PathBuf) -> Self {
        Self { root, watch: DiskWatch::default() }
    }

    /// The state folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Which calls its disk has not answered.
    pub const fn watch(&self) -> &DiskWatch {
        &self.watch
    }

    /// Every slot that has a folder, sorted; those that cannot be listed now are left out.
    pub fn slots(&self) -> Vec<Slot> {
        let base = self.root.join("certificates");
        let _call = self.watch.note("list", &base);
        let mut slots = Vec::new();
        for issuer in atomic_file::folders(&base).unwrap_or_default() {
            for name in atomic_file::folders(&base.join(&issuer)).unwrap_or_default() {
                if let (Some(issuer), Some(name)) = (Slug::parse(&issuer), Slug::parse(&name)) {
                    slots.push(Slot { issuer, name });
                }
            }
        }
        slots
    }

    /// The stored pairs of a slot, newest first; a generation that cannot be read comes as its number and the reason.
    pub fn pairs(&self, slot: &Slot) -> Vec<Result<StoredPair, (u64, FileError)>> {
        let folder = self.slot_folder(slot);
        let _call = match self.watch.begin("read", &folder) {
            Ok(call) => call,
            Err(error) => return vec![Err((0, error))],
        };
        match self.generations(slot) {
            Ok(numbers) => numbers.into_iter().rev().map(|n| read_pair(&folder, n).map_err(|error| (n, error))).collect(),
            // There may be some: that is no slot without any.
            Err(error) => vec![Err((0, error))],
        }
    }

    /// Stores a new generation, removes generations beyond the last two, and makes `current` name it. A pair that is the
    /// newest already is not stored again, so that a save that is repeated for any reason adds nothing.
    pub fn save_pair(&self, slot: &Slot, chain: &str, key: &Secret<String>) -> Result<u64, FileError> {
        let folder = self.slot_folder(slot);
        let _call = self.watch.begin("write", &folder)?;
        atomic_file::make_folder(&folder)?;
        let newest = self.generations(slot)?.last().copied();
        let number = match newest.filter(|number| holds(&folder, *number, chain, key)) {
            Some(number) => number,
            None => add_pair(&folder, newest.map_or(1, |last| last + 1), chain, key)?,
        };
        self.prune(slot);
        if let Err(error) = self.mend_current(slot) {
            let error = ErrorChain(&error).to_string();
            tracing::warn!(
                event = "current_not_updated",
                folder = %folder.display(),
                error,
                "the certificate is stored as generation {number}, but `current` does not name it, so other programs read an \
                 older one; move what stands in the place of `current` away"
            );
        }
        Ok(number)
    }

    /// Makes `current` name the newest generation if it does not: after a restore by a tool that follows links, for example.
    pub fn mend_current(&self, slot: &Slot) -> Result<(), FileError> {
        let folder = self.slot_folder(slot);
        let _call = self.watch.begin("update `current` in", &folder)?;
        match self.generations(slot)?.last() {
            Some(newest) if !current::names(&folder, *newest) => current::point(&folder, *newest),
            Some(_) | None => Ok(()),
        }
    }

    /// Removes every generation of a slot.
    pub fn drop_slot(&self, slot: &Slot) -> Result<(), FileError> {
        let folder = self.slot_folder(slot);
        let _call = self.watch.begin("remove", &folder)?;
        fs::remove_dir_all(&folder).map_err(FileError::of("remove", &folder))
    }

    /// Whether this generation lies in the vault as far as a look at the folder can tell.
    pub fn has_pair(&self, slot: &Slot, generation: u64) -> bool {
        let folder = self.slot_folder(slot).join(generation.to_string());
        let _call = self.watch.note("look at", &folder);
        folder.join("key.pem").is_file() && folder.join("cert.pem").is_file()
    }

    /// Folder of one generation, for setting it aside.
    pub fn generation_folder(&self, slot: &Slot, generation: u64) -> PathBuf {
        self.slot_folder(slot).join(generation.to_string())
    }

    /// The account at an authority.
    pub fn account(&self, issuer: &Slug) -> Result<Option<StoredAccount>, FileError> {
        let folder = self.account_folder(issuer);
        let _call = self.watch.begin("read", &folder)?;
        let Some(key) = atomic_file::read_secret(&folder.join("key.pem"))? else { return Ok(None) };
        let url = atomic_file::read(&folder.join("url"))?.map(|text| text.trim().to_owned()).filter(|url| !url.is_empty());
        let next_key = atomic_file::read_secret(&folder.join("next-key.pem"))?;
        Ok(Some(StoredAccount { key, url, next_key }))
    }

    /// Stores an account's key before the authority hears of it; a URL that belonged to another key is removed first.
    pub fn save_account_key(&self, issuer: &Slug, key: &Secret<String>) -> Result<(), FileError> {
        let folder = self.account_folder(issuer);
        let _call = self.watch.begin("write", &folder)?;
        atomic_file::remove(&folder.join("url"))?;
        atomic_file::write(&folder.join("key.pem"), key.expose().as_bytes())
    }

    /// Stores the URL the authority gave.
    pub fn save_account_url(&self, issuer: &Slug, url: &str) -> Result<(), FileError> {
        self.write(&self.account_folder(issuer).join("url"), format!("{url}\n").as_bytes())
    }

    /// Forgets where the account is, keeping its key.
    pub fn drop_account_url(&self, issuer: &Slug) -> Result<(), FileError> {
        self.remove(&self.account_folder(issuer).join("url"))
    }

    /// Stores the key that is about to take the place of the account's key.
    pub fn save_next_account_key(&self, issuer: &Slug, key: &Secret<String>) -> Result<(), FileError> {
        self.write(&self.account_folder(issuer).join("next-key.pem"), key.expose().as_bytes())
    }

    /// Puts the next key in the place of the account's key, in one step.
    pub fn promote_next_account_key(&self, issuer: &Slug) -> Result<(), FileError> {
        let folder = self.account_folder(issuer);
        let next = folder.join("next-key.pem");
        let _call = self.watch.begin("move into place", &next)?;
        fs::rename(&next, folder.join("key.pem"))
            .and_then(|()| atomic_file::sync_folder(&folder))
            .map_err(FileError::of("move into place", &next))
    }

    /// Drops a next key that the authority never took.
    pub fn drop_next_account_key(&self, issuer: &Slug) -> Result<(), FileError> {
        self.remove(&self.account_folder(issuer).join("next-key.pem"))
    }

    /// Folder of an account, for setting it aside.
    pub fn account_folder(&self, issuer: &Slug) -> PathBuf {
        self.root.join("accounts").join(issuer.as_str())
    }

    /// The key of a certificate being ordered.
    pub fn pending_key(&self, slot: &Slot) -> Result<Option<Secret<String>>, FileError> {
        let file = self.pending_file(slot);
        let _call = self.watch.begin("read", &file)?;
        atomic_file::read_secret(&file)
    }

    /// Stores that key, before `finalize`.
    pub fn save_pending_key(&self, slot: &Slot, key: &Secret<String>) -> Result<(), FileError> {
        self.write(&self.pending_file(slot), key.expose().as_bytes())
    }

    /// Removes that key once its certificate is stored or its order is lost.
    pub fn drop_pending_key(&self, slot: &Slot) -> Result<(), FileError> {
        self.remove(&self.pending_file(slot))
    }

    /// A file of an authority that lives here, such as `root.pem` of `local`.
    pub fn authority_file(&self, authority: &str, file: &str) -> PathBuf {
        self.root.join("authorities").join(authority).join(file)
    }

    fn write(&self, file: &Path, bytes: &[u8]) -> Result<(), FileError> {
        let _call = self.watch.begin("write", file)?;
        atomic_file::write(file, bytes)
    }

    fn remove(&self, file: &Path) -> Result<(), FileError> {
        let _call = self.watch.begin("remove", file)?;
        atomic_file::remove(file)
    }

    fn slot_folder(&self, slot: &Slot) -> PathBuf {
        self.root.join("certificates").join(slot.issuer.as_str()).join(slot.name.as_str())
    }

    fn pending_file(&self, slot: &Slot) -> PathBuf {
        self.root.join("pending").join(slot.issuer.as_str()).join(format!("{}.pem", slot.name))
    }

    /// Numbers on disk, oldest first.
    fn generations(&self, slot: &Slot) -> Result<Vec<u64>, FileError> {
        let folders = atomic_file::folders(&self.slot_folder(slot))?;
        let mut numbers: Vec<u64> = folders.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Best effort: an old generation that stays harms nothing.
    fn prune(&self, slot: &Slot) {
        let Ok(numbers) = self.generations(slot) else { return };
        for old in &numbers[..numbers.len().saturating_sub(KEPT)] {
            let _tried_again_next_time = fs::remove_dir_all(self.generation_folder(slot, *old));
        }
    }
}

fn read_pair(folder: &Path, generation: u64) -> Result<StoredPair, FileError> {
    let folder = folder.join(generation.to_string());
    let missing = |path: &Path| FileError::of("read", path)(std::io::ErrorKind::NotFound.into());
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let chain = atomic_file::read(&cert)?.ok_or_else(|| missing(&cert))?;
    let key = atomic_file::read_secret(&key)?.ok_or_else(|| missing(&key))?;
    Ok(StoredPair { generation, chain, key })
}

/// Whether this generation is this pair.
fn holds(folder: &Path, generation: u64, chain: &str, key: &Secret<String>) -> bool {
    read_pair(folder, generation).is_ok_and(|pair| pair.chain == chain && pair.key.expose() == key.expose())
}

fn add_pair(folder: &Path, number: u64, chain: &str, key: &Secret<String>) -> Result<u64, FileError> {
    let unfinished = folder.join(format!(".{number}.new"));
    let _left_by_a_crash = fs::remove_dir_all(&unfinished);
    atomic_file::write(&unfinished.join("key.pem"), key.expose().as_bytes())?;
    atomic_file::write(&unfinished.join("cert.pem"), chain.as_bytes())?;
    let finished = folder.join(number.to_string());
    fs::rename(&unfinished, &finished)
        .and_then(|()| atomic_file::sync_folder(folder))
        .map_err(FileError::of("move into place", &finished))?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn slot() -> Slot {
        Slot { issuer: Slug::of_url("https://ca.example/dir"), name: Slug::parse("wildcard_.example.com").unwrap() }
    }

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn the_last_two_generations_are_kept_and_current_is_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let vault = PemStore::new(dir.path().to_owned());
        for n in 1..=4 {
            assert_eq!(vault.save_pair(&slot(), &format!("cert {n}"), &secret(&format!("key {n}"))).unwrap(), n);
        }
        let pairs: Vec<_> = vault.pairs(&slot()).into_iter().map(|pair| pair.unwrap().chain).collect();
        assert_eq!(pairs, ["cert 4", "cert 3"]);
        let current = dir.path().join("certificates/ca.example-dir/wildcard_.example.com/current");
        assert_eq!(fs::read_to_string(current.join("key.pem")).unwrap(), "key 4");
        assert_eq!(vault.slots(), [slot()]);
    }

    #[test]
    fn a_crash_at_any_step_leaves_old_or_new() {
        let dir = tempfile::tempdir().unwrap();
        let vault = PemStore::new(dir.path().to_owned());
        vault.save_pair(&slot(), "cert 1", &secret("key 1")).unwrap();
        let folder = dir.path().join("certificates/ca.example-dir/wildcard_.example.com");
        // Killed after the key of generation 2 was written, and between the rename and the link.
        atomic_file::write(&folder.join(".2.new/key.pem"), b"key 2").unwrap();
        symlink("9", folder.join(".current.new")).unwrap();
        assert_eq!(vault.pairs(&slot()).len(), 1);
        assert_eq!(vault.save_pair(&slot(), "cert 2", &secret("key 2")).unwrap(), 2);
        let newest = vault.pairs(&slot()).remove(0).unwrap();
        assert_eq!((newest.chain.as_str(), newest.key.expose().as_str()), ("cert 2", "key 2"));
    }

    /// Names in a folder, sorted.
    fn listing(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names.into_iter().map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_folder_restored_without_links_takes_new_generations_and_a_repeated_save_adds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let vault = PemStore::new(dir.path().to_owned());
        vault.save_pair(&slot(), "cert 1", &secret("key 1")).unwrap();
        let folder = dir.path().join("certificates/ca.example-dir/wildcard_.example.com");
        // As `cp -rL` leaves it.
        fs::remove_file(folder.join("current")).unwrap();
        atomic_file::write(&folder.join("current/key.pem"), b"key 1").unwrap();
        atomic_file::write(&folder.join("current/cert.pem"), b"cert 1").unwrap();
        for _ in 0..5 {
            assert_eq!(vault.save_pair(&slot(), "cert 2", &secret("key 2")).unwrap(), 2);
        }
        assert_eq!(listing(&folder), ["1", "2", "current"]);
        assert_eq!(fs::read_to_string(folder.join("current/key.pem")).unwrap(), "key 2");
        // The same chain with another key is another pair.
        assert_eq!(vault.save_pair(&slot(), "cert 2", &secret("key 3")).unwrap(), 3);
        assert_eq!(listing(&folder), ["2", "3", "current"]);
    }

    #[test]
    fn current_is_mended_without_a_save() {
        let dir = tempfile::tempdir().unwrap();
        let vault = PemStore::new(dir.path().to_owned());
        vault.mend_current(&slot()).unwrap();
        for n in 1..=2 {
            vault.save_pair(&slot(), &format!("cert {n}"), &secret(&format!("key {n}"))).unwrap();
        }
        let current = dir.path().join("certificates/ca.example-dir/wildcard_.example.com/current");
        fs::remove_file(&current).unwrap();
        atomic_file::write(&current.join("key.pem"), b"key 1").unwrap();
        vault.mend_current(&slot()).unwrap();
        assert_eq!(fs::read_to_string(current.join("key.pem")).unwrap(), "key 2");
    }

    #[test]
    fn a_generation_without_its_key_is_reported_and_the_older_one_still_offered() {
        let dir = tempfile::tempdir().unwrap();
        let vault = PemStore::new(dir.path().to_owned());
        vault.save_pair(&slot(), "cert 1", &secret("key 1")).unwrap();
        vault.save_pair(&slot(), "cert 2", &secret("key 2")).unwrap();
        fs::remove_file(vault.generation_folder(&slot(), 2).join("key.pem")).unwrap();
        let pairs = vault.pairs(&slot());
        assert_eq!(pairs[0].as_ref().unwrap_err().0, 2);
        assert_eq!(pairs[1].as_ref().unwrap().chain, "cert 1");
        assert!(vault.has_pair(&slot(), 1) && !vault.has_pair(&slot(), 2));
    }

    #[test]
    fn an_account_is_its_key_first_and_its_url_later() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, issuer) = (PemStore::new(dir.path().to_owned()), slot().issuer);
        assert!(vault.account(&issuer).unwrap().is_none());
        vault.save_account_key(&issuer, &secret("k")).unwrap();
        assert_eq!(vault.account(&issuer).unwrap().unwrap().url, None);
        vault.save_account_url(&issuer, "https://ca.example/acct/1").unwrap();
        assert_eq!(vault.account(&issuer).unwrap().unwrap().url.as_deref(), Some("https://ca.example/acct/1"));
        vault.save_account_key(&issuer, &secret("k2")).unwrap();
        assert_eq!(vault.account(&issuer).unwrap().unwrap().url, None, "a URL never outlives its key");
    }

    #[test]
    fn an_accounts_next_key_takes_its_place_in_one_step_or_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, issuer) = (PemStore::new(dir.path().to_owned()), slot().issuer);
        vault.save_account_key(&issuer, &secret("old")).unwrap();
        vault.save_account_url(&issuer, "https://ca.example/acct/1").unwrap();
        vault.save_next_account_key(&issuer, &secret("dropped")).unwrap();
        vault.drop_next_account_key(&issuer).unwrap();
        assert!(vault.account(&issuer).unwrap().unwrap().next_key.is_none());
        vault.save_next_account_key(&issuer, &secret("new")).unwrap();
        let both = vault.account(&issuer).unwrap().unwrap();
        assert_eq!((both.key.expose().as_str(), both.next_key.unwrap().expose().as_str()), ("old", "new"));
        vault.promote_next_account_key(&issuer).unwrap();
        let after = vault.account(&issuer).unwrap().unwrap();
        assert_eq!((after.key.expose().as_str(), after.next_key.is_none()), ("new", true));
        assert_eq!(after.url.as_deref(), Some("https://ca.example/acct/1"), "the account stays the same");
    }

    #[test]
    fn a_pending_key_stays_until_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let vault = PemStore::new(dir.path().to_owned());
        vault.save_pending_key(&slot(), &secret("k")).unwrap();
        assert_eq!(vault.pending_key(&slot()).unwrap().unwrap().expose(), "k");
        vault.drop_pending_key(&slot()).unwrap();
        vault.drop_pending_key(&slot()).unwrap();
        assert!(vault.pending_key(&slot()).unwrap().is_none());
    }
}
