//! `acme { }`: the authority and how it is dealt with. A site's own starts from the gateway's; what belongs to one
//! directory (account binding, profile, roots, fallbacks) is not taken over to another.

use std::sync::Arc;
use std::time::Duration;

use super::base64url;
use super::resolver::Resolver;
use crate::base::name;
use crate::base::secret::Secret;
use crate::config::defaults::{DIRECTORY, STAGING_DIRECTORY};
use crate::config::diagnostic::Diagnostic;
use crate::config::raw::{Directive, Directives};
use crate::config::settings::{Acme, Alert, At, ChallengeKind, Credential, Eab, KeyKind, Propagation, REDACTED, SecretSource};
use crate::config::source::Span;
use crate::config::tree::Word;

const CHALLENGES: [(&str, ChallengeKind); 4] = [
    ("http-01", ChallengeKind::Http01),
    ("tls-alpn-01", ChallengeKind::TlsAlpn01),
    ("dns-01", ChallengeKind::Dns01),
    ("dns-persist-01", ChallengeKind::DnsPersist01),
];

/// An order ends after 15 minutes, with everything that belongs to it.
const MAX_PROPAGATION_WAIT: Duration = Duration::from_secs(600);

const KEYS: [(&str, KeyKind); 3] = [("p256", KeyKind::P256), ("p384", KeyKind::P384), ("rsa2048", KeyKind::Rsa2048)];

