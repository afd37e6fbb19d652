//! The certificate's key and the request for it (CSR, RFC 2986): subject alternative names only, no common name, which
//! authorities no longer want.

use rcgen::{CertificateParams, DistinguishedName, KeyPair, SanType};

use crate::base::name::Identifier;
use crate::base::secret::Secret;
use crate::config::settings::KeyKind;

/// A new private key, PKCS#8 as PEM. RSA takes a good part of a second: for the blocking pool.
pub fn new_key(kind: KeyKind) -> Result<Secret<String>, rcgen::Error> {
    let algorithm = match kind {
        KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyKind::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        KeyKind::Rsa2048 => &rcgen::PKCS_RSA_SHA256,
    };
    KeyPair::generate_for(algorithm).map(|key| Secret::new(key.serialize_pem()))
}

/// The request for these names by this key, in DER.
pub(super) fn request(identifiers: &[Identifier], key_pem: &Secret<String>) -> Result<Vec<u8>, rcgen::Error> {
    let key = KeyPair::from_pem(key_pem.expose())?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for identifier in identifiers {
        params.subject_alt_names.push(match identifier {
            Identifier::Ip(ip) => SanType::IpAddress(*ip),
            name => SanType::DnsName(name.to_string().try_into()?),
        });
    }
    Ok(params.serialize_request(&key)?.der().to_vec())
}

#[cfg(test)]
mod tests {
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::prelude::FromDer;

    use super::*;

    #[test]
    fn a_request_is_signed_by_each_kind_of_key_and_names_no_subject() {
        let names = ["a.example", "*.b.example", "2001:db8::1"].map(|name| Identifier::parse(name).unwrap());
        for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Rsa2048] {
            let der = request(&names, &new_key(kind).unwrap()).unwrap();
            let (_, csr) = X509CertificationRequest::from_der(&der).unwrap();
            csr.verify_signature().unwrap();
            assert_eq!(csr.certification_request_info.subject.iter().count(), 0);
        }
    }
}
