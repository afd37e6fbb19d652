//! `limit ...` of a site or path.

use std::time::Duration;

use super::resolver::Resolver;
use crate::base::duration;
use crate::base::size::ByteSize;
use crate::config::diagnostic::quote;
use crate::config::raw::{Directive, Directives};
use crate::config::settings::{LimitKey, MessageLimit, Policy, RequestLimit};
use crate::config::tree::Word;

impl Resolver<'_> {
    pub(super) fn limits(&mut self, parts: &Directives, policy: &mut Policy) {
        self.put_some(parts, "body", &mut policy.limit_body, |this, word| this.size(word, ByteSize(0)));
        self.put_some(parts, "connections", &mut policy.limit_connections, |this, word| this.number(word, 1, 1_000_000));
        self.put_some(parts, "bandwidth", &mut policy.limit_bandwidth, Self::bandwidth);
        if let Some(limit) = parts.one("requests").and_then(|directive| self.requests(directive)) {
            policy.limit_requests = Some(limit);
        }
        if let Some(limit) = parts.one("message").and_then(|directive| self.message(directive)) {
            policy.limit_message = Some(limit);
        }
    }

    /// `RATE [burst N] [by ip|header NAME|cookie NAME|query NAME]`.
    fn requests(&mut self, directive: &Directive) -> Option<RequestLimit> {
        let (rate, mut rest) = directive.values.split_first()?;
        let (count, per) = self.rate(rate)?;
        // A second's worth may come at once: browsers ask for a page's files together.
        let mut limit = RequestLimit { count, per, burst: count, by: LimitKey::Ip };
        while let Some((word, behind)) = rest.split_first() {
            rest = match (word.text.as_str(), behind) {
                ("burst", [burst, rest @ ..]) => {
                    limit.burst = self.number(burst, 0, 1_000_000)?;
                    rest
                }
                ("by", [ip, rest @ ..]) if ip.text == "ip" => rest,
                ("by", [header, name, rest @ ..]) if header.text == "header" => {
                    limit.by = LimitKey::Header(self.token(name)?);
                    rest
                }
                ("by", [cookie, name, rest @ ..]) if cookie.text == "cookie" => {
                    limit.by = LimitKey::Cookie(self.token(name)?);
                    rest
                }
                ("by", [query, name, rest @ ..]) if query.text == "query" => {
                    limit.by = LimitKey::Query(self.token(name)?);
                    rest
                }
                _ => {
                    let hint =
                        "behind the rate stand `burst N` and `by ip`, `by header NAME`, `by cookie NAME` or `by query NAME`";
                    self.complain(word.span, format!("{} cannot stand here", quote(&word.text)), hint);
                    return None;
                }
            };
        }
        Some(limit)
    }

    /// What is held in memory for each request has an upper bound.
    pub(super) fn buffer(&mut self, word: &Word) -> Option<ByteSize> {
        let size = self.size(word, ByteSize(1 << 10))?;
        let most = ByteSize(64 << 20);
        if size > most {
            let what = format!("{size} is too much to hold in memory for each request");
            self.complain(word.span, what, format!("write at most {most}; what is longer is passed on as it comes"));
            return None;
        }
        Some(size)
    }

    /// `SIZE/s`.
    fn bandwidth(&mut self, word: &Word) -> Option<ByteSize> {
        // Less than that is a standstill.
        let least = ByteSize(1 << 10);
        let rate = word.text.strip_suffix("/s").and_then(ByteSize::parse).filter(|rate| *rate >= least);
        if rate.is_none() {
            let hint = "write a size and `/s`, from 1KiB/s on: 1MiB/s";
            self.complain(word.span, format!("{} is not a bandwidth", quote(&word.text)), hint);
        }
        rate
    }

    /// `SIZE [RATE]`.
    fn message(&mut self, directive: &Directive) -> Option<MessageLimit> {
        let size = self.size(directive.value(), ByteSize(1))?;
        let rate = match directive.values.get(1) {
            Some(word) => Some(self.rate(word)?),
            None => None,
        };
        Some(MessageLimit { size, rate })
    }

    /// `10/s`, `100/min`, `5/10s`.
    fn rate(&mut self, word: &Word) -> Option<(u32, Duration)> {
        let read = |text: &str| {
            let (count, per) = text.split_once('/')?;
            let count = count.parse().ok().filter(|count| *count > 0)?;
            let per = if per.starts_with(|c: char| c.is_ascii_digit()) { per.to_owned() } else { format!("1{per}") };
            duration::parse(&per).filter(|per| !per.is_zero()).map(|per| (count, per))
        };
        let rate = read(&word.text);
        if rate.is_none() {
            let hint = "write a number, a slash and a time: 10/s, 100/min, 5/10s";
            self.complain(word.span, format!("{} is not a rate", quote(&word.text)), hint);
        }
        rate
    }
}
