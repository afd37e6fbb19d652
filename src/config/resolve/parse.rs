//! Single values: each reader takes a word, and gives its meaning or a problem.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::resolver::Resolver;
use crate::base::addr::{self, IpNet};
use crate::base::duration;
use crate::base::name::{self, HostName};
use crate::base::size::ByteSize;
use crate::config::diagnostic::{any_of, nearest, quote};
use crate::config::raw::Directives;
use crate::config::tree::Word;

impl Resolver<'_> {
    /// Reads the one value of a word of `list` into `slot`; what is not written or not readable leaves the slot as it is.
    pub(super) fn put<T>(
        &mut self,
        list: &Directives,
        name: &str,
        slot: &mut T,
        read: impl FnOnce(&mut Self, &Word) -> Option<T>,
    ) {
        if let Some(value) = list.one(name).and_then(|directive| read(self, directive.value())) {
            *slot = value;
        }
    }

    /// As [`Self::put`], for what is absent by default.
    pub(super) fn put_some<T>(
        &mut self,
        list: &Directives,
        name: &str,
        slot: &mut Option<T>,
        read: impl FnOnce(&mut Self, &Word) -> Option<T>,
    ) {
        self.put(list, name, slot, |this, word| read(this, word).map(Some));
    }

    /// Reads the parts of a word, if it is written.
    pub(super) fn parts(&mut self, list: &Directives, name: &str, read: impl FnOnce(&mut Self, &Directives)) {
        if let Some(directive) = list.one(name) {
            read(self, &directive.parts);
        }
    }

    /// A length of time above zero.
    pub(super) fn duration(&mut self, word: &Word) -> Option<Duration> {
        let duration = duration::parse(&word.text);
        match duration {
            None => {
                let hint = if word.text.parse::<u64>().is_ok() {
                    format!("add its unit: {0}s, {0}min or {0}h", word.text)
                } else {
                    "write a number with ms, s, min, h or d: 500ms, 30s, 1h30min".to_owned()
                };
                self.complain(word.span, format!("{} is not a length of time", quote(&word.text)), hint);
            }
            Some(Duration::ZERO) => {
                let hint = "write at least 1ms, or leave the word out for its default";
                self.complain(word.span, "this time must be longer than zero", hint);
            }
            Some(_) => (),
        }
        duration.filter(|d| *d > Duration::ZERO)
    }

    /// A length of time, or `off` for none. The outer option is whether it could be read.
    pub(super) fn duration_or_off(&mut self, word: &Word) -> Option<Option<Duration>> {
        if word.text == "off" { Some(None) } else { self.duration(word).map(Some) }
    }

    /// A number of bytes from `least` up.
    pub(super) fn size(&mut self, word: &Word, least: ByteSize) -> Option<ByteSize> {
        let Some(size) = ByteSize::parse(&word.text) else {
            let hint = "write a number with KiB, MiB, GiB (or KB, MB, GB, B), without a blank: 64KiB";
            self.complain(word.span, format!("{} is not a size", quote(&word.text)), hint);
            return None;
        };
        if size < least {
            self.complain(word.span, format!("{size} is too small here"), format!("write at least {least}"));
            return None;
        }
        Some(size)
    }

    /// A whole number between two bounds, both included.
    pub(super) fn number(&mut self, word: &Word, least: u32, most: u32) -> Option<u32> {
        let number = word.text.parse().ok().filter(|n| (least..=most).contains(n));
        if number.is_none() {
            let what = format!("{} is not a whole number from {least} to {most}", quote(&word.text));
            self.complain(word.span, what, "write such a number, without a unit");
        }
        number
    }

    /// A TCP port.
    pub(super) fn port(&mut self, word: &Word) -> Option<u16> {
        let port = word.text.parse().ok().filter(|port| *port != 0);
        if port.is_none() {
            self.complain(word.span, format!("{} is not a port", quote(&word.text)), "write a number from 1 to 65535");
        }
        port
    }

    /// An IP address.
    pub(super) fn ip(&mut self, word: &Word) -> Option<IpAddr> {
        let ip = name::parse_ip(&word.text);
        if ip.is_none() {
            let hint = "write an address such as 203.0.113.7 or 2001:db8::7; ports are set by `http-port` and `https-port`";
            self.complain(word.span, format!("{} is not an IP address", quote(&word.text)), hint);
        }
        ip
    }

    /// Networks; what cannot be read is left out.
    pub(super) fn nets(&mut self, words: &[Word]) -> Vec<IpNet> {
        words.iter().filter_map(|word| self.net(word)).collect()
    }

    fn net(&mut self, word: &Word) -> Option<IpNet> {
        let Some(net) = addr::parse_net(&word.text) else {
            let hint = "write 10.0.0.0/8, 2001:db8::/32, or one address";
            self.complain(word.span, format!("{} is not a network", quote(&word.text)), hint);
            return None;
        };
        if net.trunc() != net {
            let hint = format!("write {}, the network it lies in, or the address without the slash", net.trunc());
            self.complain(word.span, format!("{net} has bits behind its prefix"), hint);
        }
        Some(net.trunc())
    }

    /// A host name.
    pub(super) fn host(&mut self, word: &Word) -> Option<HostName> {
        HostName::parse(&word.text)
            .map_err(|error| self.complain(word.span, format!("{} is not a host name", quote(&word.text)), error.to_string()))
            .ok()
    }

    /// An absolute URL that begins with one of these, such as `https://`; without a name and password, and no fragment.
    pub(super) fn url(&mut self, word: &Word, starts: &[&str]) -> Option<String> {
        let uri = word.text.parse::<http::Uri>().ok();
        let authority = uri.as_ref().and_then(http::Uri::authority);
        let fits = starts.iter().any(|start| word.text.starts_with(start))
            && !word.text.contains('#')
            && authority.is_some_and(|authority| !authority.as_str().contains('@') && !authority.host().is_empty());
        if !fits {
            let hint = format!("write a whole URL that begins with {}", any_of(starts));
            self.complain(word.span, format!("{} is not a URL that can stand here", quote(&word.text)), hint);
        }
        fits.then(|| word.text.clone())
    }

    /// A share from 1% to 100%, in percent.
    pub(super) fn percent(&mut self, word: &Word) -> Option<u32> {
        let number = word.text.strip_suffix('%').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let percent = number.and_then(|digits| digits.parse().ok()).filter(|percent| (1..=100).contains(percent));
        if percent.is_none() {
            let hint = "write a whole number from 1% to 100%";
            self.complain(word.span, format!("{} is not a share", quote(&word.text)), hint);
        }
        percent
    }

    /// One of several words.
    pub(super) fn choice<T: Clone>(&mut self, word: &Word, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(name, _)| *name == word.text).map(|(_, value)| value.clone());
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            let hint = match nearest(&word.text, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write {}", any_of(&names)),
            };
            self.complain(word.span, format!("{} cannot stand here", quote(&word.text)), hint);
        }
        found
    }

    /// `on` or `off`.
    pub(super) fn switch(&mut self, word: &Word) -> Option<bool> {
        self.choice(word, &[("on", true), ("off", false)])
    }

    /// A path on this machine, made absolute.
    pub(super) fn file(&mut self, word: &Word) -> Option<PathBuf> {
        self.text(word).map(|text| self.sources.path(word.span, &text))
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, word: &Word) -> Option<String> {
        if word.text.is_empty() {
            self.complain(word.span, "this value is empty", "write it, or remove the line");
            return None;
        }
        Some(word.text.clone())
    }
}
