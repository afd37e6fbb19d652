//! `dns PROVIDER { }` and `dns-hook PATH`: who sets the records of dns-01.

use std::net::SocketAddr;

use super::resolver::Resolver;
use crate::base::name;
use crate::base::secret::Secret;
use crate::config::diagnostic::{Diagnostic, any_of, nearest, quote};
use crate::config::dns_providers::{self, Service};
use crate::config::raw::{Directive, Directives};
use crate::config::settings::{Acme, ChallengeKind, Credential, DnsProvider, Rfc2136, TsigAlgorithm, TsigKey};
use crate::config::tree::Word;

/// The provider that is no company's.
const RFC2136: &str = "rfc2136";

const RFC2136_WORDS: [&str; 5] = ["server", "key", "algorithm", "secret", "zone"];

const ALGORITHMS: [(&str, TsigAlgorithm); 3] = [
    ("hmac-sha256", TsigAlgorithm::HmacSha256),
    ("hmac-sha384", TsigAlgorithm::HmacSha384),
    ("hmac-sha512", TsigAlgorithm::HmacSha512),
];

impl Resolver<'_> {
    /// Who gives a way to set records means to use it: unless `challenges` says otherwise, dns-01 comes first from then on.
    pub(super) fn dns(&mut self, parts: &Directives, acme: &mut Acme) {
        let way = match (parts.one("dns"), parts.one("dns-hook")) {
            (Some(directive), hook) => {
                if let Some(hook) = hook {
                    self.findings.push(
                        Diagnostic::at(hook.name.span, "the record can be set in one way only")
                            .also(directive.name.span, "the other way")
                            .hint("keep either `dns` or `dns-hook`"),
                    );
                }
                self.provider(directive)
            }
            (None, Some(hook)) => self.file(hook.value()).map(DnsProvider::Hook),
            (None, None) => return,
        };
        acme.dns = way;
        if parts.one("challenges").is_none() && !acme.challenges.contains(&ChallengeKind::Dns01) {
            acme.challenges.insert(0, ChallengeKind::Dns01);
        }
    }

    fn provider(&mut self, directive: &Directive) -> Option<DnsProvider> {
        let name = directive.value();
        if name.text == RFC2136 {
            return self.rfc2136(directive).map(DnsProvider::Rfc2136);
        }
        let Some(service) = dns_providers::find(&name.text) else {
            let names: Vec<&str> = dns_providers::ALL.iter().map(|service| service.name).chain([RFC2136]).collect();
            let hint = match nearest(&name.text, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}; for any other, write a program and name it by `dns-hook PATH`", names.join(", ")),
            };
            self.complain(name.span, format!("{} is not a DNS provider that is known here", quote(&name.text)), hint);
            return None;
        };
        let parameters = self.parameters(directive, service)?;
        Some(DnsProvider::Service { name: service.name, parameters })
    }

    fn parameters(&mut self, directive: &Directive, service: &Service) -> Option<Vec<(&'static str, Credential)>> {
        let known: Vec<&str> = service.parameters.iter().map(|parameter| parameter.name).collect();
        self.only(directive, &known);
        let (mut found, mut whole) = (Vec::new(), true);
        for parameter in service.parameters {
            match directive.parts.one(parameter.name) {
                Some(part) => match self.parameter(part) {
                    Some(value) => found.push((parameter.name, value)),
                    None => whole = false,
                },
                None if parameter.needed => {
                    self.lacking(directive, parameter.name, parameter.secret);
                    whole = false;
                }
                None => (),
            }
        }
        whole.then_some(found)
    }

    fn rfc2136(&mut self, directive: &Directive) -> Option<Rfc2136> {
        self.only(directive, &RFC2136_WORDS);
        let parts = &directive.parts;
        let Some(server) = parts.one("server") else {
            self.lacking(directive, "server", false);
            return None;
        };
        let server = self.plain(server).and_then(|word| self.name_server(word))?;
        let zone = match parts.one("zone") {
            Some(zone) => Some(self.plain(zone).and_then(|word| self.text(word))?),
            None => None,
        };
        let key = match (parts.one("key"), parts.one("secret")) {
            (Some(key), Some(secret)) => Some(self.tsig(parts, key, secret)?),
            (None, None) => None,
            (Some(_), None) => {
                self.lacking(directive, "secret", true);
                return None;
            }
            (None, Some(_)) => {
                self.lacking(directive, "key", false);
                return None;
            }
        };
        Some(Rfc2136 { server, key, zone })
    }

    fn tsig(&mut self, parts: &Directives, key: &Directive, secret: &Directive) -> Option<TsigKey> {
        let name = self.plain(key).and_then(|word| self.text(word))?;
        let algorithm = match parts.one("algorithm") {
            Some(part) => self.plain(part).and_then(|word| self.choice(word, &ALGORITHMS))?,
            None => TsigAlgorithm::default(),
        };
        let credential = self.parameter(secret)?;
        let Some(bytes) = super::base64url::decode(credential.value.expose().trim()) else {
            // The key itself is not repeated: messages end up in logs.
            let hint = "copy it as it stands behind `secret` in the server's own configuration";
            self.complain(secret.span(), "the TSIG secret is not base64", hint);
            return None;
        };
        Some(TsigKey { name, algorithm, secret: Secret::new(bytes), from: credential.from })
    }

    /// `NAME VALUE` or `NAME file PATH`.
    fn parameter(&mut self, part: &Directive) -> Option<Credential> {
        match part.values.as_slice() {
            [file, path] if file.text == "file" => self.credential_file(path),
            [value] => self.credential(value, &format!("{} file PATH", part.name.text)),
            _ => {
                self.complain(part.span(), "a provider's parameter has one value", "write NAME VALUE, or NAME file PATH");
                None
            }
        }
    }

    fn plain<'a>(&mut self, part: &'a Directive) -> Option<&'a Word> {
        match part.values.as_slice() {
            [value] => Some(value),
            _ => {
                let usage = format!("write `{} VALUE`", part.name.text);
                self.complain(part.span(), format!("`{}` has one value", part.name.text), usage);
                None
            }
        }
    }

    /// The tree does not know a provider's words; refuses those that are none, or stand twice.
    fn only(&mut self, directive: &Directive, known: &[&str]) {
        for (at, part) in directive.parts.list.iter().enumerate() {
            let name = &part.name;
            if !known.contains(&name.text.as_str()) {
                let hint = match nearest(&name.text, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it takes {}", any_of(known)),
                };
                let what = format!("{} has no parameter {}", quote(&directive.value().text), quote(&name.text));
                self.complain(name.span, what, hint);
            }
            if let Some(first) = directive.parts.list[..at].iter().find(|other| other.name.text == name.text) {
                self.findings.push(
                    Diagnostic::at(name.span, format!("{} is written twice", quote(&name.text)))
                        .also(first.name.span, "first here")
                        .hint("keep one of the two"),
                );
            }
        }
    }

    fn lacking(&mut self, directive: &Directive, name: &str, secret: bool) {
        if directive.parts.incomplete {
            return;
        }
        let what = format!("{} needs `{name}`", quote(&directive.value().text));
        let hint = match secret {
            true => format!("add `{name} file PATH` to its braces"),
            false => format!("add `{name} VALUE` to its braces"),
        };
        self.complain(directive.span(), what, hint);
    }

    /// An address, at port 53 unless it says another.
    pub(super) fn name_server(&mut self, word: &Word) -> Option<SocketAddr> {
        let address = word.text.parse().ok().or_else(|| name::parse_ip(&word.text).map(|ip| SocketAddr::new(ip, 53)));
        if address.is_none() {
            let what = format!("{} is not a name server's address", quote(&word.text));
            self.complain(word.span, what, "write an IP address, with a port if it is not 53");
        }
        address
    }
}
