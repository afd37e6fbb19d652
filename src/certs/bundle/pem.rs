//! Certificates as PEM text (RFC 7468), for chains that are not kept as they came.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;

/// Characters in a line (RFC 7468 section 2).
const LINE: usize = 64;

/// One block for each certificate.
pub(super) fn chain(chain: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for der in chain {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(der.as_ref());
        for line in encoded.as_bytes().chunks(LINE) {
            text.push_str(std::str::from_utf8(line).unwrap_or_default());
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let certificates: Vec<_> = [1, 48, 49, 300].map(|length| CertificateDer::from(vec![7; length])).to_vec();
        let text = chain(&certificates);
        assert!(text.lines().all(|line| line.len() <= LINE));
        let read: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(read, certificates);
    }
}
