//! The store under damage, permissions and disks that come and go.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::base::secret::Secret;
use crate::state::pem_store::Slot;
use crate::state::schema::Remembered;
use crate::state::slug::Slug;

fn now() -> Timestamp {
    Timestamp::from_unix(1_795_219_200)
}

fn slot(name: &str) -> Slot {
    Slot { issuer: Slug::parse("ca").unwrap(), name: Slug::parse(name).unwrap() }
}

fn key(name: &str) -> Key {
    Key::Need(slot(name))
}

fn failed(fails: u32) -> Remembered {
    Remembered { fails, ..Remembered::default() }
}

fn open(root: &Path) -> (Store, Vec<Finding>) {
    Store::open(root, Duration::ZERO, now()).unwrap()
}

fn fails(store: &Store, name: &str) -> Option<u32> {
    store.get::<Remembered>(&key(name)).map(|r| r.fails)
}

#[test]
fn records_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, findings) = open(dir.path());
    assert_eq!(findings, []);
    store.put(&key("a"), &failed(3)).unwrap();
    store.put(&key("b"), &failed(4)).unwrap();
    store.remove(&key("b")).unwrap();
    drop(store);
    let (store, findings) = open(dir.path());
    assert_eq!(findings, []);
    assert_eq!((fails(&store, "a"), fails(&store, "b")), (Some(3), None));
    assert_eq!(store.keys(), [key("a")]);
}

#[test]
fn a_damaged_journal_is_set_aside_and_the_store_goes_on() {
    for damage in
        [(|folder: &Path| fs::write(folder.join("conf"), "garbage instead of its settings").unwrap()) as fn(&Path), |folder| {
            fs::write(folder.join("snap.00000000000000FF"), "short").unwrap()
        }]
    {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(dir.path());
        store.put(&key("a"), &failed(3)).unwrap();
        drop(store);
        damage(&dir.path().join("journal"));
        let (store, findings) = open(dir.path());
        assert!(matches!(&findings[..], [Finding::SetAside { now_at: Some(place), .. }] if place.is_dir()), "{findings:?}");
        store.put(&key("b"), &failed(1)).unwrap();
        drop(store);
        assert_eq!(fails(&open(dir.path()).0, "b"), Some(1));
    }
}

#[test]
fn a_cut_or_overwritten_log_never_keeps_the_store_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..12_usize {
        let (store, _) = open(dir.path());
        for n in 0..20 {
            store.put(&key(&format!("n{n}")), &failed(n)).unwrap();
        }
        drop(store);
        let file = dir.path().join("journal/db");
        let mut bytes = fs::read(&file).unwrap();
        if round % 2 == 0 {
            bytes.truncate(bytes.len() * round / 12);
        } else {
            let start = bytes.len() * round / 40;
            bytes[start..].iter_mut().take(64).for_each(|byte| *byte = 0xa5);
        }
        fs::write(&file, bytes).unwrap();
        let (store, _) = open(dir.path());
        // What is read is true or absent, never false.
        for n in 0..20 {
            assert!(fails(&store, &format!("n{n}")).is_none_or(|read| read == n));
        }
        store.put(&key("after"), &failed(9)).unwrap();
        assert_eq!(fails(&store, "after"), Some(9));
    }
}

#[test]
fn one_damaged_record_is_dropped_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.put(&key("a"), &failed(3)).unwrap();
    drop(store);
    let (journal, _) = Journal::open(&dir.path().join("journal")).unwrap();
    journal.write(&[(key("b").to_text(), Some(b"\x01 not a record".to_vec()))]).unwrap();
    drop(journal);
    let (store, findings) = open(dir.path());
    assert!(matches!(&findings[..], [Finding::RecordDropped { .. }]), "{findings:?}");
    assert_eq!(fails(&store, "a"), Some(3));
}

