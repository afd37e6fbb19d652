//! What is ordered, and what comes of it.

use std::sync::Arc;

use super::error::FailedProof;
use crate::base::name::Identifier;
use crate::base::secret::Secret;
use crate::certs::bundle::CertBundle;
use crate::config::settings::{Acme, ChallengeKind};

/// What is to be ordered.
#[derive(Clone, Debug)]
pub struct OrderJob {
    /// Challenges, profile, preferred root and key kind.
    pub acme: Arc<Acme>,
    /// What the certificate must cover; at least one.
    pub identifiers: Vec<Identifier>,
    /// The [`CertBundle::renewal_id`] of the certificate of the same authority that this one replaces.
    pub replaces: Option<String>,
    /// How many failed proofs one name may cost in this call, from the budget of failures an hour; at least 1.
    pub most_failures: usize,
}

/// A certificate that was bought. The order stays in the ledger until its caller has kept the bundle and the key and
/// calls [`OrderStore::forget_order`](crate::certs::issuer::order_store::OrderStore::forget_order).
#[derive(Debug)]
pub struct Issued {
    /// Proved, not yet kept.
    pub bundle: CertBundle,
    /// The bundle's key, PKCS#8 as PEM.
    pub key_pem: Secret<String>,
    /// How a name was proved; `None` when the authority still believed an earlier proof, or the order was resumed later.
    pub proved_by: Option<ChallengeKind>,
    /// Proofs that failed on the way.
    pub failed: Vec<FailedProof>,
    /// Whether the chain leads to the preferred root; true when none is preferred.
    pub preferred_root: bool,
}
