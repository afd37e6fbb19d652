//! TLS with clients: versions, ciphers, the default certificate, and who must show one.

use super::resolver::Resolver;
use crate::base::name::HostPattern;
use crate::config::diagnostic::{nearest, quote};
use crate::config::raw::{Directive, Directives, RawSite};
use crate::config::settings::{At, Cipher, ClientCertificates, DefaultCertificate, Settings, TlsVersions};
use crate::config::source::Span;
use crate::config::tree::Word;

use super::site::Head;

impl Resolver<'_> {
    pub(super) fn handshake(&mut self, top: &Directives, settings: &mut Settings) {
        if let Some(directive) = top.one("tls-versions") {
            settings.tls.versions = self.versions(directive);
            if settings.protocols.h3 && !settings.tls.versions.tls13 {
                let hint = "add 1.3, or switch HTTP/3 off with `protocols h1 h2`";
                self.complain(directive.span(), "HTTP/3 speaks TLS 1.3 only", hint);
            }
        }
        if let Some(directive) = top.one("ciphers") {
            settings.tls.ciphers = directive.values.iter().filter_map(|word| self.cipher(word)).collect();
            self.ciphers_for(settings.tls.versions, &settings.tls.ciphers, directive);
        }
        if let Some(directive) = top.one("default-certificate") {
            settings.tls.default_certificate = self.default_certificate(directive);
        }
    }

    fn versions(&mut self, directive: &Directive) -> TlsVersions {
        let mut versions = TlsVersions { tls12: false, tls13: false };
        for word in &directive.values {
            match self.choice(word, &[("1.2", false), ("1.3", true)]) {
                Some(true) => versions.tls13 = true,
                Some(false) => versions.tls12 = true,
                None => return TlsVersions { tls12: true, tls13: true },
            }
        }
        versions
    }

    fn cipher(&mut self, word: &Word) -> Option<Cipher> {
        let cipher = Cipher::named(&word.text);
        if cipher.is_none() {
            // A slip is looked for without regard to case, as everywhere.
            let known: Vec<(String, &str)> =
                Cipher::all().map(|one| (one.name().to_lowercase().replace('_', "-"), one.name())).collect();
            let near = nearest(&word.text, known.iter().map(|(folded, _)| folded.as_str()));
            let hint = match known.iter().find(|(folded, _)| Some(folded.as_str()) == near) {
                Some((_, name)) => format!("did you mean `{name}`?"),
                None => format!("known are {}", Cipher::all().map(Cipher::name).collect::<Vec<_>>().join(", ")),
            };
            self.complain(word.span, format!("{} is not a cipher that is spoken here", quote(&word.text)), hint);
        }
        cipher
    }

    /// A version without a cipher would be offered and fail in every handshake.
    fn ciphers_for(&mut self, versions: TlsVersions, ciphers: &[Cipher], directive: &Directive) {
        // A name that was refused may have been meant as the one.
        if ciphers.len() < directive.values.len() {
            return;
        }
        for (on, tls13, version, only) in [(versions.tls12, false, "1.2", "1.3"), (versions.tls13, true, "1.3", "1.2")] {
            if on && !ciphers.iter().any(|cipher| cipher.is_tls13() == tls13) {
                let example = Cipher::all().find(|cipher| cipher.is_tls13() == tls13).map_or("", Cipher::name);
                let hint = format!("add one, such as {example}, or write `tls-versions {only}`");
                self.complain(directive.span(), format!("these ciphers leave none for TLS {version}"), hint);
            }
        }
    }

    fn default_certificate(&mut self, directive: &Directive) -> Option<DefaultCertificate> {
        match directive.values.as_slice() {
            [host] => match HostPattern::parse(&host.text) {
                Ok(pattern) => pattern.identifier().map(DefaultCertificate::Host),
                Err(error) => {
                    let hint = "write the host of a site, or the files `default-certificate CERT KEY`";
                    self.complain(host.span, format!("{} is not a host: {error}", quote(&host.text)), hint);
                    None
                }
            },
            [chain, key, ..] => {
                let at = At(self.place(&directive.name));
                Some(DefaultCertificate::Files { chain: self.file(chain)?, key: self.file(key)?, at })
            }
            [] => None,
        }
    }

    /// The host that strangers are shown must have a certificate.
    pub(super) fn default_is_served(&mut self, top: &Directives, settings: &Settings) {
        let Some(DefaultCertificate::Host(name)) = &settings.tls.default_certificate else { return };
        let hosts = || settings.sites.iter().flat_map(|site| &site.hosts).filter(|host| !host.plain);
        if hosts().any(|host| host.pattern.identifier().as_ref() == Some(name)) {
            return;
        }
        let Some(directive) = top.one("default-certificate") else { return };
        let known: Vec<String> = hosts().map(|host| host.pattern.to_string()).collect();
        let hint = match nearest(&directive.value().text, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write the host of a site that is served over TLS".to_owned(),
        };
        self.complain(directive.value().span, format!("no site has the host {}", quote(&directive.value().text)), hint);
    }

    pub(super) fn client_certificates(&mut self, raw: &RawSite, heads: &[Head]) -> Option<ClientCertificates> {
        let directive = raw.words.one("client-certificates")?;
        let mut asked = ClientCertificates { ca_file: self.file(directive.value())?, optional: false, headers: false };
        for word in &directive.values[1..] {
            match self.choice(word, &[("optional", true), ("headers", false)])? {
                true => asked.optional = true,
                false => asked.headers = true,
            }
        }
        if heads.iter().any(|(host, _)| host.plain) {
            self.no_tls_to_ask_in(directive.name.span);
        }
        Some(asked)
    }

    fn no_tls_to_ask_in(&mut self, span: Span) {
        let hint = "remove it, or the http:// before the host";
        self.complain(span, "over plain http no client can show a certificate", hint);
    }
}
