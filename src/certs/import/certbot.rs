//! certbot's store: `live/NAME/{fullchain,privkey}.pem`, `renewal/NAME.conf`, `accounts/HOST/PATH/ID/`.

use std::path::Path;

use serde::Deserialize;

use super::folders::{folders, name, setting};
use super::{ForeignStore, Found, FoundAccount, Tool, account_key};
use crate::state::atomic_file;

/// Deepest path of a directory's URL below `accounts`.
const DEEPEST: u8 = 6;

pub(super) fn look(path: &Path) -> Option<ForeignStore> {
    let (root, only) = root_of(path)?;
    let live = folders(&root.join("live"));
    let wanted = live.iter().filter(|folder| only.as_ref().is_none_or(|only| name(folder) == *only));
    let certificates = wanted.filter(|folder| folder.join("fullchain.pem").exists()).map(|folder| found(root, folder)).collect();
    let mut accounts = Vec::new();
    accounts_in(&root.join("accounts"), "https:/", DEEPEST, &mut accounts);
    Some(ForeignStore { tool: Tool::Certbot, certificates, accounts })
}

/// The store a path belongs to, and the one certificate it names.
fn root_of(path: &Path) -> Option<(&Path, Option<String>)> {
    let is_root = |root: &Path| root.join("live").is_dir() && root.join("renewal").is_dir();
    let parent = path.parent();
    let grandparent = parent.and_then(Path::parent);
    match (is_root(path), parent, grandparent) {
        (true, _, _) => Some((path, None)),
        (_, Some(root), _) if is_root(root) && path.ends_with("live") => Some((root, None)),
        (_, Some(live), Some(root)) if is_root(root) && live.ends_with("live") => Some((root, Some(name(path)))),
        _ => None,
    }
}

fn found(root: &Path, folder: &Path) -> Found {
    let title = name(folder);
    let renewal = atomic_file::read(&root.join("renewal").join(format!("{title}.conf"))).ok().flatten();
    Found {
        directory: renewal.and_then(|text| setting(&text, "server")),
        chain: folder.join("fullchain.pem"),
        key: folder.join("privkey.pem"),
        title,
    }
}

#[derive(Deserialize)]
struct Registration {
    uri: Option<String>,
}

/// The path below `accounts` is the directory's URL without its scheme.
fn accounts_in(folder: &Path, url: &str, depth: u8, found: &mut Vec<FoundAccount>) {
    if depth == 0 {
        return;
    }
    for inner in folders(folder) {
        match atomic_file::read(&inner.join("private_key.json")).ok().flatten() {
            Some(key) => {
                let registration = atomic_file::read(&inner.join("regr.json")).ok().flatten();
                let registration = registration.and_then(|text| serde_json::from_str::<Registration>(&text).ok());
                found.push(FoundAccount {
                    directory: url.to_owned(),
                    key: account_key::of_jwk(&key),
                    url: registration.and_then(|registration| registration.uri),
                });
            }
            None => accounts_in(&inner, &format!("{url}/{}", name(&inner)), depth - 1, found),
        }
    }
}
