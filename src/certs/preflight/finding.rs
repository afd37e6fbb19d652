//! What a check found: what was seen, what was expected, and the one thing to do.

use std::fmt;

use serde::Serialize;

/// One fact, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check: `dns`, `port-80`, `caa`, `clock`, …
    pub check: &'static str,
    /// The certificate's name, the backend or the port; empty where it is about the machine.
    pub about: String,
    /// What it means.
    pub weight: Severity,
    /// What was seen.
    pub seen: String,
    /// What was expected; empty where all is well.
    pub expected: String,
    /// What to do, in a sentence; empty where nothing is to be done.
    pub repair: String,
}

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// As it should be.
    Fine,
    /// Worth knowing; it prevents nothing by itself.
    Note,
    /// Prevents a certificate, or serving.
    Prevents,
}

impl Finding {
    /// All is well.
    pub fn fine(check: &'static str, about: impl Into<String>, seen: impl Into<String>) -> Self {
        let (expected, repair) = (String::new(), String::new());
        Self { check, about: about.into(), weight: Severity::Fine, seen: seen.into(), expected, repair }
    }

    /// Something is not as it should be; by default that prevents.
    pub fn trouble(
        check: &'static str,
        about: impl Into<String>,
        seen: impl Into<String>,
        expected: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        let (expected, repair) = (expected.into(), repair.into());
        Self { check, about: about.into(), weight: Severity::Prevents, seen: seen.into(), expected, repair }
    }

    /// The same as a note.
    pub fn noted(self) -> Self {
        Self { weight: Severity::Note, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.seen)?;
        if !self.expected.is_empty() {
            write!(f, "; expected {}", self.expected)?;
        }
        Ok(())
    }
}
