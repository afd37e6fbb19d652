//! What operators want done at authorities apart from orders: the words for it, and the asking half.

use tokio::sync::oneshot::{self, Sender};

use super::{KeeperHandle, Word};
use crate::certs::issuer::account::AccountShown;
use crate::certs::issuer::revoke::Reason;

/// Something to be done, with who waits for its answer.
pub(super) enum Errand {
    /// Take the certificate of this name back, and get another.
    Revoke(String, Reason, Sender<Result<Revoked, ErrandError>>),
    /// Order for this name where nothing comes of it: at this directory, else at the staging one.
    Try(String, Option<String>, Sender<Result<Trial, ErrandError>>),
    /// Tell of every account.
    Accounts(Sender<Vec<AccountShown>>),
    /// Do this with the account at the authority that this names.
    Account(AccountWish, Option<String>, Sender<Result<AccountDone, ErrandError>>),
}

/// What can be done with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountWish {
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
    /// The keeper has ended.
    #[error("doorward is stopping")]
    Stopping,
}

impl KeeperHandle {
    /// Has the certificate that is served for `name` revoked by its authority, and another one with a new key ordered.
    pub async fn revoke(&self, name: &str, reason: Reason) -> Result<Revoked, ErrandError> {
        self.send(|reply| Errand::Revoke(name.to_owned(), reason, reply)).await
    }

    /// Tries the whole issuance for `name` at a test directory, with the real challenges. What comes is thrown away.
    pub async fn try_order(&self, name: &str, directory: Option<&str>) -> Result<Trial, ErrandError> {
        self.send(|reply| Errand::Try(name.to_owned(), directory.map(str::to_owned), reply)).await
    }

    /// Does something with the account at the authority whose directory or folder has `issuer` in its name.
    pub async fn account(&self, wish: AccountWish, issuer: Option<&str>) -> Result<AccountDone, ErrandError> {
        self.send(|reply| Errand::Account(wish, issuer.map(str::to_owned), reply)).await
    }

    /// Every account in use, with what its authority says of it.
    pub async fn accounts(&self) -> Vec<AccountShown> {
        let (reply, answer) = oneshot::channel();
        self.tell(Word::Errand(Errand::Accounts(reply)));
        answer.await.unwrap_or_default()
    }

    async fn send<T>(&self, errand: impl FnOnce(Sender<Result<T, ErrandError>>) -> Errand) -> Result<T, ErrandError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Word::Errand(errand(reply)));
        answer.await.unwrap_or(Err(ErrandError::Stopping))
    }
}
