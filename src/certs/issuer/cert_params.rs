//! What a certificate of our own making says, whoever signs it.

use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use time::OffsetDateTime;

use super::local_ca::LocalCaError;
use crate::base::name::Identifier;
use crate::base::time::{Timestamp, Validity};

/// How long before its making a certificate begins: clocks of machines beside this one may be a little slow.
pub(super) const BACKDATED: Duration = Duration::from_secs(300);

/// A subject, if there is one, and a life. rcgen's own default lives from 1975 to 4096, which clients refuse.
pub(super) fn of(name: &str, validity: Validity) -> CertificateParams {
    let moment = |at: Timestamp| OffsetDateTime::from_unix_timestamp(at.unix()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut params = CertificateParams::default();
    params.not_before = moment(validity.not_before);
    params.not_after = moment(validity.not_after);
    params.distinguished_name = DistinguishedName::new();
    if !name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params
}

/// The certificate of a server with these names (RFC 5280, 4.2.1.6), which may sign for nobody else.
pub(super) fn server(title: &str, names: &[Identifier], validity: Validity) -> Result<CertificateParams, LocalCaError> {
    let mut params = of(title, validity);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in names {
        params.subject_alt_names.push(match name {
            Identifier::Ip(ip) => SanType::IpAddress(*ip),
            name => {
                let text = name.to_string();
                SanType::DnsName(text.as_str().try_into().map_err(|_| LocalCaError::Name(text))?)
            }
        });
    }
    Ok(params)
}
