//! Who issued a certificate that we show, and what that means for clients: in the same words in the log, `doctor`, `certs` and
//! `probe`. Pure.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

use crate::base::escape::escaped;
use crate::base::name::{HostPattern, Identifier};
use crate::config::settings::{At, Settings, SiteTls};

/// Characters of an issuer's name that are repeated.
const MAX_NAME: usize = 100;

/// The issuer of a chain's first certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedBy {
    /// Its common name, or its whole name where it has none.
    pub name: String,
    /// Whether the chain leads to a root that browsers have.
    pub is_public: bool,
}

impl IssuedBy {
    /// Of a chain, leaf first; `None` where it cannot be read.
    pub fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let (_, leaf) = X509Certificate::from_der(chain.first()?).ok()?;
        let (_, top) = X509Certificate::from_der(chain.last()?).ok()?;
        // An anchor's subject is what stands inside the sequence.
        let root = top.issuer().as_raw();
        let is_root = |anchor: &rustls::pki_types::TrustAnchor<'_>| {
            root.ends_with(&anchor.subject) && root.len() <= anchor.subject.len() + 4
        };
        Some(Self { name: common_name(leaf.issuer()), is_public: webpki_roots::TLS_SERVER_ROOTS.iter().any(is_root) })
    }

    /// Whether it is a staging authority by its own words, as those of Let's Encrypt are.
    pub fn is_staging(&self) -> bool {
        is_staging(&self.name)
    }
}

/// Whether an issuer of this name is a staging authority.
pub fn is_staging(issuer: &str) -> bool {
    issuer.to_ascii_uppercase().contains("STAGING")
}

fn common_name(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|part| part.as_str().ok());
    escaped(&common.map_or_else(|| name.to_string(), str::to_owned), MAX_NAME)
}

/// What the configuration says of a name's certificate, as far as it may be one that clients do not trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meant {
    /// From a staging directory that stands there; nowhere where the command line asks for it.
    Staging(At),
    /// From files that are named there.
    Files(At),
    /// From the local authority.
    Local,
}

/// The names of a configuration whose certificates may be from such an issuer.
#[derive(Debug)]
pub struct MeantNames(Box<[(HostPattern, Meant)]>);

impl MeantNames {
    /// Of all sites.
    pub fn of(settings: &Settings) -> Self {
        let mut names = Vec::new();
        for site in &settings.sites {
            for host in site.hosts.iter().filter(|host| !host.plain) {
                let meant = match &site.tls {
                    SiteTls::Acme(_) if host.pattern.is_local() => Meant::Local,
                    SiteTls::Acme(acme) if acme.staging => Meant::Staging(acme.at.clone()),
                    SiteTls::Files { at, .. } => Meant::Files(at.clone()),
                    SiteTls::Internal => Meant::Local,
                    SiteTls::Acme(_) | SiteTls::Off => continue,
                };
                names.push((host.pattern.clone(), meant));
            }
        }
        Self(names.into())
    }

    /// What is meant for `name`.
    pub fn find(&self, name: &str) -> Option<&Meant> {
        let name = Identifier::parse(name).ok()?;
        let covers = |pattern: &HostPattern| match (pattern, &name) {
            (HostPattern::Exact(own), Identifier::Dns(name)) => own == name,
            (HostPattern::Wildcard(parent), Identifier::Dns(name)) => name.parent() == Some(parent.as_str()),
            (HostPattern::Wildcard(own), Identifier::Wildcard(parent)) => own == parent,
            (HostPattern::Ip(own), Identifier::Ip(ip)) => own == ip,
            _ => false,
        };
        self.0.iter().find(|(pattern, _)| covers(pattern)).map(|(_, meant)| meant)
    }
}

/// What the issuer is and what to do, where that is not to be expected: the end of the sentences below.
fn whose(issuer: &str, meant: Option<&Meant>) -> String {
    let from = format!("it is from '{issuer}'");
    let staging = is_staging(issuer);
    let remedy = match meant {
        Some(Meant::Staging(at)) if at.0.line == 0 => "; leave --staging out once the set-up works".to_owned(),
        Some(Meant::Staging(at)) => format!("; remove 'staging' ({at}) once the set-up works"),
        Some(Meant::Files(at)) if staging => format!("; put files of a production authority there ({at})"),
        Some(Meant::Local) => ", the local authority; run `doorward trust` on that client's machine".to_owned(),
        Some(Meant::Files(_)) | None => String::new(),
    };
    match staging || matches!(meant, Some(Meant::Staging(_))) {
        true => format!("{from}, a staging authority that no browser trusts{remedy}"),
        false => format!("{from}{remedy}"),
    }
}

/// A client refused our certificate by this alert.
pub fn not_trusted(name: &str, client: IpAddr, alert: &str, issuer: &str, meant: Option<&Meant>) -> String {
    format!("{name}: a client ({client}) does not trust our certificate ({alert}): {}", whose(issuer, meant))
}

/// The same as a property of the certificate, before any client has said so; `None` where browsers trust the issuer, or
/// nobody expects them to.
pub fn staging_note(issuer: &str, meant: Option<&Meant>) -> Option<String> {
    (is_staging(issuer) || matches!(meant, Some(Meant::Staging(_)))).then(|| whose(issuer, meant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Environment;
    use crate::config::resolve::from_text;

    #[test]
    fn a_staging_certificate_says_which_line_to_remove() {
        let text = "acme {\n    staging\n}\nexample.com *.example.com {\n    respond 200\n}\nfiles.test {\n    tls a.pem a.key\n    respond 200\n}\n\
                    localhost {\n    respond 200\n}\n";
        let text = text.replace("*.example.com ", "");
        let settings =
            from_text("doorward.conf", &text, &Environment::default()).unwrap_or_else(|report| panic!("{report}")).settings;
        let names = MeantNames::of(&settings);
        let said =
            |name: &str, issuer: &str| not_trusted(name, "203.0.113.9".parse().unwrap(), "unknown CA", issuer, names.find(name));
        assert_eq!(
            said("example.com", "(STAGING) Pretend Pear X1"),
            "example.com: a client (203.0.113.9) does not trust our certificate (unknown CA): it is from '(STAGING) Pretend Pear \
             X1', a staging authority that no browser trusts; remove 'staging' (doorward.conf:2) once the set-up works"
        );
        assert!(
            said("files.test", "(STAGING) Pretend Pear X1")
                .ends_with("put files of a production authority there (doorward.conf:8)")
        );
        assert_eq!(
            said("files.test", "Our House CA"),
            "files.test: a client (203.0.113.9) does not trust our certificate (unknown CA): it is from 'Our House CA'"
        );
        assert_eq!(names.find("localhost"), Some(&Meant::Local));
        let local = said("localhost", "doorward local intermediate");
        assert!(
            local.ends_with("'doorward local intermediate', the local authority; run `doorward trust` on that client's machine")
        );
        assert_eq!(names.find("other.test"), None);
    }
}
