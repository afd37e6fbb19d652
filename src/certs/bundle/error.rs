//! Why a chain and a key do not make a bundle.

use crate::base::name::Identifier;
use crate::base::time::Timestamp;

/// Longest chain that is believed; public ones have two or three certificates.
pub(super) const MAX_CERTIFICATES: usize = 10;

/// The file a [`BundleError`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The certificate chain.
    ErrorChain,
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
    #[error("the chain holds more than {MAX_CERTIFICATES} certificates; give the leaf and its intermediates only")]
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

    /// Whether another clock might see it otherwise.
    pub const fn is_about_time(&self) -> bool {
        matches!(self, Self::Expired { .. } | Self::NotYetValid { .. })
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
            | Self::Unlinked { .. } => Piece::ErrorChain,
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
