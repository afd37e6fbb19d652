//! Caddy's store: `certificates/ISSUER/NAME/NAME.{crt,key,json}`, `acme/ISSUER/users/USER/USER.{json,key}`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::folders::{folders, name};
use super::{ForeignStore, Found, FoundAccount, Tool, account_key};
use crate::state::atomic_file;

/// Caddy's own authority for local names: doorward has one of its own.
const LOCAL: &str = "local";

pub(super) fn look(path: &Path) -> Option<ForeignStore> {
    let root = [Some(path), path.parent(), path.parent().and_then(Path::parent), path.ancestors().nth(3)]
        .into_iter()
        .flatten()
        .find(|root| is_store(root))?;
    let below = |folder: &PathBuf| path.starts_with(folder) || folder.starts_with(path);
    let issuers: Vec<PathBuf> = folders(&root.join("certificates")).into_iter().filter(|issuer| name(issuer) != LOCAL).collect();
    let leaves = issuers.iter().flat_map(|issuer| folders(issuer)).filter(below);
    let certificates: Vec<Found> = leaves.filter_map(|leaf| found(&leaf)).collect();
    // An issuer's folder does not spell its directory; its certificates do.
    let directories: BTreeMap<String, String> = issuers
        .iter()
        .filter_map(|issuer| Some((name(issuer), folders(issuer).iter().find_map(|leaf| found(leaf)?.directory)?)))
        .collect();
    let users = folders(&root.join("acme")).into_iter().flat_map(|issuer| {
        let directory = directories.get(&name(&issuer)).cloned();
        folders(&issuer.join("users")).into_iter().filter_map(move |user| account(&user, directory.clone()?))
    });
    Some(ForeignStore { tool: Tool::Caddy, certificates, accounts: users.collect() })
}

/// Other stores have a folder of this name, too; Caddy's names each file after its folder.
fn is_store(root: &Path) -> bool {
    folders(&root.join("certificates")).iter().flat_map(|issuer| folders(issuer)).any(|leaf| file(&leaf, "crt").exists())
}

fn file(folder: &Path, suffix: &str) -> PathBuf {
    folder.join(format!("{}.{suffix}", name(folder)))
}

#[derive(Deserialize)]
struct Metadata {
    issuer_data: Option<IssuerData>,
}

#[derive(Deserialize)]
struct IssuerData {
    ca: Option<String>,
}

fn found(leaf: &Path) -> Option<Found> {
    let chain = file(leaf, "crt");
    if !chain.exists() {
        return None;
    }
    let metadata = atomic_file::read(&file(leaf, "json")).ok().flatten();
    let metadata = metadata.and_then(|text| serde_json::from_str::<Metadata>(&text).ok());
    let directory = metadata.and_then(|metadata| metadata.issuer_data?.ca);
    Some(Found { title: name(leaf), directory, chain, key: file(leaf, "key") })
}

#[derive(Deserialize)]
struct User {
    location: Option<String>,
}

fn account(user: &Path, directory: String) -> Option<FoundAccount> {
    let key = folder_file(user, "key")?;
    let text = folder_file(user, "json").and_then(|file| atomic_file::read(&file).ok().flatten());
    let url = text.and_then(|text| serde_json::from_str::<User>(&text).ok()?.location).filter(|url| !url.is_empty());
    let key = atomic_file::read(&key)
        .ok()
        .flatten()
        .map_or_else(|| Err("its key cannot be read".to_owned()), |pem| account_key::of_pem(&pem));
    Some(FoundAccount { directory, key, url })
}

/// A user's files are named after the part of the address before the `@`.
fn folder_file(user: &Path, suffix: &str) -> Option<PathBuf> {
    let folder = name(user);
    let stem = folder.split('@').next().filter(|stem| !stem.is_empty())?;
    let file = user.join(format!("{stem}.{suffix}"));
    file.exists().then_some(file)
}
