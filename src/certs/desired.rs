//! What must exist: one need for each certificate that the settings ask for. Pure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::name::{HostPattern, Identifier};
use crate::config::settings::{Acme, At, DefaultCertificate, Place, Settings, Site, SiteTls};
use crate::state::pem_store::Slot;
use crate::state::slug::Slug;

/// A certificate that must exist.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredCert {
    /// First authority and names: what failed at one authority says nothing of another.
    pub id: Slot,
    /// What it must cover; nothing in particular for the default of files.
    pub names: Vec<Identifier>,
    /// Where it comes from.
    pub source: Source,
    /// Whether it is shown to clients that no certificate is for.
    pub default: bool,
    /// Whether it is for a name that somebody asked for, and that stands nowhere in the text.
    pub on_demand: bool,
    /// The site that asks for it.
    pub at: Place,
}

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Authorities in the order in which they are tried; never empty.
    Acme(Vec<Authority>),
    /// The local authority.
    Local,
    /// Files that somebody else renews.
    Files {
        /// PEM chain, leaf first.
        chain: PathBuf,
        /// PEM key.
        key: PathBuf,
        /// Where both are named.
        at: At,
    },
}

/// An authority that speaks ACME.
#[derive(Clone, Debug, PartialEq)]
pub struct Authority {
    /// Its folder in the state, and its name everywhere.
    pub issuer: Slug,
    /// How to deal with it.
    pub acme: Arc<Acme>,
}

impl Authority {
    /// Named by its directory.
    pub fn new(acme: Arc<Acme>) -> Self {
        Self { issuer: Slug::of_url(&acme.directory), acme }
    }

    /// The authority where failed orders are rehearsed, with an account of its own. Nobody trusts its certificates: they are
    /// neither served nor stored.
    pub fn rehearsal(&self) -> Option<Self> {
        let directory = self.acme.rehearsal.clone()?;
        let first = (*self.acme).clone();
        Some(Self::new(Arc::new(Acme {
            directory,
            staging: true,
            eab: None,
            preferred_root: None,
            rehearsal: None,
            fallback: Vec::new(),
            ..first
        })))
    }
}

impl DesiredCert {
    /// The authorities, with the slots their certificates are stored in; nothing for files.
    pub fn slots(&self) -> Vec<Slot> {
        let slot = |issuer| Slot { issuer, name: self.id.name.clone() };
        match &self.source {
            Source::Acme(authorities) => authorities.iter().map(|authority| slot(authority.issuer.clone())).collect(),
            Source::Local => vec![self.id.clone()],
            Source::Files { .. } => Vec::new(),
        }
    }

