//! Requests signed by the account key (RFC 8555 section 6.2) where instant-acme has none: newAccount with a key of ours,
//! contact and external binding at once, the download of alternate chains, revocation, and what is done with accounts.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use super::http::{AcmeHttp, Answer, HttpFailure};
use crate::base::secret::Secret;
use crate::config::settings::Eab;

/// The key of an account: ECDSA on P-256, which every authority takes.
pub(super) struct AccountKey {
    pair: EcdsaKeyPair,
    pkcs8: Secret<Vec<u8>>,
    pem: Secret<String>,
}

/// The key cannot be made, read or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountKeyError {
    /// The crypto library made no key.
    #[error("cannot make an account key")]
    Make,
    /// The stored text is no P-256 key in PKCS#8.
    #[error("the stored account key is damaged or not ECDSA P-256")]
    Read,
    /// The crypto library did not sign.
    #[error("cannot sign with the account key")]
    Sign,
}

/// Who signs, as the authority is told.
#[derive(Clone, Copy)]
pub(super) enum Signer<'a> {
    /// A key the authority may not know yet.
    Key,
    /// The account with this URL.
    Account(&'a str),
}

/// Nonces an authority may refuse in a row before a request is given up: at 30 % refusals one in two million.
const MAX_NONCES: u32 = 12;

const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

impl AccountKey {
    /// Makes a key; the text is PKCS#8 as PEM, for the ledger.
    pub(super) fn generate() -> Result<(Self, Secret<String>), AccountKeyError> {
        let pem = Secret::new(rcgen::KeyPair::generate().map_err(|_| AccountKeyError::Make)?.serialize_pem());
        Ok((Self::from_pem(&pem)?, pem))
    }

    /// Reads a key as [`AccountKey::generate`] writes it.
    pub(super) fn from_pem(pem: &Secret<String>) -> Result<Self, AccountKeyError> {
        let Ok(PrivateKeyDer::Pkcs8(der)) = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()) else {
            return Err(AccountKeyError::Read);
        };
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der());
        let pair = pair.map_err(|_| AccountKeyError::Read)?;
        Ok(Self { pair, pkcs8: Secret::new(der.secret_pkcs8_der().to_vec()), pem: pem.clone() })
    }

    /// The text it was read from.
    pub(super) fn pem(&self) -> &Secret<String> {
        &self.pem
    }

    /// What the key is known by in challenges and to people (RFC 7638).
    pub(super) fn thumbprint(&self) -> String {
        base64url(digest(&SHA256, self.jwk().to_string().as_bytes()).as_ref())
    }

    /// For instant-acme, which signs everything else.
    pub(super) fn pkcs8(&self) -> PrivatePkcs8KeyDer<'_> {
        PrivatePkcs8KeyDer::from(self.pkcs8.expose().as_slice())
    }

    /// RFC 7517, with the members in the order of RFC 7638.
    fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({ "crv": "P-256", "kty": "EC", "x": base64url(x), "y": base64url(y) })
    }

    /// Vouches for this account key with the key of an external account (RFC 8555 section 7.3.4).
    pub(super) fn bind(&self, eab: &Eab, new_account: &str) -> Value {
        let header = json!({ "alg": "HS256", "kid": eab.key_id, "url": new_account });
        let (protected, payload) = (base64url(header.to_string().as_bytes()), base64url(self.jwk().to_string().as_bytes()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, eab.hmac_key.expose());
        let tag = hmac::sign(&key, format!("{protected}.{payload}").as_bytes());
        json!({ "protected": protected, "payload": payload, "signature": base64url(tag.as_ref()) })
    }

    /// Agrees to take the place of `old` as the key of this account (RFC 8555 section 7.3.5).
    pub(super) fn succeed(&self, old: &Self, account: &str, key_change: &str) -> Result<Value, AccountKeyError> {
        let header = json!({ "alg": "ES256", "jwk": self.jwk(), "url": key_change });
        self.sign_under(&header, Some(&json!({ "account": account, "oldKey": old.jwk() })))
    }

    fn sign(&self, by: Signer<'_>, nonce: &str, url: &str, payload: Option<&Value>) -> Result<Bytes, AccountKeyError> {
        let header = match by {
            Signer::Key => json!({ "alg": "ES256", "jwk": self.jwk(), "nonce": nonce, "url": url }),
            Signer::Account(kid) => json!({ "alg": "ES256", "kid": kid, "nonce": nonce, "url": url }),
        };
        Ok(self.sign_under(&header, payload)?.to_string().into())
    }

    fn sign_under(&self, header: &Value, payload: Option<&Value>) -> Result<Value, AccountKeyError> {
        let protected = base64url(header.to_string().as_bytes());
        let payload = payload.map(|payload| base64url(payload.to_string().as_bytes())).unwrap_or_default();
        let signed = self.pair.sign(&SystemRandom::new(), format!("{protected}.{payload}").as_bytes());
        let signature = base64url(signed.map_err(|_| AccountKeyError::Sign)?.as_ref());
        Ok(json!({ "protected": protected, "payload": payload, "signature": signature }))
    }
}

/// A signed request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignedError {
    #[error(transparent)]
    Http(#[from] HttpFailure),
    #[error(transparent)]
    Key(#[from] AccountKeyError),
}

/// Posts a signed payload, or without one asks for a resource (POST-as-GET, RFC 8555 section 6.3). A refused nonce is
/// replaced and the request signed again.
pub(super) async fn post(
    http: &AcmeHttp,
    key: &AccountKey,
    by: Signer<'_>,
    url: &str,
    payload: Option<&Value>,
) -> Result<Answer, SignedError> {
    let new_nonce = &http.directory().await?.new_nonce;
    let json = [(CONTENT_TYPE, HeaderValue::from_static("application/jose+json"))];
    let mut nonce = None;
    let mut refused = 0;
    loop {
        let fresh = match nonce.take() {
            Some(nonce) => nonce,
            None => nonce_of(&http.ask(Method::HEAD, new_nonce, Bytes::new(), &[]).await?)?,
        };
        let body = key.sign(by, &fresh, url, payload)?;
        let answer = http.ask_whatever(Method::POST, url, body, &json).await?;
        if !answer.is_bad_nonce() || refused == MAX_NONCES {
            return Ok(answer.checked(http.pauses())?);
        }
        refused += 1;
        nonce = nonce_of(&answer).ok();
    }
}

fn nonce_of(answer: &Answer) -> Result<String, HttpFailure> {
    let nonce = answer.headers().get(REPLAY_NONCE).and_then(|value| value.to_str().ok());
    nonce.map(str::to_owned).ok_or_else(|| answer.garbage())
}

/// RFC 4648 section 5, without padding.
pub(super) fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let sextets = [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(word >> shift) as usize & 63]));
        text.extend(&sextets[..=chunk.len()]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_that_of_rfc_4648_without_padding() {
        for (plain, coded) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE")] {
            assert_eq!(base64url(plain.as_bytes()), coded);
        }
        assert_eq!(base64url(&[0xfb, 0xff, 0xfe]), "-__-");
    }

    #[test]
    fn a_key_reads_back_and_a_damaged_one_is_refused() {
        let (key, pem) = AccountKey::generate().unwrap();
        assert_eq!(AccountKey::from_pem(&pem).unwrap().jwk(), key.jwk());
        for text in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert_eq!(AccountKey::from_pem(&Secret::new(text.into())).err(), Some(AccountKeyError::Read));
        }
    }
}
