//! acme.sh's store: `NAME[_ecc]/{fullchain.cer,NAME.key,NAME.conf}`, `ca/HOST/PATH/{account.key,ca.conf}`.

use std::path::Path;

use super::folders::{folders, name, setting};
use super::{ForeignStore, Found, FoundAccount, Tool, account_key};
use crate::state::atomic_file;

/// Deepest path of a directory's URL below `ca`.
const DEEPEST: u8 = 6;

pub(super) fn look(path: &Path) -> Option<ForeignStore> {
    let (root, certificates) = match found(path) {
        Some(one) => (path.parent()?, vec![one]),
        None => (path, folders(path).iter().filter_map(|folder| found(folder)).collect()),
    };
    let is_store = !certificates.is_empty() || (root.join("account.conf").exists() && root.join("ca").is_dir());
    is_store.then(|| {
        let mut accounts = Vec::new();
        accounts_in(&root.join("ca"), "https:/", DEEPEST, &mut accounts);
        ForeignStore { tool: Tool::AcmeSh, certificates, accounts }
    })
}

fn found(folder: &Path) -> Option<Found> {
    let title = name(folder);
    let domain = title.strip_suffix("_ecc").unwrap_or(&title).to_owned();
    let conf = atomic_file::read(&folder.join(format!("{domain}.conf"))).ok().flatten()?;
    setting(&conf, "Le_Domain")?;
    let chain = folder.join("fullchain.cer");
    let key = folder.join(format!("{domain}.key"));
    chain.exists().then(|| Found { title: domain, directory: setting(&conf, "Le_API"), chain, key })
}

/// The path below `ca` is the directory's URL without its scheme.
fn accounts_in(folder: &Path, url: &str, depth: u8, found: &mut Vec<FoundAccount>) {
    if depth == 0 {
        return;
    }
    for inner in folders(folder) {
        let url = format!("{url}/{}", name(&inner));
        match atomic_file::read(&inner.join("account.key")).ok().flatten() {
            Some(key) => {
                let conf = atomic_file::read(&inner.join("ca.conf")).ok().flatten();
                let place = conf.and_then(|text| setting(&text, "ACCOUNT_URL"));
                found.push(FoundAccount { directory: url, key: account_key::of_pem(&key), url: place });
            }
            None => accounts_in(&inner, &url, depth - 1, found),
        }
    }
}
