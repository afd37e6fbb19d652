//! What it means.

use serde::Serialize;

/// What it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// A stable code.
    pub code: &'static str,
    /// Whether it works.
    pub fine: bool,
    /// What is so.
    pub what: String,
    /// What to do; empty where nothing is to be done.
    pub repair: String,
}

pub(super) fn problem(code: &'static str, what: impl Into<String>, repair: impl Into<String>) -> Diagnosis {
    Diagnosis { code, fine: false, what: what.into(), repair: repair.into() }
}

pub(super) fn fine(what: impl Into<String>) -> Diagnosis {
    Diagnosis { code: "fine", fine: true, what: what.into(), repair: String::new() }
}
