//! Why an order failed, in facts: at which step, what the authority said, which proof failed. [`super::advice`] says
//! when to try again and what the likely cause is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use instant_acme::Problem;

use crate::base::duration;
use crate::base::name::Identifier;
use crate::base::time::Timestamp;
use crate::certs::bundle::BundleError;
use crate::certs::challenge::BoardFull;
use crate::certs::challenge::dns01::RecordError;
use crate::certs::challenge::tls_alpn01::ProofError;
use crate::certs::issuer::http::{HttpFailure, Kind, problem};
use crate::certs::issuer::jws::AccountKeyError;
use crate::certs::issuer::order_store::LedgerError;
use crate::config::settings::{At, ChallengeKind};

/// How far an order was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Finding or making the account.
    Account,
    /// Beginning the order, or finding the one in flight.
    Order,
    /// Proving the names.
    Prove,
    /// Sending the certificate request.
    Finalize,
    /// Waiting for the certificate.
    Issue,
    /// Fetching and checking it.
    Download,
}

impl Step {
    /// The name in logs and in status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Order => "order",
            Self::Prove => "prove",
            Self::Finalize => "finalize",
            Self::Issue => "issue",
            Self::Download => "download",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An order failed.
#[derive(Debug, thiserror::Error)]
#[error("the order failed at step `{step}`")]
pub struct OrderError {
    /// How far it was.
    pub step: Step,
    /// Why.
    #[source]
    pub cause: OrderCause,
    /// Every proof that failed on the way, this call's only: what counts against the authority's limit of failures.
    pub failed: Vec<FailedProof>,
}

/// A name was not proved.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind} for {identifier} failed: {}", words(problem.as_ref()))]
pub struct FailedProof {
    /// How it was to be proved.
    pub kind: ChallengeKind,
    /// What was to be proved.
    pub identifier: Identifier,
    /// What the authority said.
    pub problem: Option<Problem>,
}

/// Why an order failed.
#[derive(Debug, thiserror::Error)]
pub enum OrderCause {
    /// The authority could not be asked, or refused.
    #[error(transparent)]
    Http(#[from] HttpFailure),
    /// The authority reported a problem inside a good answer.
    #[error("the authority refused: {}", words(Some(.0)))]
    Problem(Problem),
    /// The authority's answer has the wrong form.
    #[error("the authority's answer has the wrong form")]
    Form(#[source] instant_acme::Error),
    /// A name was not proved, and there is no other way to try.
    #[error(transparent)]
    Proof(Box<FailedProof>),
    /// The order is invalid, and no proof is to blame.
    #[error("the authority called the order invalid: {}", words(.0.as_ref()))]
    Invalid(Option<Problem>),
    /// What came is no good.
    #[error("the authority's certificate cannot be used")]
    Bundle(#[source] BundleError),
    /// A fact could not be kept.
    #[error("cannot go on without a safe record")]
    Ledger(#[from] LedgerError),
    /// The profile is not in the directory.
    #[error("the authority has no profile `{wanted}`; it has {}", list(offered))]
    Profile {
        /// As configured.
        wanted: String,
        /// What the directory names.
        offered: Vec<String>,
    },
    /// No challenge that is allowed, offered and built can prove the name.
    #[error("{identifier} cannot be proved by what is allowed for it ({}) and offered ({})", kinds(allowed), list(offered))]
    NoChallenge {
        /// What was to be proved.
        identifier: Identifier,
        /// What the authority offers for it; empty when it was not even asked.
        offered: Vec<String>,
        /// What may be used for it.
        allowed: Vec<ChallengeKind>,
    },
    /// The authority takes no account without an external binding.
    #[error("the authority needs an external account binding; add `eab KEY-ID HMAC-KEY` with the values of its customer page")]
    BindingMissing,
    /// The authority refuses the external binding.
    #[error(transparent)]
    Binding(Box<RefusedBinding>),
    /// The authority's directory lacks something.
    #[error("the authority offers no `{0}`")]
    NotOffered(&'static str),
    /// There is nothing to close.
    #[error("there is no account at this authority; the first order makes one")]
    NoAccount,
    /// The account's key cannot be made or used.
    #[error(transparent)]
    AccountKey(#[from] AccountKeyError),
    /// The certificate's key or request cannot be made.
    #[error("cannot make the certificate's key or request")]
    Request(#[from] rcgen::Error),
    /// The proof certificate cannot be made.
    #[error(transparent)]
    ProofCertificate(#[from] ProofError),
    /// A record in DNS is not there.
    #[error(transparent)]
    Record(#[from] Arc<RecordError>),
    /// Too many proofs at once.
    #[error(transparent)]
    Board(#[from] BoardFull),
    /// The authority took too long over one step.
    #[error("the authority did not finish this step within {}", duration::rough(*.after))]
    Slow {
        /// How long we waited.
        after: Duration,
    },
    /// The order changed its state back and forth without end.
    #[error("the authority's order came to no end")]
    Endless,
    /// Work of ours panicked; the panic was reported where it happened.
    #[error("doorward failed at `{0}`")]
    Panicked(&'static str),
}

impl OrderCause {
    /// The authority's problem document, wherever it was said.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Http(HttpFailure::Refused(refusal)) => refusal.problem.as_ref(),
            Self::Problem(problem) => Some(problem),
            Self::Proof(failed) => failed.problem.as_ref(),
            Self::Binding(binding) => binding.said.problem(),
            Self::Invalid(problem) => problem.as_ref(),
            _ => None,
        }
    }

    /// The problem's type without its common prefix: `rateLimited`, `caa`.
    pub fn acme_type(&self) -> Option<&str> {
        problem::short_type(self.problem()?)
    }

    /// The problem's explanation, in full.
    pub fn detail(&self) -> Option<&str> {
        self.problem()?.detail.as_deref()
    }

    /// Whether the authority refused to register or to find an account: no account was closed then.
    pub fn is_about_registration(&self) -> bool {
        matches!(self, Self::Http(HttpFailure::Refused(refusal)) if refusal.kind == Kind::NewAccount)
    }

    /// When the authority itself wants to be asked again.
    pub fn said_until(&self) -> Option<Timestamp> {
        match self {
            Self::Http(failure) => failure.retry_after(),
            _ => None,
        }
    }

    /// Whether the same call may succeed a moment later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Http(failure) => failure.is_passing(),
            Self::Form(_) => true,
            _ => self.acme_type() == Some("badNonce"),
        }
    }

    /// Whether the authority cannot have acted.
    pub(super) fn was_not_sent(&self) -> bool {
        matches!(self, Self::Http(failure) if failure.was_not_sent())
    }

    /// Whether the authority does not know what was asked about, or says it is not ours.
    pub(super) fn is_unknown(&self) -> bool {
        const GONE: [StatusCode; 3] = [StatusCode::NOT_FOUND, StatusCode::GONE, StatusCode::FORBIDDEN];
        matches!(self, Self::Http(HttpFailure::Refused(refusal)) if GONE.contains(&refusal.status))
    }
}

impl FailedProof {
    /// The problem's type without its common prefix.
    pub fn acme_type(&self) -> Option<&str> {
        problem::short_type(self.problem.as_ref()?)
    }
}

impl From<instant_acme::Error> for OrderCause {
    fn from(error: instant_acme::Error) -> Self {
        match error {
            instant_acme::Error::Api(problem) => Self::Problem(problem),
            instant_acme::Error::Other(other) => match other.downcast::<HttpFailure>() {
                Ok(failure) => Self::Http(*failure),
                Err(other) => Self::Form(instant_acme::Error::Other(other)),
            },
            other => Self::Form(other),
        }
    }
}

fn words(problem: Option<&Problem>) -> String {
    problem.map_or_else(|| "it did not say why".into(), problem::spoken)
}

fn list(texts: &[String]) -> String {
    if texts.is_empty() { "none".into() } else { texts.join(", ") }
}

fn kinds(kinds: &[ChallengeKind]) -> String {
    list(&kinds.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// Which of the two values of `eab` the authority refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::certs::issuer) enum RefusedPart {
    /// It does not know the key id.
    KeyId,
    /// The signature by the HMAC key is wrong.
    HmacKey,
}

/// The authority refused to register an account because of its binding.
#[derive(Debug, thiserror::Error)]
#[error(
    "{directory} {} of `eab {key_id}`; copy both values again from its customer page (the key is base64url), {}",
    match part { RefusedPart::KeyId => "does not know the key id", RefusedPart::HmacKey => "does not accept the HMAC key" },
    at.0
)]
pub struct RefusedBinding {
    pub(in crate::certs::issuer) directory: String,
    pub(in crate::certs::issuer) key_id: String,
    pub(in crate::certs::issuer) at: At,
    pub(in crate::certs::issuer) part: RefusedPart,
    /// What the authority said.
    #[source]
    pub(in crate::certs::issuer) said: OrderCause,
}
