//! What is done to an exchange on the way in and out. A site's own words hold for all its paths; a path's word
//! replaces the site's, except that header edits follow the site's.

use http::{HeaderName, HeaderValue};

use super::resolver::Resolver;
use crate::base::client_fact::ClientFact;
use crate::config::defaults;
use crate::config::diagnostic::quote;
use crate::config::raw::{Directive, Directives};
use crate::config::settings::{At, HeaderEdit, Origins, PathPattern, Policy};
use crate::config::tree::Word;

/// Names that belong to one connection (RFC 9110 section 7.6.1) or frame a body: set by the gateway, never by hand.
const OURS: [&str; 9] =
    ["connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "via"];

impl Resolver<'_> {
    /// `words` on top of `base`. `path` is where they stand, when they stand in path braces.
    pub(super) fn policy(&mut self, base: &Policy, words: &Directives, path: Option<&PathPattern>) -> Policy {
        let mut policy = base.clone();
        self.parts(words, "headers", |this, parts| this.edits(parts, &mut policy.headers));
        self.parts(words, "request-headers", |this, parts| this.edits(parts, &mut policy.request_headers));
        if let Some(kept) = words.one("keep-headers") {
            policy.keep_headers = kept.values.iter().filter_map(|word| self.kept_header(word)).collect();
        }
        policy.security_headers |= words.one("security-headers").is_some();
        policy.hsts |= words.one("hsts").is_some();
        policy.compress |= words.one("compress").is_some();
        self.put_some(words, "rewrite", &mut policy.rewrite, Self::plain_path);
        self.put_some(words, "strip-prefix", &mut policy.strip_prefix, |this, word| this.strip_prefix(word, path));
        self.parts(words, "limit", |this, parts| this.limits(parts, &mut policy));
        self.put_some(words, "buffer-requests", &mut policy.buffer_requests, Self::buffer);
        if let Some(origin) = words.one("origin") {
            policy.origins = Some(self.origins(origin));
        }
        if let Some(cors) = words.one("cors") {
            policy.cors = cors.values.iter().filter_map(|word| self.origin(word)).collect();
        }
        if let Some(auth) = words.one("auth") {
            policy.auth = self.auth(auth);
        }
        if let Some(allow) = words.one("allow") {
            policy.allow = self.nets(&allow.values);
        }
        if let Some(deny) = words.one("deny") {
            policy.deny = self.nets(&deny.values);
        }
        self.put_some(words, "ping", &mut policy.ping, Self::duration);
        self.put(words, "idle", &mut policy.idle, Self::duration_or_off);
        self.put(words, "max-age", &mut policy.max_age, Self::duration_or_off);
        self.parts(words, "log", |this, parts| this.put_some(parts, "access", &mut policy.access_log, Self::switch));
        if let Some(line) = words.one("maintenance") {
            policy.maintenance = match line.values.first() {
                Some(word) => self.duration(word),
                None => Some(defaults::MAINTENANCE),
            };
        }
        self.put_some(words, "errors", &mut policy.errors, Self::file);
        policy
    }

    fn edits(&mut self, parts: &Directives, edits: &mut Vec<HeaderEdit>) {
        for part in &parts.list {
            edits.extend(self.edit(part));
        }
    }

    fn edit(&mut self, part: &Directive) -> Option<HeaderEdit> {
        let name = self.header_name(part.value());
        let value = part.values.get(1).map(|word| self.header_value(word));
        match (part.name.text.as_str(), value) {
            ("set", Some(value)) => Some(HeaderEdit::Set { name: name?, value: value? }),
            ("add", Some(value)) => Some(HeaderEdit::Add { name: name?, value: value? }),
            _ => Some(HeaderEdit::Remove { name: name? }),
        }
    }

    fn header_name(&mut self, word: &Word) -> Option<HeaderName> {
        let Ok(name) = HeaderName::from_bytes(word.text.as_bytes()) else {
            let hint = match word.text.strip_suffix(':') {
                Some(bare) => format!("write `{bare}`, without the colon"),
                None => "a name has letters, digits and hyphens".to_owned(),
            };
            self.complain(word.span, format!("{} is not a header's name", quote(&word.text)), hint);
            return None;
        };
        if OURS.contains(&name.as_str()) {
            let hint = "remove this line: the gateway sets it for each connection and body";
            self.complain(word.span, format!("`{name}` cannot be edited"), hint);
            return None;
        }
        Some(name)
    }

    /// A name that could be dropped otherwise.
    fn kept_header(&mut self, word: &Word) -> Option<HeaderName> {
        let name = self.header_name(word)?;
        let is_plain = name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_plain && ClientFact::of(name.as_str()).is_none() {
            let hint = "take it out; only names with `_`, `.` or another sign are dropped, where they read as another field, and \
                        fields such as CF-Connecting-IP that state the client's address or scheme";
            self.complain(word.span, format!("`{name}` is passed on anyway"), hint);
            return None;
        }
        Some(name)
    }

    fn header_value(&mut self, word: &Word) -> Option<HeaderValue> {
        // Only visible ASCII and blanks: what is beyond has no meaning peers agree on (RFC 9110 section 5.5).
        let fits = word.text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t');
        let value = HeaderValue::from_str(&word.text).ok().filter(|_| fits && word.text.trim() == word.text);
        if value.is_none() {
            let hint = "write visible ASCII characters and single blanks, no line breaks and no blanks at the ends";
            self.complain(word.span, format!("{} is not a header's value", quote(&word.text)), hint);
        }
        value
    }

    fn strip_prefix(&mut self, word: &Word, path: Option<&PathPattern>) -> Option<String> {
        let prefix = self.plain_path(word)?;
        let prefix = prefix.strip_suffix('/').unwrap_or(&prefix).to_owned();
        if prefix.is_empty() {
            self.complain(word.span, "the prefix `/` takes nothing away", "write the part to cut off, as in /api");
            return None;
        }
        let begins = |text: &str| format!("{text}/").starts_with(&format!("{prefix}/"));
        let reached = match path {
            None => true,
            Some(PathPattern::Exact(exact)) => begins(exact),
            // A longer prefix than the block's own is cut from those requests below it that have it.
            Some(PathPattern::Prefix(start)) => begins(start.trim_end_matches('/')) || prefix.starts_with(start),
        };
        if !reached {
            let what = format!("no path of this block begins with {}", quote(&prefix));
            self.complain(word.span, what, "write the beginning of the block's own path");
        }
        reached.then_some(prefix)
    }

    /// Origins; `none` stands for clients that send none.
    fn origins(&mut self, line: &Directive) -> Origins {
        let words = &line.values;
        let without = words.iter().any(|word| word.text == "none");
        let allowed = words.iter().filter(|word| word.text != "none").filter_map(|word| self.origin(word)).collect();
        Origins { allowed, without, at: At(self.place(&line.name)) }
    }

    /// An origin as browsers send it (RFC 6454 section 6.2): scheme, host, port, nothing behind.
    fn origin(&mut self, word: &Word) -> Option<String> {
        let url = self.url(word, &["https://", "http://"])?;
        let origin = url.strip_suffix('/').unwrap_or(&url).to_ascii_lowercase();
        if origin.matches('/').count() > 2 {
            let what = format!("{} has more than an origin", quote(&word.text));
            self.complain(word.span, what, "write scheme and host, and the port if there is one: https://example.com");
            return None;
        }
        Some(origin)
    }
}
