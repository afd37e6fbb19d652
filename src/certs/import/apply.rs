//! Puts what was found into the vault: certificates that are sound, each where those look who want it, and accounts where
//! there is none. What is there already and newer stays.

use super::{ForeignStore, Found, FoundAccount};
use crate::base::error_chain::ErrorChain;
use crate::base::name::Identifier;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::certs::bundle::{CertBundle, Piece};
use crate::certs::desired::{DesiredCert, Source};
use crate::state::atomic_file;
use crate::state::pem_store::{PemStore, Slot};
use crate::state::slug::Slug;

/// What became of a store's content.
#[derive(Debug)]
pub struct Report {
    /// Of each certificate.
    pub certificates: Vec<Applied>,
    /// Of each account.
    pub accounts: Vec<Applied>,
}

/// What became of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What its store calls it, or the account's directory.
    pub title: String,
    /// Whether it was taken, or why not.
    pub came: Result<Kept, String>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is in the vault.
    Stored {
        /// The names it covers; none for an account.
        names: Vec<String>,
        /// When it ends; `None` for an account.
        not_after: Option<Timestamp>,
    },
    /// One that is as new, or an account, was there already.
    Superseded,
}

/// Takes what is sound. `needs` are those of the configuration, as far as there is one; a certificate of which the store
/// does not say who issued it is taken for one of the authority at `usual`.
pub fn take(stock: &ForeignStore, vault: &PemStore, needs: &[DesiredCert], usual: &str, now: Timestamp) -> Report {
    let certificate = |found: &Found| Applied { title: found.title.clone(), came: certificate(found, vault, needs, usual, now) };
    let account = |found: &FoundAccount| Applied { title: found.directory.clone(), came: account(found, vault) };
    Report {
        certificates: stock.certificates.iter().map(certificate).collect(),
        accounts: stock.accounts.iter().map(account).collect(),
    }
}

fn certificate(found: &Found, vault: &PemStore, needs: &[DesiredCert], usual: &str, now: Timestamp) -> Result<Kept, String> {
    let read = |path: &std::path::Path| match atomic_file::read(path) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(format!("there is no file {}", path.display())),
        Err(error) => Err(ErrorChain(&error).to_string()),
    };
    let (chain, key) = (read(&found.chain)?, Secret::new(read(&found.key)?));
    let bundle = CertBundle::build(&chain, &key, &[], now).map_err(|error| {
        let file = if error.piece() == Piece::ErrorChain { &found.chain } else { &found.key };
        format!("{}: {error}", file.display())
    })?;
    let issuer = Slug::of_url(found.directory.as_deref().unwrap_or(usual));
    let mut stored = false;
    for slot in places(&bundle, &issuer, needs) {
        if !is_newer_held(vault, &slot, &bundle, now) {
            vault.save_pair(&slot, bundle.chain_pem(), &key).map_err(|error| ErrorChain(&error).to_string())?;
            stored = true;
        }
    }
    let names = bundle.identifiers().iter().map(ToString::to_string).collect();
    Ok(if stored { Kept::Stored { names, not_after: Some(bundle.validity().not_after) } } else { Kept::Superseded })
}

/// Where the certificate is looked for: under each of its names, under all of them together, and where the configuration
/// asks another authority for what it covers.
fn places(bundle: &CertBundle, issuer: &Slug, needs: &[DesiredCert]) -> Vec<Slot> {
    let names = bundle.identifiers();
    let slot = |names: &[Identifier]| Slot { issuer: issuer.clone(), name: Slug::of_names(names) };
    let mut places: Vec<Slot> = names.iter().map(|name| slot(std::slice::from_ref(name))).collect();
    if names.len() > 1 {
        places.push(slot(names));
    }
    for need in needs.iter().filter(|need| matches!(need.source, Source::Acme(_)) && bundle.covers_all(&need.names)) {
        let slots = need.slots();
        if !slots.iter().any(|slot| places.contains(slot)) {
            places.extend(slots.into_iter().next());
        }
    }
    places
}

fn is_newer_held(vault: &PemStore, slot: &Slot, bundle: &CertBundle, now: Timestamp) -> bool {
    let held = vault.pairs(slot).into_iter().flatten();
    held.filter_map(|pair| CertBundle::restore(&pair.chain, &pair.key).ok())
        .any(|held| held.validity().holds_at(now) && held.validity().not_before >= bundle.validity().not_before)
}

fn account(found: &FoundAccount, vault: &PemStore) -> Result<Kept, String> {
    let issuer = Slug::of_url(&found.directory);
    let words = |error: atomic_file::FileError| ErrorChain(&error).to_string();
    if vault.account(&issuer).map_err(words)?.is_some() {
        return Ok(Kept::Superseded);
    }
    let key = found.key.as_ref().map_err(Clone::clone)?;
    vault.save_account_key(&issuer, key).map_err(words)?;
    if let Some(url) = &found.url {
        vault.save_account_url(&issuer, url).map_err(words)?;
    }
    Ok(Kept::Stored { names: Vec::new(), not_after: None })
}
