//! An authority, and how it is dealt with.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{At, DnsProvider, SecretSource};
use crate::base::name::HostPattern;
use crate::base::secret::Secret;

/// An authority that speaks ACME (RFC 8555), and how we deal with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Acme {
    /// The directory's URL.
    pub directory: String,
    /// Whether `directory` is an authority's staging one, so that people are told.
    pub staging: bool,
    /// Where `staging` or `directory` stands.
    pub at: At,
    /// PEM file of roots trusted for the directory's own TLS, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Certificate profile (draft-ietf-acme-profiles).
    pub profile: Option<String>,
    /// External account binding (RFC 8555 section 7.3.4).
    pub eab: Option<Eab>,
    /// Challenge types in the order of preference; never empty.
    pub challenges: Vec<ChallengeKind>,
    /// How dns-01 sets its record.
    pub dns: Option<DnsProvider>,
    /// How long a record of dns-01 is given to reach the zone's name servers.
    pub propagation: Propagation,
    /// Common name of the root whose chain is preferred.
    pub preferred_root: Option<String>,
    /// Resolvers asked for propagation and preflight; empty means the system's.
    pub resolvers: Vec<SocketAddr>,
    /// Kind of the certificates' keys.
    pub key: KeyKind,
    /// The directory where an order that failed is tried first until it succeeds, so that tries cost nothing here.
    pub rehearsal: Option<String>,
    /// The authorities to try next, in order.
    pub fallback: Vec<Arc<Self>>,
    /// Guard of on-demand issuance; `None` means off.
    pub on_demand_ask: Option<String>,
    /// Program run after each issuance.
    pub hook: Option<PathBuf>,
    /// Told when a certificate is in danger.
    pub alert: Option<Alert>,
}

/// What is done between setting a record of dns-01 and telling the authority of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// Every name server of the zone is asked until all of them have it.
    #[default]
    Check,
    /// Nothing is asked; this time goes by.
    Wait(Duration),
    /// Nothing.
    Off,
}

/// External account binding's key.
#[derive(Clone, Debug, PartialEq)]
pub struct Eab {
    /// The authority's name for the key.
    pub key_id: String,
    /// The MAC key, decoded from base64url.
    pub hmac_key: Secret<Vec<u8>>,
    /// Where both were written.
    pub from: SecretSource,
    /// Where `eab` stands.
    pub at: At,
}

/// How a name is proved (RFC 8555 section 8, RFC 8737).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChallengeKind {
    /// A file on port 80.
    Http01,
    /// A certificate on port 443.
    TlsAlpn01,
    /// A TXT record.
    Dns01,
    /// A standing TXT record.
    DnsPersist01,
}

impl Acme {
    /// Whether the directory is on the internet, and not that of an authority of one's own house, which issues for what it
    /// likes and sees other addresses than the world does.
    pub fn is_public(&self) -> bool {
        let authority = self.directory.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        HostPattern::parse(host).is_ok_and(|host| !host.is_local())
    }

    /// Whether a record in DNS may prove its names.
    pub fn proves_by_record(&self) -> bool {
        self.challenges.iter().any(|kind| matches!(kind, ChallengeKind::Dns01 | ChallengeKind::DnsPersist01))
    }

    /// Whether names of this head are obtained one by one when somebody asks for them: those of `*`, and those of `*.name`
    /// where no challenge can prove all of them at once.
    pub fn is_on_demand(&self, pattern: &HostPattern) -> bool {
        let fits = match pattern {
            HostPattern::Any => true,
            HostPattern::Wildcard(_) => !pattern.is_local() && !self.proves_by_record(),
            HostPattern::Exact(_) | HostPattern::Ip(_) => false,
        };
        fits && self.on_demand_ask.is_some()
    }
}

impl ChallengeKind {
    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
            Self::DnsPersist01 => "dns-persist-01",
        }
    }
}

impl fmt::Display for ChallengeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Kind of a certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// ECDSA on P-256: the default, small and fast.
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA of 2048 bits, for clients that know nothing else.
    Rsa2048,
}

/// Where an alarm goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Alert {
    /// POST as JSON.
    Url(String),
    /// A program with the alarm as JSON on its standard input.
    Program(PathBuf),
}
