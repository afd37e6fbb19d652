//! One certificate that vouches for itself, for programs under development. It is no authority: whoever trusts it trusts
//! these names by this key and nothing else, and nobody is made to trust it here.

use std::time::Duration;

use rcgen::KeyPair;

use super::cert_params::{self, BACKDATED};
use super::local_ca::LocalCaError;
use crate::base::name::Identifier;
use crate::base::secret::Secret;
use crate::base::time::{Timestamp, Validity};

/// Makes a certificate for these names with a new P-256 key: its PEM and the key's (PKCS#8).
pub fn make(names: &[Identifier], life: Duration, now: Timestamp) -> Result<(String, Secret<String>), LocalCaError> {
    let key = KeyPair::generate().map_err(LocalCaError::Sign)?;
    let validity = Validity { not_before: now - BACKDATED, not_after: now + life };
    let params = cert_params::server("doorward self-signed", names, validity)?;
    let certificate = params.self_signed(&key).map_err(LocalCaError::Sign)?;
    Ok((certificate.pem(), Secret::new(key.serialize_pem())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::bundle::CertBundle;

    #[test]
    fn it_covers_its_names_as_a_server_and_signs_for_nobody_else() {
        let now = Timestamp::from_unix(1_795_219_200);
        let names = ["localhost", "127.0.0.1", "::1", "box.local"].map(|name| Identifier::parse(name).unwrap());
        let (chain, key) = make(&names, Duration::from_secs(398 * 86_400), now).unwrap();
        let bundle = CertBundle::build(&chain, &key, &names, now).unwrap();
        assert_eq!(bundle.validity().not_after, now + Duration::from_secs(398 * 86_400));
        let (_, pem) = x509_parser::pem::parse_x509_pem(chain.as_bytes()).unwrap();
        assert!(!pem.parse_x509().unwrap().is_ca());
    }
}
