//! The authority's directory (RFC 8555 section 7.1.1), with the parts of `meta` that instant-acme leaves out.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use super::answer::Answer;
use super::failure::HttpFailure;
use super::pauses::Kind;
use crate::base::time::Timestamp;

/// What the authority offers, and where.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// Where nonces come from.
    pub new_nonce: String,
    /// Where accounts are made and found.
    pub new_account: String,
    /// Where orders are begun.
    pub new_order: String,
    /// Where certificates are revoked.
    pub revoke_cert: Option<String>,
    /// Where an account gets another key.
    pub key_change: Option<String>,
    /// Where renewal information is (RFC 9773), if the authority has it.
    pub renewal_info: Option<String>,
    /// The rest.
    #[serde(default)]
    pub meta: Meta,
    /// When it was sent, by the authority's clock.
    #[serde(skip)]
    pub date: Option<Timestamp>,
    /// The text, as it is handed on to instant-acme.
    #[serde(skip)]
    text: Bytes,
}

/// Facts about the authority.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// The terms an account agrees to.
    pub terms_of_service: Option<String>,
    /// Whether accounts need an external binding.
    #[serde(default)]
    pub external_account_required: bool,
    /// What a CAA record must name.
    #[serde(default)]
    pub caa_identities: Vec<String>,
    /// Certificate profiles with their descriptions (draft-ietf-acme-profiles).
    #[serde(default)]
    pub profiles: BTreeMap<String, String>,
}

impl Directory {
    pub(super) fn read(answer: &Answer) -> Result<Self, HttpFailure> {
        let mut directory: Self = serde_json::from_slice(answer.body()).map_err(|_| answer.garbage())?;
        directory.text = answer.body().clone();
        directory.date = answer.date();
        Ok(directory)
    }

    pub(super) fn text(&self) -> Bytes {
        self.text.clone()
    }

    pub(super) fn kind(&self, url: &str) -> Kind {
        if url == self.new_nonce {
            Kind::NewNonce
        } else if url == self.new_account {
            Kind::NewAccount
        } else if url == self.new_order {
            Kind::NewOrder
        } else if self.renewal_info.as_deref().is_some_and(|info| url.starts_with(info)) {
            Kind::RenewalInfo
        } else {
            Kind::Other
        }
    }
}
