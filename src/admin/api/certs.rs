//! What is told of certificates.

use serde::{Deserialize, Serialize};

/// Every certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertsReport {
    /// One entry for each certificate that is wanted.
    pub certs: Vec<CertLine>,
}

/// One certificate that is wanted. Moments are RFC 3339.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertLine {
    /// The names it is to cover, the first being its own.
    pub names: Vec<String>,
    /// Where it stands, in one or two words: `valid`, `renewing`, `expired`, `being obtained`, `paused`, `stuck`.
    pub state: String,
    /// Who issued the held one, or who is asked for it.
    pub issuer: String,
    /// When the held one ends; `None` when none is held.
    pub expires: Option<String>,
    /// When it is tried or renewed next.
    pub next_attempt: Option<String>,
    /// Why then and not before.
    pub next_why: String,
    /// Attempts that failed since the last success.
    pub failures: u32,
    /// What the last of them said, in full.
    pub last_error: Option<String>,
    /// The challenge that proved the names last.
    pub challenge: Option<String>,
    /// Whether it is in memory only, because the state folder cannot be written.
    pub unsaved: bool,
    /// What a person can do about the last failure, in a sentence.
    #[serde(default)]
    pub remedy: Option<String>,
    /// Where it comes from: the directory of the first authority, `the local authority`, or the chain's file.
    #[serde(default)]
    pub from: String,
    /// Whether the gateway makes it itself and anew every few hours, for localhost and private names.
    #[serde(default)]
    pub local: bool,
    /// Serial number of the held one, in hexadecimal.
    #[serde(default)]
    pub serial: Option<String>,
    /// The authority's renewal window (RFC 9773).
    #[serde(default)]
    pub window: Option<WindowLine>,
    /// What is used up of what the authority forgives; `None` for what no authority limits.
    #[serde(default)]
    pub budget: Option<BudgetLine>,
    /// When the alarm was last raised that its life runs out without a successor; `None` when it does not.
    #[serde(default)]
    pub alarmed: Option<String>,
    /// What was seen of it since the last reload that a person should know, a sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// When an authority wants a certificate renewed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowLine {
    /// From then.
    pub start: String,
    /// Until then.
    pub end: String,
    /// When it is asked again.
    pub asked_again: Option<String>,
}

/// What is used up, and what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetLine {
    /// Validations of the name that failed within an hour.
    pub failed_validations_in_hour: ShareLine,
    /// Orders for the name that came to nothing within an hour.
    pub failed_orders_in_hour: ShareLine,
    /// The same within a day.
    pub failed_orders_in_day: ShareLine,
    /// Certificates for the same names within a week.
    pub issued_in_week: ShareLine,
    /// Orders of the whole account, where the authority's limit is known.
    pub account_orders: Option<ShareLine>,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareLine {
    /// Used up.
    pub used: u32,
    /// What there is.
    pub most: u32,
}
