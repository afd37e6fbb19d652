//! Why an authority's own TLS certificate is not accepted, in words: each error of TLS has one meaning. Pure.

use crate::base::time::Timestamp;

/// What TLS said of the authority's certificate, and what to do: each error has one meaning.
pub fn untrusted(error: &std::io::Error) -> (String, &'static str) {
    use rustls::CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext, UnknownIssuer,
    };
    const CLOCK: &str = "set the clock: timedatectl set-ntp true";
    let moment =
        |at: rustls::pki_types::UnixTime| Timestamp::from_unix(i64::try_from(at.as_secs()).unwrap_or(i64::MAX)).to_string();
    let day = |at| moment(at).split('T').next().unwrap_or_default().to_owned();
    let error = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(why)) = error else {
        return ("the TLS handshake fails".into(), "let this machine out to the authority by TLS, past any box that opens it");
    };
    match why {
        NotValidYetContext { time, not_before } => {
            (format!("this machine says {}, the authority's certificate begins {}", day(*time), day(*not_before)), CLOCK)
        }
        NotValidYet => ("the authority's certificate is not valid yet by this machine's clock".into(), CLOCK),
        ExpiredContext { time, not_after } => (
            format!("this machine says {}, the authority's certificate ended {}", day(*time), day(*not_after)),
            "set the clock if that is wrong: timedatectl set-ntp true; else the authority has to renew its certificate",
        ),
        Expired => (
            "the authority's certificate has expired by this machine's clock".into(),
            "set the clock if that is wrong: timedatectl set-ntp true; else the authority has to renew its certificate",
        ),
        UnknownIssuer => (
            "this machine does not know the issuer of the authority's certificate".into(),
            "name the authority's root by `ca-file`, or take the box out of the way that opens TLS on the way there",
        ),
        NotValidForName | NotValidForNameContext { .. } => {
            ("the certificate that is shown is for another name".into(), "correct `directory`, or the DNS of its host")
        }
        _ => ("the authority's certificate is not accepted".into(), "name the authority's root by `ca-file`"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::CertificateError;
    use rustls::pki_types::UnixTime;

    use super::*;

    fn check(why: CertificateError, seen: &str, remedy: &str) {
        let said = untrusted(&io::Error::other(rustls::Error::InvalidCertificate(why)));
        assert!(said.0.contains(seen) && said.1.contains(remedy), "{said:?}");
    }

    #[test]
    fn a_clock_that_is_behind_an_unknown_issuer_and_another_name_are_not_guessed_thrice() {
        let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        check(
            CertificateError::NotValidYetContext { time: at(1_767_225_600), not_before: at(1_795_046_400) },
            "this machine says 2026-01-01, the authority's certificate begins 2026-11-19",
            "set the clock: timedatectl set-ntp true",
        );
        check(CertificateError::UnknownIssuer, "does not know the issuer", "`ca-file`");
        check(CertificateError::NotValidForName, "for another name", "`directory`");
    }
}
