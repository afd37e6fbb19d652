//! Clients that end the handshake because they do not trust our certificate's issuer: logged once for each name and issuer,
//! not for each client.

use std::net::IpAddr;

use rustls::AlertDescription;

use super::listener_config::ListenerConfig;
use super::tls::RejectedHello;
use crate::base::time::{Clock, SystemClock};
use crate::certs::catalog::Lookup;
use crate::certs::issued_by::{self, IssuedBy};
use crate::telemetry::log::events;
use crate::telemetry::remarks::Remarks;

/// Whether that is why a handshake failed, and the certificate is not one that browsers trust. It is remarked then.
pub(super) fn remark(front: &ListenerConfig, refused: &RejectedHello, client: IpAddr, remarks: &Remarks) -> bool {
    let Some(alert) = refused.why.alert().and_then(alert) else { return false };
    let Lookup::Found(key) = front.tls.lookup(refused.server_name.as_deref()) else { return false };
    let Some(issuer) = IssuedBy::of(&key.cert).filter(|issuer| !issuer.is_public) else { return false };
    let name = refused.server_name.as_deref().unwrap_or("(no name)").escape_default().to_string();
    let text = || issued_by::not_trusted(&name, client, alert, &issuer.name, front.meant.find(&name));
    let key = format!("{name} {}", issuer.name);
    if let Some(text) = remarks.first(events::CERTIFICATE_NOT_TRUSTED, (&name, &key), SystemClock.now(), text) {
        tracing::warn!(event = events::CERTIFICATE_NOT_TRUSTED, name, issuer = issuer.name, peer = %client, "{text}");
    }
    true
}

/// What clients say of an issuer that they do not know: most `unknown_ca`, Chrome `certificate_unknown`, Firefox
/// `bad_certificate` (RFC 8446 section 6.2).
const fn alert(alert: AlertDescription) -> Option<&'static str> {
    match alert {
        AlertDescription::UnknownCA => Some("unknown CA"),
        AlertDescription::CertificateUnknown => Some("certificate unknown"),
        AlertDescription::BadCertificate => Some("bad certificate"),
        _ => None,
    }
}
