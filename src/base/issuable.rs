//! Names for which no public authority may issue, whatever is proved: public suffixes (CA/Browser Forum Baseline
//! Requirements 3.2.2.6, and what authorities refuse alone as well), and names with an underscore, which is no character of a
//! host name (RFC 5280 section 4.2.1.6, Baseline Requirements 7.1.2.7.12).

use std::fmt;

use super::name::Identifier;

/// Why no authority issues for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NeverIssued {
    /// Names below it are registered by different people.
    PublicSuffix {
        /// The suffix, as in `com.au`.
        suffix: String,
    },
    /// It holds an underscore.
    Underscore {
        /// The whole name.
        name: String,
        /// One like it that may be issued for.
        instead: String,
    },
}

impl NeverIssued {
    /// What stands in the way of a certificate for `name`; `None` where nothing in the name itself does.
    pub fn of(name: &Identifier) -> Option<Self> {
        let (text, host) = match name {
            Identifier::Dns(host) => (host.to_string(), host),
            Identifier::Wildcard(host) => (name.to_string(), host),
            Identifier::Ip(_) => return None,
        };
        if text.contains('_') {
            let labels = text.split('.').map(|label| label.replace('_', "-").trim_matches('-').to_owned());
            let instead = labels.filter(|label| !label.is_empty()).collect::<Vec<_>>().join(".");
            return Some(Self::Underscore { name: text, instead });
        }
        // The list's private part has names such as github.io, whose owners let others use names below them and may have
        // certificates.
        let suffix =
            psl::suffix(host.as_str().as_bytes()).filter(|suffix| suffix.is_known() && suffix.typ() == Some(psl::Type::Icann));
        let is_one = suffix.is_some_and(|suffix| suffix.as_bytes() == host.as_str().as_bytes());
        is_one.then(|| Self::PublicSuffix { suffix: host.to_string() })
    }

    /// What to do.
    pub fn remedy(&self) -> String {
        match self {
            Self::PublicSuffix { .. } => "use a name below it that you own".to_owned(),
            Self::Underscore { instead, .. } => format!("call it {instead}"),
        }
    }
}

impl fmt::Display for NeverIssued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PublicSuffix { suffix } => write!(f, "{suffix} is a public suffix: no authority issues for it"),
            Self::Underscore { name, .. } => write!(f, "{name}: '_' cannot stand in a certificate's name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_authority_issues_for_says_why_and_what_to_do() {
        let check = |name: &str, expected: Option<&str>| {
            let seen = NeverIssued::of(&Identifier::parse(name).unwrap()).map(|why| format!("{why}; {}", why.remedy()));
            assert_eq!(seen.as_deref(), expected, "for {name}");
        };
        check("com.au", Some("com.au is a public suffix: no authority issues for it; use a name below it that you own"));
        check("*.co.uk", Some("co.uk is a public suffix: no authority issues for it; use a name below it that you own"));
        check(
            "web_1.example.com",
            Some("web_1.example.com: '_' cannot stand in a certificate's name; call it web-1.example.com"),
        );
        check(
            "_dmarc.example.com",
            Some("_dmarc.example.com: '_' cannot stand in a certificate's name; call it dmarc.example.com"),
        );
        check(
            "*.a_b.example.com",
            Some("*.a_b.example.com: '_' cannot stand in a certificate's name; call it *.a-b.example.com"),
        );
        for fine in ["example.com.au", "example.com", "*.example.co.uk", "github.io", "a.unknown-suffix", "192.0.2.1"] {
            check(fine, None);
        }
    }
}
