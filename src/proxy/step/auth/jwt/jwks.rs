//! A JSON Web Key Set (RFC 7517 section 5), made ready to check signatures with.

use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{AlgorithmFamily, DecodingKey};

/// Issuers have two or three; more cost time for every token without a key id.
const MAX_KEYS: usize = 64;

/// The keys of a set that can check signatures.
pub(super) struct Keys(Box<[Key]>);

pub(super) struct Key {
    /// Its name, if it has one.
    pub(super) id: Option<String>,
    /// The one algorithm it is for, if it says so.
    pub(super) only: Option<String>,
    pub(super) decoding: DecodingKey,
}

/// Why a key set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It is no key set.
    #[error("it is no JSON Web Key Set, `{{ \"keys\": [...] }}`")]
    Syntax(#[source] serde_json::Error),
    /// None of its keys can check a signature.
    #[error("it has no key that can check signatures: RSA, P-256, P-384, Ed25519 or symmetric ones can")]
    Nothing,
    /// It has too many.
    #[error("it has {0} keys; {MAX_KEYS} are the most")]
    TooMany(usize),
}

impl Keys {
    /// Reads a set. Keys of kinds unknown here and keys for encryption are passed over (RFC 7517 section 5).
    pub(super) fn read(text: &[u8]) -> Result<Self, KeysError> {
        // Key by key, so that one of a kind from the future does not spoil the set.
        let set: serde_json::Value = serde_json::from_slice(text).map_err(KeysError::Syntax)?;
        let list = set.get("keys").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        if list.len() > MAX_KEYS {
            return Err(KeysError::TooMany(list.len()));
        }
        let set = JwkSet { keys: list.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect() };
        let keys: Box<[Key]> = set.keys.iter().filter_map(Key::of).collect();
        if keys.is_empty() { Err(KeysError::Nothing) } else { Ok(Self(keys)) }
    }

    /// The keys that may have signed a token with this header: the one it names, else all of the kind.
    pub(super) fn of<'a>(&'a self, id: Option<&'a str>, family: AlgorithmFamily) -> impl Iterator<Item = &'a Key> {
        let named = move |key: &&Key| id.is_none() || key.id.is_none() || key.id.as_deref() == id;
        self.0.iter().filter(named).filter(move |key| key.decoding.family() == family)
    }
}

impl Key {
    fn of(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        if common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
            return None;
        }
        let only = common.key_algorithm.as_ref().map(KeyAlgorithm::to_string);
        DecodingKey::from_jwk(jwk).ok().map(|decoding| Self { id: common.key_id.clone(), only, decoding })
    }
}