#[test]
fn a_folder_that_cannot_be_written_is_said_and_heals_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    // A file where the folder should be stops root too, which a read-only mode would not.
    let in_the_way = dir.path().join("mnt");
    fs::write(&in_the_way, "").unwrap();
    let root = in_the_way.join("state");
    let (store, findings) = open(&root);
    assert!(matches!(&findings[..], [Finding::NotWritable(_)]), "{findings:?}");
    assert!(store.probe().is_err());
    assert!(store.put(&key("a"), &failed(3)).is_err());
    assert_eq!(fails(&store, "a"), Some(3), "memory serves on");
    assert_eq!(store.tend(now()), [], "the same trouble is said once");
    fs::remove_file(&in_the_way).unwrap();
    assert_eq!(store.tend(now()), [Finding::Healed]);
    store.probe().unwrap();
    drop(store);
    assert_eq!(fails(&open(&root).0, "a"), Some(3));
}

#[test]
fn a_folder_removed_while_running_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("state");
    let (store, _) = open(&root);
    store.put(&key("a"), &failed(3)).unwrap();
    fs::remove_dir_all(&root).unwrap();
    assert_eq!(store.tend(now()), [Finding::Healed]);
    assert_eq!(store.tend(now()), []);
    drop(store);
    assert_eq!(fails(&open(&root).0, "a"), Some(3));
}

#[test]
fn keys_readable_by_others_are_reported_and_made_private() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.vault().save_pair(&slot("a.example"), "c", &Secret::new("k".to_owned())).unwrap();
    let file = store.vault().generation_folder(&slot("a.example"), 1).join("key.pem");
    drop(store);
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let (_store, findings) = open(dir.path());
    let modes: Vec<u32> = findings.iter().map(|f| if let Finding::LooserMode { mode, .. } = f { *mode } else { 0 }).collect();
    assert_eq!(modes, [0o755, 0o640], "{findings:?}");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_fresh_folder_is_made_private_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let (_store, findings) = open(dir.path());
    assert_eq!(findings, []);
    assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path());
    assert!(matches!(Store::open(dir.path(), Duration::ZERO, now()), Err(LockError::InUse { .. })));
}

#[test]
fn a_journal_that_could_not_be_read_at_the_start_is_not_lost_when_the_disk_heals() {
    let dir = tempfile::tempdir().unwrap();
    let (state, away) = (dir.path().join("state"), dir.path().join("away"));
    open(&state).0.put(&key("a"), &failed(3)).unwrap();
    // The disk is not mounted yet: something else is in its place.
    fs::rename(&state, &away).unwrap();
    fs::write(&state, "").unwrap();
    let (store, _) = open(&state);
    assert!(store.put(&key("b"), &failed(5)).is_err());
    fs::remove_file(&state).unwrap();
    fs::rename(&away, &state).unwrap();
    assert_eq!(store.tend(now()), [Finding::Healed]);
    drop(store);
    let (store, _) = open(&state);
    assert_eq!((fails(&store, "a"), fails(&store, "b")), (Some(3), Some(5)));
}

#[test]
fn a_disk_that_hangs_is_named_and_what_is_put_meanwhile_is_written_when_it_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.put(&key("a"), &failed(1)).unwrap();
    let hangs = store.hang(true);
    let refused = ErrorChain(&store.put(&key("a"), &failed(2)).unwrap_err()).to_string();
    assert!(refused.contains("does not answer: to write ") && refused.contains("/journal takes 2"), "{refused}");
    assert_eq!((fails(&store, "a"), store.keys()), (Some(2), vec![key("a")]), "memory serves on");
    assert!(store.trouble().is_some_and(|why| why.contains("does not answer")));
    assert!(store.probe().is_err());
    let (chain, secret) = ("c", Secret::new("k".to_owned()));
    assert!(store.vault().save_pair(&slot("a"), chain, &secret).is_err_and(|error| !error.is_damage()));
    drop(hangs);
    store.save().unwrap();
    assert_eq!(store.trouble(), None);
    drop(store);
    assert_eq!(fails(&open(dir.path()).0, "a"), Some(2));
}

#[test]
fn records_are_read_and_changed_while_a_write_has_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let hangs = store.hang(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| store.put(&key("a"), &failed(1)).is_ok());
        while fails(&store, "a").is_none() {
            std::thread::yield_now();
        }
        store.note(&key("b"), &failed(2));
        store.forget(&key("a"));
        assert_eq!((store.keys(), store.trouble()), (vec![key("b")], None));
        drop(hangs);
        assert!(writer.join().unwrap());
    });
    store.save().unwrap();
    drop(store);
    assert_eq!(open(dir.path()).0.keys(), [key("b")]);
}
