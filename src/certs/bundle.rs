//! A certificate chain with its key, proved to belong together. Whoever holds a [`CertBundle`] may serve it.
//! It does not ask whether clients trust the chain's root, and it does not look at revocation.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};

use crate::base::name::Identifier;
use crate::base::secret::Secret;
use crate::base::time::{Timestamp, Validity};
use crate::certs::issuer::renewal_info;

mod leaf;
mod links;
mod pem;
mod signature;

use leaf::Leaf;

/// A certificate chain and its key: complete, matching, covering what was wanted, each link signed by the next.
pub struct CertBundle {
    certified: Arc<CertifiedKey>,
    leaf: Leaf,
    root: String,
    renewal_id: Option<String>,
    chain_pem: String,
    note: Option<String>,
}

/// Longest chain text that is looked at; real chains stay below 16 KiB.
const MOST_PEM: usize = 256 * 1024;

/// Longest chain that is believed; public ones have two or three certificates.
const MOST_CERTIFICATES: usize = 10;

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
        links::issuer_holds_at(&bundle.certified.cert, now)?;
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
            Err(BundleError::Cut { subject, issuer }) if !links::tells_its_issuer(chain_pem) => {
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
                    links::superfluous_root(&bundle.certified.cert).map(|root| {
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
        let arranged = links::arrange(chain, public_key.as_deref())?;
        let chain_pem = if arranged.note.is_some() { pem::chain(&arranged.chain) } else { chain_pem.to_owned() };
        Self::of(arranged.chain, signing, chain_pem, arranged.note)
    }

    /// Looks at the links, and sorts them first where that is needed.
    fn linked(self, key_pem: &Secret<String>, roots: &[CertificateDer<'_>]) -> Result<Self, BundleError> {
        let unlinked = match links::check(&self.certified.cert, roots) {
            Ok(unchecked) => return Ok(self.noted(unchecked)),
            Err(error @ BundleError::Unlinked { .. }) => error,
            Err(error) => return Err(error),
        };
        let arranged = links::arrange(self.certified.cert.clone(), None)?;
        if arranged.note.is_none() {
            return Err(unlinked);
        }
        let unchecked = links::check(&arranged.chain, roots)?;
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

/// The file a [`BundleError`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The certificate chain.
    Chain,
    /// The private key.
    Key,
}

/// Why a chain and a key do not make a bundle. The text says what is wrong and what to do, for people who gave files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// More text than any chain has.
    #[error("the chain has {0} bytes, more than any certificate chain needs; is it the right file?")]
    TooLarge(usize),
    /// The PEM text breaks off or is damaged.
    #[error("certificate {number} of the chain is cut off or damaged ({problem}); take the whole file again from where it came")]
    Damaged {
        /// Counted from 1.
        number: usize,
        /// What was seen.
        problem: String,
    },
    /// No certificate in the text.
    #[error("the chain holds no certificate; expected `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    /// More certificates than any chain has.
    #[error("the chain holds more than {MOST_CERTIFICATES} certificates; give the leaf and its intermediates only")]
    TooMany,
    /// No private key in the text.
    #[error("the key file holds no private key; expected `-----BEGIN PRIVATE KEY-----`")]
    NoKey,
    /// The key needs a passphrase.
    #[error("the key is encrypted with a passphrase; decrypt it first, for example with `openssl pkey -in KEY -out PLAIN`")]
    KeyEncrypted,
    /// The key cannot be read, or is of a kind TLS does not use.
    #[error(
        "the key is damaged or of a kind that cannot be used for TLS; use ECDSA P-256 or P-384, Ed25519, or RSA from 2048 bits"
    )]
    KeyUnusable,
    /// The key belongs to another certificate.
    #[error("the key does not belong to the certificate for {subject}, which is the first of the chain")]
    KeyMismatch {
        /// The leaf's first name.
        subject: String,
    },
    /// The leaf must not be used by a server.
    #[error("the certificate for {subject} may not be used by a server (its extended key usage lacks serverAuth)")]
    NotForServers {
        /// The leaf's first name.
        subject: String,
    },
    /// The first certificate is an authority's.
    #[error("the first certificate of the chain, {subject}, is an authority's; the server's own certificate comes first")]
    LeafIsAuthority {
        /// Its subject.
        subject: String,
    },
    /// A name that was wanted is not in the leaf.
    #[error("the certificate does not cover {missing}; it covers {}", list(covered))]
    NotCovered {
        /// The first wanted one that is missing.
        missing: Identifier,
        /// What the leaf covers.
        covered: Vec<Identifier>,
    },
    /// Its time is over.
    #[error("the certificate for {subject} expired at {at}")]
    Expired {
        /// Whose.
        subject: String,
        /// Last valid second.
        at: Timestamp,
    },
    /// Its time has not come.
    #[error("the certificate for {subject} is valid only from {from}; is this machine's clock right?")]
    NotYetValid {
        /// Whose.
        subject: String,
        /// First valid second.
        from: Timestamp,
    },
    /// It ends before it begins.
    #[error("the certificate for {subject} ends before it begins")]
    Inverted {
        /// Whose.
        subject: String,
    },
    /// The leaf came without the certificate that signed it.
    #[error("the chain is cut: the certificate of `{issuer}`, which signed the one for {subject}, is missing; append it")]
    Cut {
        /// The last certificate's subject.
        subject: String,
        /// Who signed it.
        issuer: String,
    },
    /// A certificate is followed by one that did not sign it.
    #[error(
        "certificate {number} of the chain, `{found}`, did not sign the one before it, whose issuer is `{expected}`; \
             put them in order, the server's own first"
    )]
    Unlinked {
        /// The one that should have signed, counted from 1.
        number: usize,
        /// Its subject.
        found: String,
        /// Whom the one before it names.
        expected: String,
    },
}

