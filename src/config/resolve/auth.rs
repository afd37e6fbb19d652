//! `auth ...`: who may pass.

use super::resolver::Resolver;
use crate::base::password::Hash;
use crate::config::diagnostic::{Diagnostic, quote};
use crate::config::raw::Directive;
use crate::config::settings::{Auth, ForwardAuth, Jwt, JwtKeys, TokenPlace};
use crate::config::tree::Word;

/// Signatures of tokens (RFC 7518 section 3.1, RFC 8037). `none` is not among them.
const ALGORITHMS: [&str; 12] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "HS256", "HS384", "HS512"];

impl Resolver<'_> {
    pub(super) fn auth(&mut self, directive: &Directive) -> Option<Auth> {
        let (first, others) = directive.parts.list.split_first()?;
        if let Some(second) = others.first() {
            self.findings.push(
                Diagnostic::at(second.name.span, "there are two ways to pass")
                    .also(first.name.span, "the first one")
                    .hint("keep one of them"),
            );
        }
        match first.name.text.as_str() {
            "basic" => self.basic(first),
            "forward" => self.forward(first),
            _ => self.jwt(first),
        }
    }

    fn basic(&mut self, directive: &Directive) -> Option<Auth> {
        let mut users = Vec::new();
        for user in &directive.parts.list {
            let hash = match user.values.as_slice() {
                [file, path] if file.text == "file" => self.credential_file(path),
                [hash] => self.credential(hash, &format!("{} file PATH", user.name.text)),
                _ => {
                    self.complain(user.span(), "a user has one password hash", "write NAME HASH, or NAME file PATH");
                    None
                }
            };
            let hash = hash?;
            if Hash::read(hash.value.expose()).is_none() {
                let hint = "write the line that `doorward hash-password` prints; bcrypt hashes of htpasswd are taken as well";
                let what = format!("what stands behind {} is not a password's hash", quote(&user.name.text));
                // Not at its own line: that would be shown, and may be a password.
                self.complain(directive.name.span, what, hint);
            }
            users.push((user.name.text.clone(), hash));
        }
        if users.is_empty() {
            self.complain(directive.name.span, "there is nobody who could pass", "add a line `NAME HASH` for each user");
        }
        Some(Auth::Basic(users))
    }
}

impl Resolver<'_> {
    fn forward(&mut self, directive: &Directive) -> Option<Auth> {
        let url = self.url(directive.value(), &["https://", "http://"])?;
        let copy = directive.parts.one("copy").map_or(&[][..], |copy| copy.values.as_slice());
        Some(Auth::Forward(ForwardAuth { url, copy: copy.iter().filter_map(|word| self.token(word)).collect() }))
    }

    fn jwt(&mut self, directive: &Directive) -> Option<Auth> {
        let parts = &directive.parts;
        let keys = self.needed(directive, "keys", "whose signatures are believed: `keys file PATH` or `keys URL`");
        let algorithms = self.needed(directive, "algorithms", "how tokens are signed, such as `algorithms RS256`");
        let names =
            |word| parts.one(word).map_or_else(Vec::new, |line| line.values.iter().map(|word| word.text.clone()).collect());
        let places: Vec<TokenPlace> =
            parts.list.iter().filter(|part| part.name.text == "token").filter_map(|part| self.token_place(part)).collect();
        let keys = keys.and_then(|keys| self.jwt_keys(keys));
        let algorithms = algorithms.map(|line| line.values.iter().filter_map(|word| self.algorithm(word)).collect());
        Some(Auth::Jwt(Box::new(Jwt {
            keys: keys?,
            algorithms: algorithms?,
            issuers: names("issuer"),
            audiences: names("audience"),
            places: if places.is_empty() { vec![TokenPlace::Bearer] } else { places },
            strip: parts.one("strip").is_some(),
        })))
    }

    fn needed<'a>(&mut self, directive: &'a Directive, word: &str, what: &str) -> Option<&'a Directive> {
        let found = directive.parts.one(word);
        if found.is_none() {
            self.complain(directive.name.span, format!("`{}` has no `{word}`", directive.name.text), format!("say {what}"));
        }
        found
    }

    fn jwt_keys(&mut self, line: &Directive) -> Option<JwtKeys> {
        match line.values.as_slice() {
            [file, path] if file.text == "file" => self.credential_file(path).map(JwtKeys::Set),
            [url] => self.url(url, &["https://", "http://"]).map(JwtKeys::Url),
            _ => {
                self.complain(line.span(), "these are no keys", "write `keys file PATH`, or `keys URL`");
                None
            }
        }
    }

    fn algorithm(&mut self, word: &Word) -> Option<&'static str> {
        let all: Vec<(&str, &'static str)> = ALGORITHMS.iter().map(|name| (*name, *name)).collect();
        self.choice(word, &all)
    }

    fn token_place(&mut self, line: &Directive) -> Option<TokenPlace> {
        match line.values.as_slice() {
            [bearer] if bearer.text == "bearer" => Some(TokenPlace::Bearer),
            [header, name] if header.text == "header" => self.token(name).map(TokenPlace::Header),
            [cookie, name] if cookie.text == "cookie" => self.token(name).map(TokenPlace::Cookie),
            [query, name] if query.text == "query" => self.token(name).map(TokenPlace::Query),
            _ => {
                let hint = "write `token bearer`, `token header NAME`, `token cookie NAME` or `token query NAME`";
                self.complain(line.span(), "a token cannot stand there", hint);
                None
            }
        }
    }
}
