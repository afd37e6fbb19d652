//! Another client's store, taken over into a state folder. A gateway may run on it: every file appears whole, and its next
//! reload or start finds them.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use crate::base::time::Timestamp;
use crate::certs::desired;
use crate::certs::import::{self, NoStore};
use crate::config::defaults;
use crate::config::settings::Settings;
use crate::state::pem_store::PemStore;

pub use crate::certs::import::{Applied, Kept, Report};

/// What came of it, and whose store it was.
#[derive(Debug)]
pub struct Imported {
    /// The other client's name.
    pub tool: &'static str,
    /// What became of each certificate and account.
    pub report: Report,
}

/// Takes over what lies at `path`. Files made by root get the owner of the state folder, who is the gateway's user.
pub fn import(path: &Path, state: &Path, settings: Option<&Settings>, now: Timestamp) -> Result<Imported, NoStore> {
    let stock = import::look(path)?;
    let owner = fs::metadata(state).map(|folder| (folder.uid(), folder.gid())).ok();
    let needs = settings.map(desired::needs).unwrap_or_default();
    let usual = settings.map_or_else(|| defaults::acme().directory, |settings| settings.acme.directory.clone());
    let report = import::take(&stock, &PemStore::new(state.to_owned()), &needs, &usual, now);
    if let Some((uid, gid)) = owner.filter(|(uid, _)| *uid != 0) {
        for folder in ["certificates", "accounts"] {
            give(&state.join(folder), uid, gid, DEEPEST);
        }
    }
    Ok(Imported { tool: stock.tool.as_str(), report })
}

/// `accounts/ISSUER/FILE`, `certificates/ISSUER/NAME/N/FILE`.
const DEEPEST: u8 = 5;

fn give(path: &Path, uid: u32, gid: u32, depth: u8) {
    let Ok(facts) = fs::symlink_metadata(path) else { return };
    if facts.uid() != uid {
        // Only root may; whoever else made them owns the folder already.
        let _best_effort = lchown(path, Some(uid), Some(gid));
    }
    if facts.is_dir() && depth > 0 {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            give(&entry.path(), uid, gid, depth - 1);
        }
    }
}
