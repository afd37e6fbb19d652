//! Host names in one normal form: ASCII, lower case, no trailing dot. It does not resolve them and does not ask
//! whether they are registered.

use std::borrow::Borrow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// A DNS host name (RFC 1123 section 2.1) in normal form. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(Arc<str>);

/// Why a text is not a host name; the variant says what was wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostNameError {
    /// Nothing, or only a dot.
    #[error("a host name cannot be empty")]
    Empty,
    /// RFC 1035 section 2.3.4: 253 characters without the final dot.
    #[error("a host name has at most 253 characters, this one has {0}")]
    TooLong(usize),
    /// An empty label, one over 63 characters, or one that begins or ends with a hyphen.
    #[error("the part `{0}` of a host name needs 1 to 63 characters and no hyphen at either end")]
    BadLabel(String),
    /// Not a letter, digit, hyphen or (tolerated, never first in registered names) underscore.
    #[error("`{0}` cannot stand in a host name; a name in another script is written in its xn-- form")]
    BadCharacter(char),
    /// All digits at the end: that is an address, or a mistyped one (WHATWG URL, "ends in a number").
    #[error("a host name cannot end in a number; an IPv4 address has four parts of 0 to 255")]
    EndsInNumber,
}

impl HostName {
    /// Reads and normalises a name. One trailing dot is accepted and dropped.
    pub fn parse(text: &str) -> Result<Self, HostNameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(HostNameError::Empty);
        }
        if text.len() > 253 {
            return Err(HostNameError::TooLong(text.len()));
        }
        if let Some(bad) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
            return Err(HostNameError::BadCharacter(bad));
        }
        for label in text.split('.') {
            if label.is_empty() || label.len() > 63 || label.starts_with('-') || label.ends_with('-') {
                return Err(HostNameError::BadLabel(label.to_owned()));
            }
        }
        let last = text.rsplit('.').next().unwrap_or(text);
        if last.bytes().all(|b| b.is_ascii_digit()) {
            return Err(HostNameError::EndsInNumber);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The name in normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its first label; `None` for a single label.
    pub fn parent(&self) -> Option<&str> {
        self.0.split_once('.').map(|(_, rest)| rest)
    }

    /// Whether no public authority may issue for it (RFC 6761, RFC 6762, RFC 8375, and `.internal` as ICANN
    /// reserved it in 2024): `localhost` and everything below it, `.local`, `.internal`, `.home.arpa`, and single labels.
    pub fn is_local(&self) -> bool {
        const ENDS: [&str; 5] = ["localhost", "local", "internal", "home.arpa", "localdomain"];
        !self.0.contains('.')
            || ENDS.iter().any(|end| self.0.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
    }
}

/// Lets maps of names be asked with text in normal form.
impl Borrow<str> for HostName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a site answers for: one name, every name one label below another, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// Exactly this name.
    Exact(HostName),
    /// `*.parent`: one label more than the parent (RFC 9525 section 6.3), never the parent itself.
    Wildcard(HostName),
    /// An IP literal in the request's authority.
    Ip(IpAddr),
    /// `*`: every name that nobody else answers for. It is never read from a request.
    Any,
}

impl HostPattern {
    /// Reads `name`, `*.name`, `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`.
    pub fn parse(text: &str) -> Result<Self, HostNameError> {
        if let Some(ip) = parse_ip(text) {
            return Ok(Self::Ip(ip));
        }
        match text.strip_prefix("*.") {
            Some(parent) => Ok(Self::Wildcard(HostName::parse(parent)?)),
            None => Ok(Self::Exact(HostName::parse(text)?)),
        }
    }

    /// What a certificate for this pattern must carry; `None` where each name has its own.
    pub fn identifier(&self) -> Option<Identifier> {
        match self {
            Self::Exact(name) => Some(Identifier::Dns(name.clone())),
            Self::Wildcard(parent) => Some(Identifier::Wildcard(parent.clone())),
            Self::Ip(ip) => Some(Identifier::Ip(*ip)),
            Self::Any => None,
        }
    }

    /// Whether only the local authority can vouch for it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Exact(name) | Self::Wildcard(name) => name.is_local(),
            Self::Ip(ip) => !is_public(*ip),
            Self::Any => false,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => write!(f, "{name}"),
            Self::Wildcard(parent) => write!(f, "*.{parent}"),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// One entry of a certificate's subject alternative names (RFC 5280 section 4.2.1.6), as ACME orders it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identifier {
    /// A DNS name.
    Dns(HostName),
    /// `*.name`; the name here is the part behind `*.`.
    Wildcard(HostName),
    /// An IP address (RFC 8738).
    Ip(IpAddr),
}

impl Identifier {
    /// Reads what `Display` prints.
    pub fn parse(text: &str) -> Result<Self, HostNameError> {
        HostPattern::parse(text).map(|pattern| pattern.identifier().expect("what is read is one name or address"))
    }

    /// Whether only the local authority can vouch for it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Dns(name) | Self::Wildcard(name) => name.is_local(),
            Self::Ip(ip) => !is_public(*ip),
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "{name}"),
            Self::Wildcard(parent) => write!(f, "*.{parent}"),
            Self::Ip(ip) => write!(f, "{ip}"),
        }
    }
}

/// An address with or without the brackets of a URL's IPv6 literal.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

/// Whether a public authority could reach the address; conservative where registries disagree.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast() || shared)
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public(IpAddr::V4(v4)),
            None => !(v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, HostNameError>) {
        assert_eq!(HostPattern::parse(text).map(|p| p.to_string()), expected.map(str::to_owned), "for {text:?}");
    }

    #[test]
    fn names_have_one_normal_form() {
        check("Example.COM.", Ok("example.com"));
        check("*.Example.com", Ok("*.example.com"));
        check("[2001:DB8::1]", Ok("[2001:db8::1]"));
        check("192.0.2.7", Ok("192.0.2.7"));
        check("my_app.internal", Ok("my_app.internal"));
    }

    #[test]
    fn what_is_not_a_name_is_refused_with_its_reason() {
        check("", Err(HostNameError::Empty));
        check("a..b", Err(HostNameError::BadLabel(String::new())));
        check("-a.b", Err(HostNameError::BadLabel("-a".into())));
        check("bücher.example", Err(HostNameError::BadCharacter('ü')));
        check("1.2.3.400", Err(HostNameError::EndsInNumber));
        check(&"a".repeat(254), Err(HostNameError::TooLong(254)));
        check("*.*.example.com", Err(HostNameError::BadCharacter('*')));
    }

    #[test]
    fn local_names_are_those_no_public_authority_may_vouch_for() {
        for (name, local) in [
            ("localhost", true),
            ("app.localhost", true),
            ("nas.local", true),
            ("db.internal", true),
            ("box.home.arpa", true),
            ("intranet", true),
            ("notlocal.example", false),
            ("mylocalhost.com", false),
            ("10.1.2.3", true),
            ("100.64.0.1", true),
            ("8.8.8.8", false),
            ("::1", true),
            ("fd00::1", true),
            ("2606:4700::1", false),
        ] {
            assert_eq!(HostPattern::parse(name).unwrap().is_local(), local, "for {name}");
        }
    }
}
