//! Why a handshake came to nothing: in words for the log, as a code for counters.

use std::io;

use rustls::AlertDescription;

use crate::telemetry::metrics::handshakes::Fault;

/// Why a handshake came to nothing. All of it is the client's doing or the configuration's, none of it ours.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Longer than `timeouts { handshake }`.
    #[error("the handshake took too long")]
    TooSlow,
    /// No site has that name.
    #[error("no site is configured for this name")]
    UnknownName,
    /// The name is ours, its certificate is on its way.
    #[error("its certificate is still being obtained ({0})")]
    Coming(String),
    /// The name may be asked for, and is not obtained.
    #[error("it is not obtained on demand: {0}")]
    NotGranted(String),
    /// What TLS or the socket said, and what that means.
    #[error("{}", words(*.0, .1))]
    Tls(Fault, #[source] io::Error),
}

/// A failed handshake with the name that was asked for, where it came that far.
#[derive(Debug)]
pub struct RejectedHello {
    /// The client's SNI (RFC 6066 section 3), as far as it was sent.
    pub server_name: Option<String>,
    /// Why.
    pub why: HandshakeError,
}

impl RejectedHello {
    /// Why, and what to do where that can be known.
    pub fn in_words(&self) -> String {
        match (&self.why, &self.server_name) {
            (HandshakeError::UnknownName, None) => "the client named no host (no SNI), as clients of an IP address do, and there \
                 is no certificate for them; ask for a site by its name, or write `default-certificate`, or a site with the address"
                .to_owned(),
            (why @ HandshakeError::UnknownName, Some(_)) => {
                format!("{why}; add a site with it, or correct its DNS record if it is not to lead here")
            }
            (why, _) => why.to_string(),
        }
    }
}

impl HandshakeError {
    /// What a handshake over TCP failed with.
    pub fn of_tls(error: io::Error) -> Self {
        Self::Tls(fault(&error), error)
    }

    /// The alert by which the client ended it, if it did.
    pub fn alert(&self) -> Option<AlertDescription> {
        let Self::Tls(_, error) = self else { return None };
        match error.get_ref()?.downcast_ref::<rustls::Error>()? {
            rustls::Error::AlertReceived(alert) => Some(*alert),
            _ => None,
        }
    }

    /// Its code.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::TooSlow => Fault::TooSlow,
            Self::UnknownName => Fault::UnknownName,
            Self::Coming(_) => Fault::NoCertificate,
            Self::NotGranted(_) => Fault::NotOnDemand,
            Self::Tls(fault, _) => *fault,
        }
    }
}

fn fault(error: &io::Error) -> Fault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::NoCertificatesPresented) => Fault::NoClientCertificate,
        Some(rustls::Error::InvalidCertificate(_)) => Fault::BadClientCertificate,
        Some(rustls::Error::PeerIncompatible(_)) => Fault::NothingInCommon,
        Some(rustls::Error::AlertReceived(_)) => Fault::RefusedByClient,
        Some(rustls::Error::InvalidMessage(_)) => Fault::NotTls,
        Some(_) => Fault::Other,
        None => match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Fault::ClientLeft,
            _ => Fault::Other,
        },
    }
}

fn words(fault: Fault, error: &io::Error) -> String {
    match fault {
        Fault::NoClientCertificate => "the site demands a client certificate, and none was shown".to_owned(),
        Fault::BadClientCertificate => {
            format!("the client's certificate is not one that `client-certificates` accepts: {error}")
        }
        Fault::NotTls => format!("what came is no TLS: {error}"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_without_a_name_is_distinguished_from_one_with_an_unknown_one() {
        let words = |name: Option<&str>| {
            RejectedHello { server_name: name.map(str::to_owned), why: HandshakeError::UnknownName }.in_words()
        };
        let nameless = words(None);
        assert!(
            nameless.starts_with("the client named no host (no SNI)") && nameless.contains("`default-certificate`"),
            "{nameless}"
        );
        assert!(words(Some("a.test")).starts_with("no site is configured for this name; add a site with it"));
        let slow = RejectedHello { server_name: None, why: HandshakeError::TooSlow };
        assert_eq!(slow.in_words(), "the handshake took too long");
    }

    #[test]
    fn each_failure_of_tls_has_its_reason() {
        let check = |error: rustls::Error, expected| assert_eq!(fault(&io::Error::other(error)), expected);
        check(rustls::Error::NoCertificatesPresented, Fault::NoClientCertificate);
        check(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer), Fault::BadClientCertificate);
        check(rustls::Error::PeerIncompatible(rustls::PeerIncompatible::NoCipherSuitesInCommon), Fault::NothingInCommon);
        check(rustls::Error::AlertReceived(AlertDescription::UnknownCA), Fault::RefusedByClient);
        check(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType), Fault::NotTls);
        assert_eq!(fault(&io::ErrorKind::UnexpectedEof.into()), Fault::ClientLeft);
        let shown = HandshakeError::of_tls(io::Error::other(rustls::Error::NoCertificatesPresented)).to_string();
        assert_eq!(shown, "the site demands a client certificate, and none was shown");
    }
}
