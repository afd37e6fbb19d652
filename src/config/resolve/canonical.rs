//! `canonical HOST`: of a site's hosts one is shown, and the others send on to it. Resolved into two sites, so that nothing
//! behind the configuration has to know: the one that answers, and one that redirects.

use super::resolver::Resolver;
use super::site::Head;
use crate::base::name::HostPattern;
use crate::config::defaults;
use crate::config::diagnostic::quote;
use crate::config::raw::{Directive, RawSite};
use crate::config::settings::{Block, End, PathPattern, Place, Policy, Settings, Site, SiteHost};

/// The host that is shown, and where its line stood.
pub(super) struct Canonical {
    host: SiteHost,
    /// The port in its URL.
    port: u16,
    at: Place,
}

impl Resolver<'_> {
    pub(super) fn canonical(&mut self, raw: &RawSite, heads: &[Head], settings: &Settings) -> Option<Canonical> {
        let line = raw.words.one("canonical")?;
        let host = self.head(line.value(), settings)?;
        if !heads.iter().any(|(head, _)| *head == host) {
            let what = format!("{} is none of this site's hosts", quote(&line.value().text));
            self.complain(line.value().span, what, format!("write it before the brace as well: `{} ... {{`", line.value().text));
            return None;
        }
        let port = settings.port_map().public(host.port);
        self.is_of_use(line, raw, heads, &host).then(|| Canonical { host, port, at: self.place(&line.name) })
    }

    fn is_of_use(&mut self, line: &Directive, raw: &RawSite, heads: &[Head], host: &SiteHost) -> bool {
        let complaint = if matches!(host.pattern, HostPattern::Wildcard(_) | HostPattern::Any) {
            Some(("a host with a star is no place to send on to", "name one host"))
        } else if heads.iter().all(|(head, _)| head == host) {
            Some(("there is no other host to send on from", "write the others before the brace, or remove this line"))
        } else if raw.words.one("certificate").is_some() {
            // The two sites have a certificate each.
            Some(("hosts that are sent on cannot share a certificate", "remove `certificate shared`"))
        } else {
            None
        };
        if let Some((what, hint)) = complaint {
            self.complain(line.span(), what, hint);
        }
        complaint.is_none()
    }
}

impl Canonical {
    /// The site with the one host, and the site that sends on to it; either may have no hosts here.
    pub(super) fn split(&self, site: Site, own: &Policy) -> impl Iterator<Item = Site> {
        let (shown, others) = site.hosts.iter().cloned().partition(|host| *host == self.host);
        let blocks = vec![Block {
            path: PathPattern::Prefix("/".into()),
            policy: of_redirect(own),
            end: End::Redirect { target: self.origin(), code: defaults::REDIRECT_CODE },
            at: self.at.clone(),
        }];
        let sent_on = Site { hosts: others, blocks, ..site.clone() };
        [Site { hosts: shown, ..site }, sent_on].into_iter().filter(|site: &Site| !site.hosts.is_empty())
    }

    fn origin(&self) -> String {
        let SiteHost { pattern, plain, port: _ } = &self.host;
        let (scheme, usual) = if *plain { ("http", 80) } else { ("https", 443) };
        if self.port == usual { format!("{scheme}://{pattern}") } else { format!("{scheme}://{pattern}:{}", self.port) }
    }
}

/// Who may come and what is said of every answer; the rest is asked where the redirect leads.
fn of_redirect(own: &Policy) -> Policy {
    Policy {
        headers: own.headers.clone(),
        security_headers: own.security_headers,
        hsts: own.hsts,
        allow: own.allow.clone(),
        deny: own.deny.clone(),
        access_log: own.access_log,
        errors: own.errors.clone(),
        ..Policy::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::environment::Environment;
    use crate::config::resolve::from_text;
    use crate::config::settings::{End, Site};

    fn check(text: &str, expected: &[&str]) {
        let sites = from_text("test.conf", text, &Environment::default()).unwrap_or_else(|r| panic!("{r}")).settings.sites;
        let shown: Vec<String> = sites.iter().map(shown).collect();
        assert_eq!(shown, expected, "for {text}");
    }

    fn shown(site: &Site) -> String {
        let hosts: Vec<String> = site.hosts.iter().map(|host| host.pattern.to_string()).collect();
        let block = &site.blocks[0];
        let end = match &block.end {
            End::Redirect { target, code } => format!("{code} {target}"),
            _ => "answers".to_owned(),
        };
        format!("{}: {end}{}", hosts.join(" "), if block.policy.hsts { ", hsts" } else { "" })
    }

    #[test]
    fn every_host_but_one_is_sent_on() {
        check(
            "example.com www.example.com example.net {\n canonical example.com\n hsts\n auth basic {\n a b\n }\n proxy 3000\n}"
                .replace("a b", "a $argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g")
                .as_str(),
            &["example.com: answers, hsts", "www.example.com example.net: 308 https://example.com, hsts"],
        );
        check(
            "https-port 8443\nlocalhost www.localhost {\n canonical www.localhost\n proxy 3000\n}",
            &["www.localhost: answers", "localhost: 308 https://www.localhost:8443"],
        );
        check(
            "https-port 8443\npublic-https-port 443\nlocalhost www.localhost {\n canonical www.localhost\n proxy 3000\n}",
            &["www.localhost: answers", "localhost: 308 https://www.localhost"],
        );
        check(
            "http://a.test http://b.test:81 {\n canonical http://a.test\n proxy 3000\n}",
            &["a.test: answers", "b.test: 308 http://a.test"],
        );
        // Hosts whose certificates come from two sources are two sites already.
        check(
            "example.com app.internal {\n canonical example.com\n proxy 3000\n}",
            &["example.com: answers", "app.internal: 308 https://example.com"],
        );
    }
}
