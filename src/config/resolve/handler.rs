//! What answers in the end: `proxy`, `redirect`, `respond` or `files`; one of them in each block.

use super::resolver::Resolver;
use super::upstream::Groups;
use crate::config::defaults;
use crate::config::diagnostic::{Diagnostic, quote};
use crate::config::raw::{Directive, Directives};
use crate::config::settings::{Cache, End, Files};
use crate::config::tree::Word;

/// Every word that answers.
pub(super) const ENDS: [&str; 4] = ["proxy", "redirect", "respond", "files"];

/// The line that answers, if one does.
pub(super) fn written(words: &Directives) -> Option<&Directive> {
    words.list.iter().find(|directive| ENDS.contains(&directive.name.text.as_str()))
}

impl Resolver<'_> {
    pub(super) fn end(&mut self, words: &Directives, groups: &mut Groups) -> Option<End> {
        let first = written(words)?;
        let others = words.list.iter().filter(|directive| ENDS.contains(&directive.name.text.as_str())).skip(1);
        for second in others {
            self.findings.push(
                Diagnostic::at(second.name.span, format!("`{}` would never answer: one line before it does", second.name.text))
                    .also(first.name.span, "this one answers")
                    .hint("keep one of them, or give each a path of its own: `/path/* {`"),
            );
        }
        match first.name.text.as_str() {
            "proxy" => self.proxy(first, groups).map(End::Proxy),
            "redirect" => self.redirect(first),
            "respond" => self.respond(first),
            _ => self.files(first).map(End::Files),
        }
    }

    fn files(&mut self, directive: &Directive) -> Option<Files> {
        let parts = &directive.parts;
        let folder = self.file(directive.value())?;
        let list = parts.one("list").is_some();
        let mut files = Files { folder, cache: None, fallback: None, follow: false, list };
        files.cache = parts.one("cache").and_then(|line| self.cache(line));
        self.put_some(parts, "fallback", &mut files.fallback, Self::plain_path);
        self.put(parts, "links", &mut files.follow, |this, word| this.choice(word, &[("inside", false), ("follow", true)]));
        Some(files)
    }

    fn cache(&mut self, line: &Directive) -> Option<Cache> {
        let age = self.duration(line.value())?;
        let immutable = match line.values.get(1) {
            Some(word) => self.choice(word, &[("immutable", true)])?,
            None => false,
        };
        Some(Cache { age, immutable })
    }

    fn redirect(&mut self, directive: &Directive) -> Option<End> {
        let code = match directive.values.get(1) {
            None => Some(defaults::REDIRECT_CODE),
            Some(word) => self.redirect_code(word),
        };
        let target = self.redirect_target(directive.value())?;
        Some(End::Redirect { target, code: code? })
    }

    fn redirect_code(&mut self, word: &Word) -> Option<u16> {
        let codes =
            [("301", 301), ("302", 302), ("303", 303), ("307", 307), ("308", 308), ("permanent", 308), ("temporary", 307)];
        let code = codes.iter().find(|(name, _)| *name == word.text).map(|(_, code)| *code);
        if code.is_none() {
            let hint = "write 308 (for good) or 307 (for now), which keep the method, or 301, 302, 303";
            self.complain(word.span, format!("{} is not the code of a redirect", quote(&word.text)), hint);
        }
        code
    }

    fn redirect_target(&mut self, word: &Word) -> Option<String> {
        if word.text.starts_with('/') {
            let uri = word.text.parse::<http::Uri>().ok();
            if uri.is_none() || word.text.starts_with("//") {
                let hint = "write a path such as /new, or a whole URL";
                self.complain(word.span, format!("{} is not a target of a redirect", quote(&word.text)), hint);
                return None;
            }
            return Some(word.text.clone());
        }
        if !word.text.contains("://") {
            let hint = format!("write https://{0} for another host, or /{0} for a path here", word.text);
            self.complain(word.span, format!("{} is neither a URL nor a path", quote(&word.text)), hint);
            return None;
        }
        self.url(word, &["https://", "http://"])
    }

    fn respond(&mut self, directive: &Directive) -> Option<End> {
        let word = directive.value();
        let code = u16::try_from(self.status(word)?).expect("a status has three digits");
        let text = directive.values.get(1).map(|word| word.text.clone()).unwrap_or_default();
        if matches!(code, 204 | 205 | 304) && !text.is_empty() {
            self.complain(directive.values[1].span, format!("an answer of {code} has no text"), "remove the text, or write 200");
        }
        Some(End::Respond { code, text })
    }

    fn status(&mut self, word: &Word) -> Option<u32> {
        let status = word.text.parse().ok().filter(|code| (200..=599).contains(code));
        if status.is_none() {
            let hint = "write a status from 200 to 599, and the text behind it: `respond 200 \"hello\"`";
            self.complain(word.span, format!("{} is not a status", quote(&word.text)), hint);
        }
        status
    }
}
