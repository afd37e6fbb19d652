//! What is counted about TLS with clients, over TCP and QUIC alike.

use super::Counter;

/// Handshakes that came to something, by version, and those that did not, by reason.
#[derive(Debug, Default)]
pub struct HandshakeMetrics {
    /// Done in TLS 1.2.
    pub tls12: Counter,
    /// Done in TLS 1.3.
    pub tls13: Counter,
    /// Those among them that took up an earlier session.
    pub resumed: Counter,
    failed: [Counter; Fault::ALL.len()],
}

/// Why a handshake came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No site has the name.
    UnknownName,
    /// The name's certificate is still being obtained.
    NoCertificate,
    /// The name may be asked for, and is not obtained.
    NotOnDemand,
    /// It took too long.
    TooSlow,
    /// The client left in the middle.
    ClientLeft,
    /// What came was no TLS.
    NotTls,
    /// Client and site have no version, cipher or curve in common.
    NothingInCommon,
    /// The client did not accept what it was shown.
    RefusedByClient,
    /// The site asks for a client certificate, and none was shown.
    NoClientCertificate,
    /// The client's certificate is not one that the site accepts.
    BadClientCertificate,
    /// Anything else.
    Other,
}

impl Fault {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 11] = [
        Self::UnknownName,
        Self::NoCertificate,
        Self::NotOnDemand,
        Self::TooSlow,
        Self::ClientLeft,
        Self::NotTls,
        Self::NothingInCommon,
        Self::RefusedByClient,
        Self::NoClientCertificate,
        Self::BadClientCertificate,
        Self::Other,
    ];

    /// A stable code for logs and counters.
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownName => "unknown-name",
            Self::NoCertificate => "no-certificate-yet",
            Self::NotOnDemand => "not-on-demand",
            Self::TooSlow => "too-slow",
            Self::ClientLeft => "client-left",
            Self::NotTls => "not-tls",
            Self::NothingInCommon => "nothing-in-common",
            Self::RefusedByClient => "refused-by-client",
            Self::NoClientCertificate => "no-client-certificate",
            Self::BadClientCertificate => "bad-client-certificate",
            Self::Other => "other",
        }
    }
}

impl HandshakeMetrics {
    /// One more that came to nothing.
    pub fn failed(&self, fault: Fault) {
        self.failed[fault as usize].add_one();
    }

    /// How many came to nothing, by reason.
    pub fn failures(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL.into_iter().zip(self.failed.iter().map(Counter::read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_counter_and_a_code_of_its_own() {
        let metrics = HandshakeMetrics::default();
        for (n, fault) in Fault::ALL.into_iter().enumerate() {
            (0..=n).for_each(|_| metrics.failed(fault));
        }
        let counts: Vec<u64> = metrics.failures().map(|(_, count)| count).collect();
        assert_eq!(counts, (1..=11).collect::<Vec<u64>>());
        let codes: std::collections::BTreeSet<&str> = Fault::ALL.into_iter().map(Fault::code).collect();
        assert_eq!(codes.len(), Fault::ALL.len());
    }
}