impl BundleError {
    /// Whether the certificate itself is wrong, so that fetching it again brings nothing better.
    pub const fn never_fits(&self) -> bool {
        matches!(
            self,
            Self::KeyMismatch { .. }
                | Self::NotCovered { .. }
                | Self::Expired { .. }
                | Self::Inverted { .. }
                | Self::NotForServers { .. }
                | Self::LeafIsAuthority { .. }
        )
    }

    /// Which of the two texts is at fault, so that the caller can name its file.
    pub fn piece(&self) -> Piece {
        match self {
            Self::NoKey | Self::KeyEncrypted | Self::KeyUnusable | Self::KeyMismatch { .. } => Piece::Key,
            Self::TooLarge(_)
            | Self::Damaged { .. }
            | Self::NoCertificate
            | Self::TooMany
            | Self::NotForServers { .. }
            | Self::LeafIsAuthority { .. }
            | Self::NotCovered { .. }
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::Inverted { .. }
            | Self::Cut { .. }
            | Self::Unlinked { .. } => Piece::Chain,
        }
    }
}

fn list(identifiers: &[Identifier]) -> String {
    if identifiers.is_empty() {
        return "no name at all".into();
    }
    let mut shown: Vec<String> = identifiers.iter().take(5).map(ToString::to_string).collect();
    if identifiers.len() > 5 {
        shown.push(format!("and {} more", identifiers.len() - 5));
    }
    shown.join(", ")
}

fn read_chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, BundleError> {
    if pem.len() > MOST_PEM {
        return Err(BundleError::TooLarge(pem.len()));
    }
    let mut chain = Vec::new();
    for item in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let number = chain.len() + 1;
        chain.push(item.map_err(|error| BundleError::Damaged { number, problem: format!("{error:?}") })?);
        if chain.len() > MOST_CERTIFICATES {
            return Err(BundleError::TooMany);
        }
    }
    if chain.is_empty() { Err(BundleError::NoCertificate) } else { Ok(chain) }
}

fn read_key(pem: &Secret<String>) -> Result<PrivateKeyDer<'static>, BundleError> {
    let text = pem.expose();
    if text.contains("ENCRYPTED") {
        return Err(BundleError::KeyEncrypted);
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| BundleError::NoKey)
}

#[cfg(test)]
mod tests;