    /// For people: the first name, and how many more.
    pub fn title(&self) -> String {
        match &self.names[..] {
            [one] => one.to_string(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
            [] => "the default certificate".to_owned(),
        }
    }
}

/// Folder name of the local authority.
pub fn local_issuer() -> Slug {
    Slug::parse("local").expect("a plain word is a slug")
}

/// One need for each host that is served by TLS, or for each site whose hosts share a certificate. Where a certificate comes
/// from is the settings' affair: names that no public authority may vouch for are the local authority's there, unless `tls
/// acme` stands on their site. The same names asked for twice are one need.
pub fn needs(settings: &Settings) -> Vec<DesiredCert> {
    let mut needs = Vec::new();
    let mut seen = BTreeSet::new();
    for site in &settings.sites {
        for group in groups(site) {
            if let Some(need) = need(site, group).filter(|need| seen.insert(need.id.clone())) {
                needs.push(need);
            }
        }
    }
    match &settings.tls.default_certificate {
        Some(DefaultCertificate::Host(host)) => {
            if let Some(need) = needs.iter_mut().find(|need| need.names.contains(host)) {
                need.default = true;
            }
        }
        Some(DefaultCertificate::Files { chain, key, at }) => needs.push(of_files(chain, key, at)),
        None => (),
    }
    needs
}

/// The default, which is for no name in particular.
fn of_files(chain: &Path, key: &Path, at: &At) -> DesiredCert {
    let id = Slot { issuer: Slug::of_url(&chain.to_string_lossy()), name: Slug::of_names(&[]) };
    let source = Source::Files { chain: chain.to_owned(), key: key.to_owned(), at: at.clone() };
    DesiredCert { id, names: Vec::new(), source, default: true, on_demand: false, at: Place::default() }
}

/// The hosts of a site by the certificate they get.
fn groups(site: &Site) -> Vec<Vec<&HostPattern>> {
    let hosts = site.hosts.iter().filter(|host| !host.plain).map(|host| &host.pattern);
    let hosts: Vec<&HostPattern> = hosts.filter(|pattern| !is_on_demand(site, pattern)).collect();
    let together = site.shared_certificate || matches!(site.tls, SiteTls::Files { .. });
    if !together {
        return hosts.into_iter().map(|host| vec![host]).collect();
    }
    if hosts.is_empty() { Vec::new() } else { vec![hosts] }
}

fn is_on_demand(site: &Site, pattern: &HostPattern) -> bool {
    matches!(&site.tls, SiteTls::Acme(acme) if acme.is_on_demand(pattern))
}

fn need(site: &Site, hosts: Vec<&HostPattern>) -> Option<DesiredCert> {
    let mut names: Vec<Identifier> = hosts.into_iter().filter_map(HostPattern::identifier).collect();
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let (issuer, source) = match &site.tls {
        SiteTls::Off => return None,
        SiteTls::Internal => (local_issuer(), Source::Local),
        SiteTls::Acme(acme) => (Slug::of_url(&acme.directory), Source::Acme(authorities(acme))),
        SiteTls::Files { chain, key, at } => {
            let which = Slug::of_url(&chain.to_string_lossy());
            (which, Source::Files { chain: chain.clone(), key: key.clone(), at: at.clone() })
        }
    };
    let id = Slot { issuer, name: Slug::of_names(&names) };
    (!names.is_empty()).then(|| DesiredCert { id, names, source, default: false, on_demand: false, at: site.at.clone() })
}

/// The authority and those behind it, each once; a fallback's own fallbacks come after it.
pub(super) fn authorities(first: &Arc<Acme>) -> Vec<Authority> {
    let mut all: Vec<Authority> = Vec::new();
    let mut waiting = vec![Arc::clone(first)];
    while let Some(next) = waiting.pop() {
        waiting.extend(next.fallback.iter().rev().map(Arc::clone));
        if all.iter().all(|held| held.acme.directory != next.directory) {
            all.push(Authority::new(next));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::fixtures::{acme, settings, site};

    fn check(sites: Vec<Site>, expected: &[&str]) {
        let needs = needs(&settings(sites));
        let shown: Vec<String> = needs.iter().map(|need| format!("{}: {}", need.id.issuer, need.title())).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn each_host_gets_a_certificate_of_its_own() {
        let ca = SiteTls::Acme(acme("https://ca.example/dir"));
        check(vec![site(&["a.example", "b.example"], &ca)], &["ca.example-dir: a.example", "ca.example-dir: b.example"]);
        check(vec![site(&["a.example"], &ca), site(&["a.example"], &ca)], &["ca.example-dir: a.example"]);
        check(vec![site(&["a.example"], &SiteTls::Off)], &[]);
    }

    #[test]
    fn the_authority_that_a_site_names_is_asked_for_private_names_and_addresses_too() {
        let ca = SiteTls::Acme(acme("https://ca.example/dir"));
        check(
            vec![site(&["nas.local", "a.example", "10.0.0.1"], &ca)],
            &["ca.example-dir: nas.local", "ca.example-dir: a.example", "ca.example-dir: 10.0.0.1"],
        );
        check(vec![site(&["localhost", "a.example"], &SiteTls::Internal)], &["local: localhost", "local: a.example"]);
    }

    #[test]
    fn a_shared_certificate_covers_all_names_of_its_site() {
        let ca = SiteTls::Acme(acme("https://ca.example/dir"));
        let shared = Site { shared_certificate: true, ..site(&["a.example", "nas.local", "*.a.example"], &ca) };
        check(vec![shared], &["ca.example-dir: a.example and 2 more"]);
    }

    #[test]
    fn plain_hosts_need_no_certificate() {
        let ca = SiteTls::Acme(acme("https://ca.example/dir"));
        let mut plain = site(&["a.example", "b.example"], &ca);
        plain.hosts[0].plain = true;
        check(vec![plain], &["ca.example-dir: b.example"]);
    }

    #[test]
    fn fallbacks_follow_in_order_and_once() {
        let second = acme("https://second.example/dir");
        let first = Arc::new(Acme {
            fallback: vec![Arc::clone(&second), acme("https://ca.example/dir")],
            ..(*acme("https://ca.example/dir")).clone()
        });
        let need = needs(&settings(vec![site(&["a.example"], &SiteTls::Acme(first))])).remove(0);
        let slots: Vec<String> = need.slots().iter().map(|slot| slot.issuer.to_string()).collect();
        assert_eq!(slots, ["ca.example-dir", "second.example-dir"]);
    }
}
