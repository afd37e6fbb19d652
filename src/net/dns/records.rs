//! Records with more than one value.

/// One CAA record (RFC 8659 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caa {
    /// Whether who does not understand the tag must not issue.
    pub critical: bool,
    /// `issue`, `issuewild`, `iodef`, …, in lower case.
    pub tag: String,
    /// As it was written.
    pub value: String,
}

/// One SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Those with the lowest come first; others are for when none of them is up.
    pub priority: u16,
    /// Its share among its like.
    pub weight: u16,
    /// Its port.
    pub port: u16,
    /// The name that has its addresses.
    pub target: String,
}
