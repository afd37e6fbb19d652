//! The proved pair of chain and key.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SigningKey};

use super::error::BundleError;
use super::leaf::{self, Leaf};
use super::read::{read_chain, read_key};
use super::{chain, pem};
use crate::base::name::Identifier;
use crate::base::secret::Secret;
use crate::base::time::{Timestamp, Validity};
use crate::certs::issuer::renewal_info;

/// A certificate chain and its key: complete, matching, covering what was wanted, each link signed by the next.
pub struct CertBundle {
    certified: Arc<CertifiedKey>,
    leaf: Leaf,
    root: String,
    renewal_id: Option<String>,
    chain_pem: String,
    note: Option<String>,
}

impl CertBundle {
    /// Proves a new chain and key. A chain of the leaf alone is taken only when the leaf signed itself.
    pub fn build(chain_pem: &str, key_pem: &Secret<String>, wanted: &[Identifier], now: Timestamp) -> Result<Self, BundleError> {
        Self::build_under(chain_pem, key_pem, wanted, now, &[])
    }

    /// As [`CertBundle::build`], but a leaf alone is also taken when one of `roots` issued it directly, as small private
    /// authorities do.
    pub fn build_under(
        chain_pem: &str,
        key_pem: &Secret<String>,
        wanted: &[Identifier],
        now: Timestamp,
        roots: &[CertificateDer<'_>],
    ) -> Result<Self, BundleError> {
        let bundle = Self::assemble(chain_pem, key_pem)?;
        bundle.leaf.holds_at(now)?;
        let bundle = bundle.linked(key_pem, roots)?;
        chain::issuer_holds_at(&bundle.certified.cert, now)?;
        match wanted.iter().find(|wanted| !bundle.leaf.covers(wanted)) {
            None => Ok(bundle),
            Some(missing) => Err(BundleError::NotCovered { missing: missing.clone(), covered: bundle.leaf.identifiers.clone() }),
        }
    }

    /// As [`CertBundle::build`] for files that a person gave: a leaf alone is taken when it does not say where its issuer's
    /// certificate is, as every public authority's does, because then its issuer may be a root that clients were given. The
    /// text says what to do if it is not.
    pub fn build_of_files(
        chain_pem: &str,
        key_pem: &Secret<String>,
        wanted: &[Identifier],
        now: Timestamp,
    ) -> Result<(Self, Option<String>), BundleError> {
        match Self::build(chain_pem, key_pem, wanted, now) {
            Err(BundleError::Cut { subject, issuer }) if !chain::tells_its_issuer(chain_pem) => {
                let bundle = Self::assemble(chain_pem, key_pem)?;
                bundle.leaf.holds_at(now)?;
                let covered = || bundle.leaf.identifiers.clone();
                if let Some(missing) = wanted.iter().find(|wanted| !bundle.leaf.covers(wanted)) {
                    return Err(BundleError::NotCovered { missing: missing.clone(), covered: covered() });
                }
                let warning = format!(
                    "the chain holds the certificate for {subject} alone; clients that were not told to trust `{issuer}` itself \
                     will refuse it: if that is an intermediate, append its certificate"
                );
                Ok((bundle, Some(warning)))
            }
            built => {
                let bundle = built?;
                let root = || {
                    chain::superfluous_root(&bundle.certified.cert).map(|root| {
                    format!(
                        "the chain ends with the root `{root}`, which clients have already; without it every handshake is shorter \
                         (it is needed for DANE-TA records only)"
                    )
                })
                };
                let note = bundle.note.clone().or_else(root);
                Ok((bundle, note))
            }
        }
    }

    /// Takes back a bundle that was proved before it was stored. Whatever damage can do to files is looked for, but an
    /// expired one is still a bundle: serving it beats serving nothing.
    pub fn restore(chain_pem: &str, key_pem: &Secret<String>) -> Result<Self, BundleError> {
        Self::assemble(chain_pem, key_pem)?.linked(key_pem, &[])
    }

    /// The pair, before its links are looked at. A leaf that is not the first is put there.
    fn assemble(chain_pem: &str, key_pem: &Secret<String>) -> Result<Self, BundleError> {
        let chain = read_chain(chain_pem)?;
        let key = read_key(key_pem)?;
        let signing = any_supported_type(&key).map_err(|_| BundleError::KeyUnusable)?;
        let public_key = signing.public_key();
        let has_key = |der: &CertificateDer<'_>| public_key.as_ref().is_none_or(|key| leaf::has_key(der, key));
        if has_key(&chain[0]) || !chain.iter().any(has_key) {
            return Self::of(chain, signing, chain_pem.to_owned(), None);
        }
        let arranged = chain::arrange(chain, public_key.as_deref())?;
        let chain_pem = if arranged.note.is_some() { pem::chain(&arranged.chain) } else { chain_pem.to_owned() };
        Self::of(arranged.chain, signing, chain_pem, arranged.note)
    }

    /// Looks at the links, and sorts them first where that is needed.
    fn linked(self, key_pem: &Secret<String>, roots: &[CertificateDer<'_>]) -> Result<Self, BundleError> {
        let unlinked = match chain::check(&self.certified.cert, roots) {
            Ok(unchecked) => return Ok(self.noted(unchecked)),
            Err(error @ BundleError::Unlinked { .. }) => error,
            Err(error) => return Err(error),
        };
        let arranged = chain::arrange(self.certified.cert.clone(), None)?;
        if arranged.note.is_none() {
            return Err(unlinked);
        }
        let unchecked = chain::check(&arranged.chain, roots)?;
        let signing = any_supported_type(&read_key(key_pem)?).map_err(|_| BundleError::KeyUnusable)?;
        let chain_pem = pem::chain(&arranged.chain);
        Ok(Self::of(arranged.chain, signing, chain_pem, arranged.note)?.noted(unchecked))
    }

    fn of(
        chain: Vec<CertificateDer<'static>>,
        signing: Arc<dyn SigningKey>,
        chain_pem: String,
        note: Option<String>,
    ) -> Result<Self, BundleError> {
        let leaf = Leaf::read(&chain[0])?;
        let root = leaf::root_name(&chain)?;
        let renewal_id = renewal_info::certificate_id(&chain[0]);
        let certified = CertifiedKey::new(chain, signing);
        match certified.keys_match() {
            Ok(()) => Ok(Self { certified: Arc::new(certified), leaf, root, renewal_id, chain_pem, note }),
            Err(_) => Err(BundleError::KeyMismatch { subject: leaf.name() }),
        }
    }

    fn noted(mut self, more: Option<String>) -> Self {
        self.note = match (self.note.take(), more) {
            (Some(note), Some(more)) => Some(format!("{note}; {more}")),
            (note, more) => note.or(more),
        };
        self
    }

    /// What the TLS side signs with.
    pub fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    /// The subject alternative names, as far as they are names or addresses.
    pub fn identifiers(&self) -> &[Identifier] {
        &self.leaf.identifiers
    }

    /// Whether it vouches for each of these.
    pub fn covers_all(&self, names: &[Identifier]) -> bool {
        names.iter().all(|name| self.leaf.covers(name))
    }

    /// When the leaf is valid.
    pub fn validity(&self) -> Validity {
        self.leaf.validity
    }

    /// Whom the leaf names as its issuer, for people: `Let's Encrypt E7`.
    pub fn issuer_name(&self) -> &str {
        &self.leaf.issuer
    }

    /// Common name of the root the chain leads to: the issuer that the last certificate names.
    pub fn root_name(&self) -> &str {
        &self.root
    }

    /// The leaf's serial number in hexadecimal.
    pub fn serial(&self) -> &str {
        &self.leaf.serial
    }

    /// The name of this certificate in renewal information (RFC 9773 section 4.1), if it can have one.
    pub fn renewal_id(&self) -> Option<&str> {
        self.renewal_id.as_deref()
    }

    /// What a person should know of the chain although it is served: that it was sorted, or could not be checked wholly.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The chain as it came, or sorted if it came in another order, leaf first. The key is not part of it.
    pub fn chain_pem(&self) -> &str {
        &self.chain_pem
    }
}

impl fmt::Debug for CertBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertBundle({}, serial {}, until {})", self.leaf.name(), self.leaf.serial, self.leaf.validity.not_after)
    }
}
