//! Where a site's certificate comes from: said by `tls`, or by the kind of each host.

use std::sync::Arc;

use super::resolver::Resolver;
use super::site::Head;
use crate::base::issuable::NeverIssued;
use crate::base::name::HostPattern;
use crate::config::diagnostic::{nearest, quote};
use crate::config::raw::{Directive, RawSite};
use crate::config::settings::{Acme, At, ChallengeKind, Settings, SiteHost, SiteTls};

/// Let's Encrypt's machines; what it cannot do can be said before it is asked.
/// Public authorities by a part of their directories' URLs.
const PUBLIC_AUTHORITIES: [(&str, &str); 9] = [
    (".api.letsencrypt.org/", "Let's Encrypt"),
    ("acme.zerossl.com/", "ZeroSSL"),
    (".api.pki.goog/", "Google Trust Services"),
    ("acme.ssl.com/", "SSL.com"),
    (".buypass.com/", "Buypass"),
    (".actalis.com/", "Actalis"),
    (".sectigo.com/", "Sectigo"),
    (".digicert.com/", "DigiCert"),
    (".globalsign.com/", "GlobalSign"),
];

impl Resolver<'_> {
    /// Sources with their hosts, in the order of the text; never empty.
    pub(super) fn site_tls(&mut self, raw: &RawSite, heads: &[Head], settings: &Settings) -> Vec<(SiteTls, Vec<SiteHost>)> {
        let hosts = || heads.iter().map(|(host, _)| host.clone()).collect();
        let written = raw.words.one("tls");
        if heads.iter().all(|(host, _)| host.plain) {
            if let Some(directive) = written {
                let hint = "remove `tls`, or the http:// before the host";
                self.complain(directive.name.span, "a site of plain http has no certificate", hint);
            }
            return vec![(SiteTls::Off, hosts())];
        }
        let sources = match written {
            None => by_kind(heads, &settings.acme),
            Some(directive) => match self.written_tls(directive, settings) {
                Some(tls) => vec![(tls, hosts())],
                None => return vec![(SiteTls::Internal, hosts())],
            },
        };
        self.stars(raw, heads, &sources);
        for (tls, _) in &sources {
            if let SiteTls::Acme(acme) = tls {
                self.obtainable(acme, heads, written.is_some());
            }
        }
        sources
    }

    /// Names that nobody knows yet have to be asked for, one by one.
    fn stars(&mut self, raw: &RawSite, heads: &[Head], sources: &[(SiteTls, Vec<SiteHost>)]) {
        let on_demand = |host: &SiteHost| {
            let by = |(tls, hosts): &(SiteTls, Vec<SiteHost>)| {
                hosts.contains(host) && matches!(tls, SiteTls::Acme(acme) if acme.is_on_demand(&host.pattern))
            };
            sources.iter().any(by)
        };
        for (host, span) in heads {
            let known = on_demand(host);
            if host.pattern == HostPattern::Any && !known {
                let hint = "add `on-demand ask URL` to `acme { }`, or name the hosts";
                self.complain(*span, "nothing says which hosts `*` stands for", hint);
            }
            if known && raw.words.one("certificate").is_some() {
                self.complain(*span, "hosts that nobody knows yet cannot share a certificate", "remove `certificate shared`");
            }
        }
    }

    fn written_tls(&mut self, directive: &Directive, settings: &Settings) -> Option<SiteTls> {
        let words: Vec<&str> = directive.values.iter().map(|word| word.text.as_str()).collect();
        match words.as_slice() {
            ["acme"] if directive.braces => {
                let acme = self.acme(&directive.parts, &settings.acme);
                Some(SiteTls::Acme(Arc::new(self.staged(acme, Some(directive.name.span)))))
            }
            ["acme"] => Some(SiteTls::Acme(Arc::clone(&settings.acme))),
            _ if directive.braces => {
                self.complain(directive.span(), "only `tls acme` has braces", "write `tls acme {`, or remove the braces");
                None
            }
            ["internal"] => Some(SiteTls::Internal),
            ["off"] => {
                self.complain(directive.span(), "`tls off` is said by the site's head", "write the host as http://HOST");
                None
            }
            ["internal" | "acme", _] => {
                self.complain(directive.values[1].span, "this value is too many", "write `tls internal`, or `tls acme { ... }`");
                None
            }
            [one] => {
                self.lone_value(directive, one);
                None
            }
            _ => {
                let (chain, key) = (self.file(&directive.values[0])?, self.file(&directive.values[1])?);
                Some(SiteTls::Files { chain, key, at: At(self.place(&directive.name)) })
            }
        }
    }

    fn lone_value(&mut self, directive: &Directive, value: &str) {
        let (what, hint) = if value.contains('@') {
            (format!("{} is an e-mail address", quote(value)), format!("write `email {value}` outside of all braces"))
        } else if let Some(near) = nearest(value, ["internal", "acme"]) {
            (format!("{} cannot stand here", quote(value)), format!("did you mean `{near}`?"))
        } else {
            ("the key's file is missing".to_owned(), format!("write `tls {value} KEY`, or `tls internal`"))
        };
        self.complain(directive.value().span, what, hint);
    }

    /// Refuses hosts for which no order could succeed.
    fn obtainable(&mut self, acme: &Acme, heads: &[Head], written: bool) {
        let by_record = |kind: &ChallengeKind| matches!(kind, ChallengeKind::Dns01 | ChallengeKind::DnsPersist01);
        let records = acme.challenges.iter().any(by_record);
        for (host, span) in heads.iter().filter(|(host, _)| !host.plain) {
            let never = host.pattern.identifier().filter(|_| acme.is_public() && !host.pattern.is_local());
            if let Some(never) = never.as_ref().and_then(NeverIssued::of) {
                self.complain(*span, never.to_string(), never.remedy());
            } else if host.pattern.is_local() {
                // Public authorities vouch for nothing that is not of the public DNS (CA/Browser Forum Baseline Requirements
                // section 4.2.2).
                let public = PUBLIC_AUTHORITIES.iter().find(|(part, _)| acme.directory.contains(part)).filter(|_| written);
                if let Some((_, authority)) = public {
                    let what = format!("{authority} gives no certificate for {}", host.pattern);
                    self.complain(*span, what, "write `tls internal`, or name your own authority by `acme { directory URL }`");
                }
            } else if matches!(host.pattern, HostPattern::Wildcard(_)) && !records && !acme.is_on_demand(&host.pattern) {
                let what = format!("a certificate for {} cannot be proved by {}", host.pattern, list(&acme.challenges));
                let hint = "add `dns PROVIDER { }` or `dns-hook PATH` to `acme { }`, so that a record can prove it; or list the hosts one \
                            by one";
                self.complain(*span, what, hint);
            } else if matches!(host.pattern, HostPattern::Ip(_)) && acme.challenges.iter().all(by_record) {
                let what = format!("a certificate for {} cannot be proved by {}", host.pattern, list(&acme.challenges));
                self.complain(*span, what, "add http-01 or tls-alpn-01 to `challenges`: an address has no record of its own");
            }
        }
        let standing = acme.challenges.contains(&ChallengeKind::DnsPersist01);
        // The way may stand on a line that was refused.
        if records && !standing && acme.dns.is_none() && self.findings.problems.is_empty() {
            let hint = "add `dns PROVIDER { }` or `dns-hook PATH` to `acme { }`";
            self.complain(heads[0].1, "nothing says how dns-01 sets its record", hint);
        }
    }
}