impl Resolver<'_> {
    pub(super) fn acme(&mut self, parts: &Directives, base: &Acme) -> Acme {
        let mut acme = at_directory(base, self.directory(parts));
        if let Some(line) = parts.one("staging").or_else(|| parts.one("directory")) {
            acme.at = At(self.place(&line.name));
        }
        self.put_some(parts, "ca-file", &mut acme.ca_file, Self::file);
        self.put_some(parts, "profile", &mut acme.profile, Self::text);
        self.put_some(parts, "preferred-root", &mut acme.preferred_root, Self::text);
        self.put(parts, "key", &mut acme.key, |this, word| this.choice(word, &KEYS));
        self.put_some(parts, "hook", &mut acme.hook, Self::file);
        self.put_some(parts, "alert", &mut acme.alert, Self::alert);
        if let Some(eab) = parts.one("eab").and_then(|directive| self.eab(directive)) {
            acme.eab = Some(eab);
        }
        if let Some(directive) = parts.one("challenges") {
            self.challenges(directive, &mut acme.challenges);
        }
        if let Some(propagation) = parts.one("propagation").and_then(|directive| self.propagation(directive)) {
            acme.propagation = propagation;
        }
        if let Some(directive) = parts.one("resolvers") {
            acme.resolvers = directive.values.iter().filter_map(|word| self.name_server(word)).collect();
        }
        if let Some(directive) = parts.one("on-demand")
            && self.choice(&directive.values[0], &[("ask", ())]).is_some()
        {
            acme.on_demand_ask = self.url(&directive.values[1], &["https://", "http://"]);
        }
        self.dns(parts, &mut acme);
        let fallback: Vec<Arc<Acme>> = parts.all("fallback").filter_map(|directive| self.fallback(directive, &acme)).collect();
        if !fallback.is_empty() {
            acme.fallback = fallback;
        }
        acme
    }

    /// `--staging`: the same authority's staging directory, for once.
    pub(super) fn staged(&mut self, acme: Acme, at: Option<Span>) -> Acme {
        if !self.surroundings.staging || acme.staging {
            return acme;
        }
        if acme.directory != DIRECTORY {
            let what = "--staging knows only Let's Encrypt's staging directory, and `directory` names another authority";
            let problem = at.map_or_else(|| Diagnostic::general(what), |span| Diagnostic::at(span, what));
            self.findings.push(problem.hint("leave --staging out, and name that authority's staging directory by `directory`"));
        }
        Acme { at: At::default(), ..at_directory(&acme, Some(STAGING_DIRECTORY.to_owned())) }
    }

    fn directory(&mut self, parts: &Directives) -> Option<String> {
        let written = parts.one("directory");
        let Some(staging) = parts.one("staging") else {
            return written.and_then(|directive| self.url(directive.value(), &["https://"]));
        };
        if let Some(directive) = written {
            self.findings.push(
                Diagnostic::at(
                    staging.name.span,
                    "`staging` means Let's Encrypt's staging directory, and `directory` names one too",
                )
                .also(directive.span(), "named here")
                .hint("keep one of the two"),
            );
        }
        Some(STAGING_DIRECTORY.to_owned())
    }

    fn challenges(&mut self, directive: &Directive, challenges: &mut Vec<ChallengeKind>) {
        let mut list = Vec::new();
        for word in &directive.values {
            let Some(kind) = self.choice(word, &CHALLENGES) else { continue };
            if list.contains(&kind) {
                self.complain(
                    word.span,
                    format!("{kind} is written twice"),
                    "write each challenge once, the preferred one first",
                );
            } else {
                list.push(kind);
            }
        }
        if !list.is_empty() {
            *challenges = list;
        }
    }

    fn propagation(&mut self, directive: &Directive) -> Option<Propagation> {
        let [word, rest @ ..] = directive.values.as_slice() else { return None };
        let waits = self.choice(word, &[("wait", true), ("off", false)])?;
        match (waits, rest) {
            (true, [span]) => match self.duration(span)? {
                wait if wait > MAX_PROPAGATION_WAIT => {
                    let hint = "write at most 10min; a name server that needs longer is to be repaired";
                    self.complain(span.span, "an order is not kept open that long", hint);
                    None
                }
                wait => Some(Propagation::Wait(wait)),
            },
            (false, []) => Some(Propagation::Off),
            (true, _) => {
                self.complain(
                    word.span,
                    "`propagation wait` needs a time",
                    "write one behind it, such as `propagation wait 60s`",
                );
                None
            }
            (false, [more, ..]) => {
                self.complain(more.span, "nothing stands behind `propagation off`", "leave it out");
                None
            }
        }
    }

    fn eab(&mut self, directive: &Directive) -> Option<Eab> {
        let [first, second] = directive.values.as_slice() else { return None };
        let at = At(self.place(&directive.name));
        if first.text != "file" {
            let from = source_of(second);
            return self.eab_of(&first.text, &second.text, second.span, from).map(|eab| Eab { at, ..eab });
        }
        let path = self.file(second)?;
        let text = self.secret_file(&path, second.span)?;
        let mut words = text.split_whitespace();
        let (Some(key_id), Some(key), None) = (words.next(), words.next(), words.next()) else {
            let hint = "write the key's id and the HMAC key into it, parted by a blank, and nothing else";
            self.complain(second.span, "this file does not hold two words", hint);
            return None;
        };
        self.eab_of(key_id, key, second.span, SecretSource::File(path)).map(|eab| Eab { at, ..eab })
    }

    fn eab_of(&mut self, key_id: &str, key: &str, span: Span, from: SecretSource) -> Option<Eab> {
        if key == REDACTED {
            self.redacted(span, "eab file PATH");
            return None;
        }
        let Some(bytes) = base64url::decode(key) else {
            // The key itself is not repeated: messages end up in logs.
            self.complain(span, "the HMAC key is not base64url", "copy it whole, as the authority shows it");
            return None;
        };
        Some(Eab { key_id: key_id.to_owned(), hmac_key: Secret::new(bytes), from, at: At::default() })
    }

    /// A secret text as a value; what `adapt` left out is refused.
    pub(super) fn credential(&mut self, word: &Word, instead: &str) -> Option<Credential> {
        if word.text == REDACTED {
            self.redacted(word.span, instead);
            return None;
        }
        self.text(word).map(|text| Credential { value: Secret::new(text), from: source_of(word) })
    }

    /// A secret text in a file of its own, without the line's end.
    pub(super) fn credential_file(&mut self, word: &Word) -> Option<Credential> {
        let path = self.file(word)?;
        let text = self.secret_file(&path, word.span)?;
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        Some(Credential { value: Secret::new(text), from: SecretSource::File(path) })
    }

    fn redacted(&mut self, span: Span, instead: &str) {
        let hint = format!("put the secret into a file and write `{instead}`, or give it by `{{$NAME}}`");
        self.complain(span, "this secret was left out when the configuration was printed", hint);
    }

    fn secret_file(&mut self, path: &std::path::Path, span: Span) -> Option<String> {
        (self.secret)(path)
            .map_err(|why| {
                self.complain(span, format!("this file cannot be read: {why}"), "make it readable for the gateway's user")
            })
            .ok()
    }

    fn alert(&mut self, word: &Word) -> Option<Alert> {
        if word.text.contains("://") {
            let url = self.url(word, &["https://", "http://"])?;
            if url.starts_with("http://") && !is_here(&url) {
                let hint = "write https://, or the address of a service on this machine";
                self.complain(word.span, "an alarm may not travel in the clear", hint);
                return None;
            }
            Some(Alert::Url(url))
        } else {
            self.file(word).map(Alert::Program)
        }
    }

    fn fallback(&mut self, directive: &Directive, first: &Acme) -> Option<Arc<Acme>> {
        let url = self.url(directive.value(), &["https://"])?;
        for name in ["directory", "staging", "fallback"] {
            if let Some(inner) = directive.parts.one(name) {
                self.complain(
                    inner.name.span,
                    format!("`{name}` cannot stand in a fallback"),
                    "the fallback's URL stands behind `fallback`",
                );
            }
        }
        let base = Acme { at: At(self.place(&directive.name)), ..at_directory(first, Some(url)) };
        Some(Arc::new(self.acme(&directive.parts, &base)))
    }
}

/// `base` at another directory, without what belongs to its own.
fn at_directory(base: &Acme, directory: Option<String>) -> Acme {
    match directory {
        Some(directory) if directory != base.directory => {
            let staging = directory == STAGING_DIRECTORY;
            let rehearsal = (directory == DIRECTORY).then(|| STAGING_DIRECTORY.to_owned());
            let base =
                Acme { ca_file: None, profile: None, eab: None, preferred_root: None, fallback: Vec::new(), ..base.clone() };
            Acme { directory, staging, rehearsal, ..base }
        }
        _ => base.clone(),
    }
}

/// Whether a URL names a service on this machine.
fn is_here(url: &str) -> bool {
    let uri = url.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    host == "localhost" || name::parse_ip(host.trim_matches(['[', ']'])).is_some_and(|ip| ip.is_loopback())
}

fn source_of(word: &Word) -> SecretSource {
    word.variable.clone().map_or(SecretSource::InPlace, SecretSource::Variable)
}
