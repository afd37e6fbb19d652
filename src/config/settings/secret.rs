//! Secrets of a configuration and where they were written.

use std::path::PathBuf;

use crate::base::secret::Secret;

/// Where a secret was written, so that a configuration can be printed without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file of its own.
    File(PathBuf),
    /// In this variable of the environment.
    Variable(String),
    /// In the configuration itself.
    InPlace,
}

/// What is printed in the place of a secret that was written in the configuration itself; refused when it is read.
pub const REDACTED: &str = "(redacted)";

/// A secret text and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// The secret.
    pub value: Secret<String>,
    /// Where it was written.
    pub from: SecretSource,
}
