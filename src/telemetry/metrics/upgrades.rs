//! Upgrades that did not become a tunnel, by why.

use super::Counter;

/// The reasons, by the codes that stand in the log. These names stay; there may be more of them later.
pub const REASONS: [&str; 64] = [
    "auth-busy",
    "auth-service-failed",
    "auth-service-refused",
    "backend-bad-accept",
    "backend-bad-answer",
    "backend-no-websocket",
    "backend-not-upgraded",
    "backend-refused-upgrade",
    "backend-reset",
    "backend-timeout",
    "backend-wrong-upgrade",
    "bad-authorization-count",
    "bad-body",
    "bad-character",
    "bad-field",
    "bad-framing",
    "bad-host",
    "bad-host-count",
    "bad-length",
    "bad-origin",
    "bad-path",
    "bad-request-line",
    "bad-target",
    "bad-version",
    "bad-websocket-key",
    "banned",
    "body-too-large",
    "certificate-pending",
    "circuit-open",
    "client-left",
    "client-stalled",
    "connect-certificate",
    "connect-http2",
    "connect-name",
    "connect-refused",
    "connect-timeout",
    "connect-tls",
    "connect-unreachable",
    "denied-address",
    "file-timeout",
    "file-unreadable",
    "header-too-long",
    "host-mismatch",
    "maintenance",
    "method-not-allowed",
    "no-backend",
    "no-client-certificate",
    "no-origin",
    "no-such-path",
    "not-allowed-address",
    "other-server-name",
    "password-missing",
    "password-wrong",
    "token-expired",
    "token-missing",
    "token-wrong",
    "too-many-connections",
    "too-many-headers",
    "too-many-requests",
    "unknown-expectation",
    "unknown-host",
    "unknown-protocol",
    "upgrade-without-tls",
    "url-too-long",
];

/// A counter for each reason, and one for what has none here.
#[derive(Debug)]
pub struct UpgradeFailures {
    counters: [Counter; REASONS.len()],
    other: Counter,
}

impl Default for UpgradeFailures {
    fn default() -> Self {
        Self { counters: std::array::from_fn(|_| Counter::default()), other: Counter::default() }
    }
}

impl UpgradeFailures {
    /// One more.
    pub fn add(&self, reason: &str) {
        match REASONS.binary_search(&reason) {
            Ok(at) => self.counters[at].add_one(),
            Err(_) => self.other.add_one(),
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.read().map(|(_, count)| count).sum()
    }

    /// Reasons that were met, with how often.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let named = REASONS.into_iter().zip(self.counters.iter().map(Counter::read));
        named.chain([("other", self.other.read())]).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_by_its_name() {
        assert!(REASONS.is_sorted());
        let failures = UpgradeFailures::default();
        failures.add("bad-origin");
        failures.add("backend-timeout");
        failures.add("bad-origin");
        failures.add("never heard of");
        assert_eq!(failures.read().collect::<Vec<_>>(), [("backend-timeout", 1), ("bad-origin", 2), ("other", 1)]);
        assert_eq!(failures.total(), 4);
    }
}
