//! Account keys as other clients write them, made into PKCS#8. Only ECDSA on P-256 can be taken over.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

use crate::base::secret::Secret;

/// A key of another kind. The account stays where it is; the next order makes another.
const OTHER_KIND: &str = "its key is not ECDSA P-256, the one kind doorward signs with, so an account of our own takes its place";

/// From PEM of any form (PKCS#8, SEC 1).
pub(super) fn of_pem(pem: &str) -> Result<Secret<String>, String> {
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| "its key cannot be read".to_owned())?;
    let pair = match &der {
        PrivateKeyDer::Sec1(der) => EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_sec1_der()),
        PrivateKeyDer::Pkcs8(der) => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der()),
        _ => return Err(OTHER_KIND.to_owned()),
    };
    pair.map_err(|_| OTHER_KIND.to_owned()).and_then(|pair| pem_of(&pair))
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
    #[serde(default)]
    d: String,
}

/// From a JSON web key (RFC 7517), as certbot keeps it.
pub(super) fn of_jwk(json: &str) -> Result<Secret<String>, String> {
    let jwk: Jwk = serde_json::from_str(json).map_err(|_| "its key cannot be read".to_owned())?;
    if (jwk.kty.as_str(), jwk.crv.as_str()) != ("EC", "P-256") {
        return Err(OTHER_KIND.to_owned());
    }
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| "its key is damaged".to_owned());
    let public = [vec![4], part(&jwk.x)?, part(&jwk.y)?].concat();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &part(&jwk.d)?, &public);
    pair.map_err(|_| "its key is damaged".to_owned()).and_then(|pair| pem_of(&pair))
}

fn pem_of(pair: &EcdsaKeyPair) -> Result<Secret<String>, String> {
    let pkcs8 = pair.to_pkcs8v1().map_err(|_| "its key cannot be written anew".to_owned())?;
    let key = rcgen::KeyPair::try_from(pkcs8.as_ref()).map_err(|_| "its key cannot be written anew".to_owned())?;
    Ok(Secret::new(key.serialize_pem()))
}