fn list(challenges: &[ChallengeKind]) -> String {
    challenges.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" or ")
}

/// Public names by ACME, local ones by the local authority. Hosts of plain http go with the first.
fn by_kind(heads: &[Head], acme: &Arc<Acme>) -> Vec<(SiteTls, Vec<SiteHost>)> {
    let mut sources: Vec<(SiteTls, Vec<SiteHost>)> = Vec::new();
    for (host, _) in heads.iter().filter(|(host, _)| !host.plain) {
        let tls = if by_acme(&host.pattern, acme) { SiteTls::Acme(Arc::clone(acme)) } else { SiteTls::Internal };
        match sources.iter_mut().find(|(known, _)| *known == tls) {
            Some((_, hosts)) => hosts.push(host.clone()),
            None => sources.push((tls, vec![host.clone()])),
        }
    }
    if let Some((_, hosts)) = sources.first_mut() {
        hosts.extend(heads.iter().filter(|(host, _)| host.plain).map(|(host, _)| host.clone()));
    }
    sources
}

fn by_acme(pattern: &HostPattern, acme: &Acme) -> bool {
    // Let's Encrypt vouches for addresses only in its short-lived profile; without it an order would fail for ever.
    let address = matches!(pattern, HostPattern::Ip(_));
    !pattern.is_local() && (!address || acme.profile.as_deref() == Some("shortlived"))
}
