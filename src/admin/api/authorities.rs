//! What is asked and told of accounts, revocations and tries.

use serde::{Deserialize, Serialize};

/// What can be done with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountRequest {
    /// Give it another key.
    RollKey,
    /// Close it for good.
    Deactivate,
}

/// A certificate was taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeReport {
    /// As it was asked for.
    pub name: String,
    /// Serial number in hexadecimal.
    pub serial: String,
    /// When its successor can be ordered, RFC 3339, if not at once.
    pub successor_at: Option<String>,
    /// Why not before.
    pub successor_why: Option<String>,
}

/// An order that was only tried succeeded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// What it covered.
    pub names: Vec<String>,
    /// Where it was made.
    pub directory: String,
    /// The challenge that proved the names; `None` when the authority still believed an earlier proof.
    pub proved_by: Option<String>,
    /// Proofs that failed on the way.
    pub failed: Vec<String>,
}

/// Every account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountsReport {
    /// One entry for each authority that a site may turn to.
    pub accounts: Vec<AccountLine>,
}

/// One account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLine {
    /// The authority's directory.
    pub directory: String,
    /// The account's URL; `None` before the first order.
    pub url: Option<String>,
    /// Its key's thumbprint (RFC 7638).
    pub thumbprint: Option<String>,
    /// What the authority says of it.
    pub status: Option<String>,
    /// The contacts that the authority has.
    pub contacts: Vec<String>,
    /// Why the authority said nothing.
    pub error: Option<String>,
}

/// Something was done with an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDone {
    /// Its authority's directory.
    pub directory: String,
    /// The thumbprint of its new key, if it has one.
    pub thumbprint: Option<String>,
    /// What a person should know of how it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
