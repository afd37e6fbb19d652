//! Taking a certificate back (RFC 8555 section 7.6): by the account that ordered it, else by the certificate's own key, for
//! certificates that came from another client.

use std::fmt;

use rustls::pki_types::CertificateDer;
use serde_json::json;

use super::account::AcmeAccount;
use super::acme::OrderCause;
use super::jws::{self, AccountKey, Signer, base64url};
use crate::base::secret::Secret;

/// Why a certificate is taken back (RFC 5280 section 5.3.1), as far as subscribers may say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reason {
    /// It is not said.
    #[default]
    Unspecified,
    /// Somebody else may have the key.
    KeyCompromise,
    /// The names belong to another organisation now.
    AffiliationChanged,
    /// Another certificate has taken its place.
    Superseded,
    /// The service has ended.
    CessationOfOperation,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Unspecified, Self::KeyCompromise, Self::AffiliationChanged, Self::Superseded, Self::CessationOfOperation];

    /// As people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
        }
    }

    /// Reads what [`Reason::as_str`] gives.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Its number on the wire.
    const fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Has the authority take `leaf` back. One that was taken back already is no error.
pub async fn revoke(
    account: &AcmeAccount,
    leaf: &CertificateDer<'_>,
    key_pem: &Secret<String>,
    reason: Reason,
) -> Result<(), OrderCause> {
    let directory = account.http().directory().await?;
    let url = directory.revoke_cert.as_deref().ok_or(OrderCause::NotOffered("revokeCert"))?;
    let payload = json!({ "certificate": base64url(leaf), "reason": reason.code() });
    let registered = account.registered().await?;
    let signer = Signer::Account(&registered.url);
    let mut asked = jws::post(account.http(), &registered.key, signer, url, Some(&payload)).await.map_err(OrderCause::from);
    if let Err(cause) = &asked
        && matches!(cause.acme_type(), Some("unauthorized" | "accountDoesNotExist" | "malformed"))
        && let Ok(own) = AccountKey::from_pem(key_pem)
    {
        asked = jws::post(account.http(), &own, Signer::Key, url, Some(&payload)).await.map_err(OrderCause::from);
    }
    match asked {
        Err(cause) if cause.acme_type() == Some("alreadyRevoked") => Ok(()),
        asked => asked.map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_back_as_they_are_written() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
        assert_eq!(Reason::parse("ca-compromise"), None, "that is not for a subscriber to say");
    }
}
