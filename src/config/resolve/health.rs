//! By what a target is taken for well, and what becomes of requests when none is: `health`, `max-fails`, `circuit-breaker`,
//! `fail-status`, `slow-start`, `hold`, `max-connections`.

use std::time::Duration;

use super::resolver::Resolver;
use crate::config::defaults;
use crate::config::diagnostic::quote;
use crate::config::raw::{Directive, Directives};
use crate::config::settings::{CircuitBreaker, Health, Hold, MaxFails, StatusRange, Upstream};
use crate::config::tree::Word;

impl Resolver<'_> {
    pub(super) fn health_of(&mut self, parts: &Directives, upstream: &mut Upstream) {
        upstream.health = parts.one("health").and_then(|directive| self.health(directive));
        if let Some(rule) = parts.one("max-fails").and_then(|directive| self.max_fails(directive)) {
            upstream.max_fails = rule;
        }
        upstream.circuit_breaker = parts.one("circuit-breaker").and_then(|directive| self.circuit_breaker(directive));
        upstream.fail_status = parts.one("fail-status").map(|directive| self.statuses(&directive.values)).unwrap_or_default();
        self.put(parts, "slow-start", &mut upstream.slow_start, Self::duration);
        upstream.hold = parts.one("hold").and_then(|directive| self.hold(directive));
        self.put_some(parts, "max-connections", &mut upstream.max_connections, |this, word| this.number(word, 1, 1_000_000));
    }

    /// `SPAN [N]`.
    fn hold(&mut self, directive: &Directive) -> Option<Hold> {
        let most = match directive.values.get(1) {
            Some(word) => self.number(word, 1, 1_000_000)?,
            None => defaults::MAX_HELD,
        };
        Some(Hold { span: self.duration(directive.value())?, most })
    }

    /// `PATH [every SPAN] [{ ... }]`.
    fn health(&mut self, directive: &Directive) -> Option<Health> {
        let every = match directive.values.as_slice() {
            [_] => defaults::HEALTH_EVERY,
            [_, word, every] if word.text == "every" => self.duration(every)?,
            _ => {
                self.complain(directive.span(), "the time between two checks is missing", "write `health PATH every 10s`");
                return None;
            }
        };
        let mut health = defaults::health(self.plain_path(directive.value())?, every);
        let parts = &directive.parts;
        self.put(parts, "timeout", &mut health.timeout, Self::duration);
        if let Some(status) = parts.one("status") {
            health.status = self.statuses(&status.values);
        }
        self.put(parts, "rise", &mut health.rise, |this, word| this.number(word, 1, 100));
        self.put(parts, "fall", &mut health.fall, |this, word| this.number(word, 1, 100));
        self.put_some(parts, "host", &mut health.host, Self::host);
        Some(health)
    }

    /// `off`, or `N [within SPAN] [out SPAN]`. The outer option is whether it could be read.
    fn max_fails(&mut self, directive: &Directive) -> Option<Option<MaxFails>> {
        let (count, mut rest) = directive.values.split_first()?;
        if count.text == "off" && rest.is_empty() {
            return Some(None);
        }
        let mut rule = MaxFails { count: self.number(count, 1, 1_000_000)?, ..defaults::MAX_FAILS };
        while let Some((word, behind)) = rest.split_first() {
            let (slot, span): (&mut Duration, &Word) = match (word.text.as_str(), behind.first()) {
                ("within", Some(span)) => (&mut rule.within, span),
                ("out", Some(span)) => (&mut rule.out, span),
                _ => {
                    let hint = "write `max-fails 3 within 10s out 10s`, or `max-fails off`";
                    self.complain(word.span, format!("{} cannot stand here", quote(&word.text)), hint);
                    return None;
                }
            };
            *slot = self.duration(span)?;
            rest = &behind[1..];
        }
        Some(Some(rule))
    }

    /// `P% [of N] [within SPAN] [out SPAN]`.
    fn circuit_breaker(&mut self, directive: &Directive) -> Option<CircuitBreaker> {
        let (share, mut rest) = directive.values.split_first()?;
        let mut rule = CircuitBreaker { percent: self.percent(share)?, ..defaults::CIRCUIT_BREAKER };
        while let Some((word, behind)) = rest.split_first() {
            match (word.text.as_str(), behind.first()) {
                ("of", Some(least)) => rule.least = self.number(least, 1, 1000)?,
                ("within", Some(span)) => rule.within = self.duration(span)?,
                ("out", Some(span)) => rule.out = self.duration(span)?,
                _ => {
                    let hint = "write `circuit-breaker 50% of 20 within 10s out 15s`";
                    self.complain(word.span, format!("{} cannot stand here", quote(&word.text)), hint);
                    return None;
                }
            }
            rest = &behind[1..];
        }
        Some(rule)
    }

    fn statuses(&mut self, words: &[Word]) -> Vec<StatusRange> {
        words.iter().filter_map(|word| self.status_range(word)).collect()
    }

    fn status_range(&mut self, word: &Word) -> Option<StatusRange> {
        let status = StatusRange::parse(&word.text);
        if status.is_none() {
            let hint = "write a status such as 503, or a class of them: 5xx";
            self.complain(word.span, format!("{} is not the status of an answer", quote(&word.text)), hint);
        }
        status
    }
}
