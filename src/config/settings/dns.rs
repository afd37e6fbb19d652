//! How the TXT records of dns-01 are set.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Credential, SecretSource};
use crate::base::secret::Secret;

/// Who sets a record and takes it away again.
#[derive(Clone, Debug, PartialEq)]
pub enum DnsProvider {
    /// A program: `PATH set NAME VALUE`, `PATH unset NAME VALUE`.
    Hook(PathBuf),
    /// The zone's own name server, by updates.
    Rfc2136(Rfc2136),
    /// A company's service, over its own interface.
    Service {
        /// Its name in [`crate::config::dns_providers::ALL`].
        name: &'static str,
        /// Its parameters in the order of the text: all that it needs, each once.
        parameters: Vec<(&'static str, Credential)>,
    },
}

/// Dynamic updates (RFC 2136).
#[derive(Clone, Debug, PartialEq)]
pub struct Rfc2136 {
    /// The zone's primary name server.
    pub server: SocketAddr,
    /// What signs the updates; without one the server must know us by our address.
    pub key: Option<TsigKey>,
    /// The zone, where it is not the one that the name lies in.
    pub zone: Option<String>,
}

/// A key that both sides know (RFC 8945).
#[derive(Clone, Debug, PartialEq)]
pub struct TsigKey {
    /// Its name at the server.
    pub name: String,
    /// What it signs by.
    pub algorithm: TsigAlgorithm,
    /// The key, decoded from base64.
    pub secret: Secret<Vec<u8>>,
    /// Where it was written.
    pub from: SecretSource,
}

/// By what a [`TsigKey`] signs; what is older is refused by servers that are up to date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TsigAlgorithm {
    /// The one every server has.
    #[default]
    HmacSha256,
    /// Longer.
    HmacSha384,
    /// Longest.
    HmacSha512,
}

impl TsigAlgorithm {
    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }
}

impl fmt::Display for TsigAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
