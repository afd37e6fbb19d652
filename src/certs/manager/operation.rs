//! What is sent to the loop: by the gateway, and by operators who want something done at an authority apart from orders.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot::Sender;

use crate::certs::issuer::account::AccountShown;
use crate::certs::issuer::revoke::Reason;
use crate::config::settings::Settings;
use crate::state::pem_store::Slot;

/// Something to be done, with who waits for its answer.
pub(super) enum Operation {
    /// Take the certificate of this name back, and get another.
    Revoke(String, Reason, Sender<Result<Revoked, ErrandError>>),
    /// Order for this name where nothing comes of it: at this directory, else at the staging one.
    Try(String, Option<String>, Sender<Result<Trial, ErrandError>>),
    /// Tell of every account.
    Accounts(Sender<Vec<AccountShown>>),
    /// Do this with the account at the authority that this names.
    Account(AccountRequest, Option<String>, Sender<Result<AccountDone, ErrandError>>),
}

/// What can be done with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountRequest {
    /// Give it another key.
    RollKey,
    /// Close it for good.
    Deactivate,
}

/// A certificate was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number in hexadecimal.
    pub serial: String,
    /// When its successor can be ordered and why not before, if not at once.
    pub successor: Option<(String, String)>,
}

/// An order that was only tried succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// What it covered.
    pub names: Vec<String>,
    /// Where it was made.
    pub directory: String,
    /// How the names were proved; `None` when the authority still believed an earlier proof.
    pub proved_by: Option<String>,
    /// Proofs that failed on the way, in words.
    pub failed: Vec<String>,
}

/// Something was done with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountDone {
    /// Its authority's directory.
    pub directory: String,
    /// The thumbprint of its new key, if it has one.
    pub thumbprint: Option<String>,
    /// What a person should know of how it went.
    pub note: Option<String>,
}

/// An errand was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrandError {
    /// No such certificate is wanted.
    #[error("no certificate is configured for `{0}`; `doorward certs` lists those that are")]
    Unknown(String),
    /// No public authority would vouch for it.
    #[error("`{0}` is no name that an ACME authority vouches for; the local authority does, without being asked")]
    Local(String),
    /// None was issued by an authority.
    #[error("the certificate of `{name}` comes from {from}, which revokes nothing; {remedy}")]
    NotRevocable {
        /// As asked.
        name: String,
        /// Where it comes from.
        from: String,
        /// What can be done instead.
        remedy: &'static str,
    },
    /// There is none.
    #[error("no certificate is held for `{0}`, so there is nothing to revoke")]
    NothingHeld(String),
    /// Where to try is not known.
    #[error("no test directory of {0} is known; name one by `--directory URL`")]
    NoTestDirectory(String),
    /// The test directory is the real one.
    #[error("{0} is the authority itself, where a try would use up what it allows; name a test directory")]
    NotATest(String),
    /// No authority is configured.
    #[error("no site gets its certificate from an ACME authority, so there is no account")]
    NoAuthority,
    /// Several are.
    #[error("there are several accounts; say which by `--issuer`, one of: {}", .0.join(", "))]
    Which(Vec<String>),
    /// None has this name.
    #[error("no account at `{wanted}` is in use; there are: {}", known.join(", "))]
    NoSuchIssuer {
        /// As asked.
        wanted: String,
        /// Those that are.
        known: Vec<String>,
    },
    /// Orders would be cut off.
    #[error("{orders} orders are under way at {directory}; try again when they are done")]
    Busy {
        /// Where.
        directory: String,
        /// How many.
        orders: usize,
    },
    /// It was tried, and did not succeed.
    #[error("{words}{}", remedy.as_ref().map(|remedy| format!("\nwhat to do: {remedy}")).unwrap_or_default())]
    Failed {
        /// All that was said.
        words: String,
        /// What a person can do.
        remedy: Option<String>,
    },
    /// The manager has ended.
    #[error("doorward is stopping")]
    Stopping,
}

/// What a manager is told.
pub(super) enum Command {
    /// The listeners are up: authorities may be asked.
    Go,
    /// Settings changed, or a person says that something was repaired.
    Settings(Arc<Settings>, Sender<()>),
    /// A new certificate is wanted for this name, whatever is held.
    Renew(String, Insist, Sender<Result<(), RenewError>>),
    /// Something else is to be done at an authority.
    Operation(Operation),
    /// The process ends.
    Stop(Sender<()>),
}

/// Whether a person who asks for a renewal overrules an authority that asked to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Insist {
    No,
    Yes,
}

/// A renewal by hand was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenewError {
    /// No such certificate is wanted.
    #[error("no certificate is configured for `{0}`; `doorward certs` lists those that are")]
    Unknown(String),
    /// Somebody else renews it.
    #[error("the certificate of `{name}` comes from {}; replace that file and its key, and they are taken over by themselves", file.display())]
    Files {
        /// As asked.
        name: String,
        /// The chain's file.
        file: PathBuf,
    },
    /// The authority's limits forbid it for now.
    #[error("`{name}` cannot be ordered before {until}: {why}")]
    Held {
        /// As asked.
        name: String,
        /// RFC 3339.
        until: String,
        /// Which limit.
        why: String,
    },
    /// The manager has ended.
    #[error("doorward is stopping")]
    Stopping,
}

/// An authority's answer about a revocation, for the manager to take in.
pub(super) struct OperationResult {
    pub(super) id: Slot,
    pub(super) serial: String,
    pub(super) reason: Reason,
    pub(super) came: Result<(), ErrandError>,
    pub(super) reply: Sender<Result<Revoked, ErrandError>>,
}
