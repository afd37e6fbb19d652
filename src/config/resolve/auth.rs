//! `auth ...`: who may pass.

use super::Resolver;
use crate::config::problem::Problem;
use crate::config::raw::Directive;
use crate::config::settings::Auth;

impl Resolver<'_> {
    pub(super) fn auth(&mut self, directive: &Directive) -> Option<Auth> {
        let (first, others) = directive.parts.list.split_first()?;
        if let Some(second) = others.first() {
            self.findings.push(
                Problem::at(second.name.span, "there are two ways to pass")
                    .also(first.name.span, "the first one")
                    .hint("keep one of them"),
            );
        }
        match first.name.text.as_str() {
            "basic" => self.basic(first),
            "forward" => self.url(first.value(), &["https://", "http://"]).map(Auth::Forward),
            _ => Some(Auth::Jwt(first.parts.list.iter().map(parameter).collect())),
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
            users.push((user.name.text.clone(), hash?));
        }
        if users.is_empty() {
            self.complain(directive.name.span, "there is nobody who could pass", "add a line `NAME HASH` for each user");
        }
        Some(Auth::Basic(users))
    }
}

fn parameter(part: &Directive) -> (String, Vec<String>) {
    (part.name.text.clone(), part.values.iter().map(|word| word.text.clone()).collect())
}
