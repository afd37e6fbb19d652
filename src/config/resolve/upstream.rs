//! `upstream NAME { }`, and the groups that a `proxy` writes in place.

use super::resolver::Resolver;
use super::target::Written;
use crate::base::duration;
use crate::base::name::HostName;
use crate::config::defaults;
use crate::config::diagnostic::{Diagnostic, any_of, nearest, quote};
use crate::config::raw::{Directive, Directives};
use crate::config::settings::{
    Balance, HashOf, ProxyProtocol, Resolve, SameSite, Sticky, Target, TargetAddress, TargetScheme, Upstream, UpstreamId,
    UpstreamProtocols, UpstreamTimeouts, UpstreamTls,
};
use crate::config::source::Span;
use crate::config::tree::Word;

/// Every group so far: the named ones first, then those written in place.
pub(super) struct Groups {
    list: Vec<Upstream>,
    /// Where each named one stood, and whether something uses it.
    named: Vec<(Span, bool)>,
}

impl Groups {
    pub(super) fn new(named: Vec<(Upstream, Span)>) -> Self {
        let (list, spans): (Vec<Upstream>, Vec<Span>) = named.into_iter().unzip();
        Self { list, named: spans.into_iter().map(|span| (span, false)).collect() }
    }

    pub(super) fn into_upstreams(self) -> Vec<Upstream> {
        self.list
    }

    fn find(&mut self, name: &str) -> Option<UpstreamId> {
        let at = self.list.iter().take(self.named.len()).position(|group| group.name == name)?;
        self.named[at].1 = true;
        Some(UpstreamId(at))
    }

    /// The group of just these targets; the same targets are the same group, so that they share connections.
    fn in_place(&mut self, targets: Vec<Target>) -> UpstreamId {
        let first = self.named.len();
        if let Some(at) = self.list.iter().skip(first).position(|group| group.targets == targets) {
            return UpstreamId(first + at);
        }
        let name = targets.iter().map(Target::to_string).collect::<Vec<_>>().join(" ");
        self.list.push(Upstream { targets, ..defaults::upstream(name) });
        UpstreamId(self.list.len() - 1)
    }
}

impl Resolver<'_> {
    /// Every `upstream` with its name's place.
    pub(super) fn upstreams(&mut self, top: &Directives) -> Vec<(Upstream, Span)> {
        let mut list: Vec<(Upstream, Span)> = Vec::new();
        for directive in top.all("upstream") {
            let word = directive.value();
            if let Some((_, first)) = list.iter().find(|(other, _)| other.name == word.text) {
                let problem = Diagnostic::at(word.span, format!("there are two upstreams {}", quote(&word.text)));
                self.findings.push(problem.also(*first, "first here").hint("give them different names"));
                continue;
            }
            self.upstream_name(word);
            list.push((self.upstream(directive), word.span));
        }
        list
    }

    /// A name must not look like a target, or a `proxy` would mean two things.
    fn upstream_name(&mut self, word: &Word) {
        let plain = HostName::parse(&word.text).is_ok() && !word.text.contains('.');
        if !plain {
            let hint = "write letters, digits and hyphens, with a letter among them";
            self.complain(word.span, format!("{} cannot name an upstream", quote(&word.text)), hint);
        }
    }

    fn upstream(&mut self, directive: &Directive) -> Upstream {
        let parts = &directive.parts;
        let mut upstream = defaults::upstream(directive.value().text.clone());
        for to in parts.all("to") {
            self.to(to, &mut upstream.targets);
        }
        if !upstream.targets.is_empty() && upstream.targets.iter().all(|target| target.backup) {
            let hint = "write the first choice without `backup`";
            self.complain(directive.name.span, "every target of this upstream is a backup", hint);
        }
        if parts.one("to").is_none() && !parts.incomplete {
            self.complain(directive.name.span, "this upstream has no target", "add a line `to TARGET`");
        }
        upstream.resolve = parts.one("resolve").and_then(|directive| self.resolve_names(directive, &upstream.targets));
        if let Some(balance) = parts.one("balance").and_then(|directive| self.balance(directive)) {
            upstream.balance = balance;
        }
        upstream.sticky = parts.one("sticky").and_then(|directive| self.sticky(directive));
        self.health_of(parts, &mut upstream);
        if let Some(retry) = parts.one("retry") {
            self.retry(retry, &mut upstream);
        }
        self.parts(parts, "timeout", |this, parts| this.upstream_timeouts(parts, &mut upstream.timeouts));
        if let Some(directive) = parts.one("protocols") {
            upstream.protocols = self.upstream_protocols(directive, &upstream.targets);
        }
        self.parts(parts, "tls", |this, parts| this.upstream_tls(parts, &mut upstream.tls));
        let versions = [("v1", ProxyProtocol::V1), ("v2", ProxyProtocol::V2)];
        self.put_some(parts, "proxy-protocol", &mut upstream.proxy_protocol, |this, word| this.choice(word, &versions));
        self.idle_tls(parts, &upstream);
        upstream
    }

    /// `dns [ADDRESS...]`, `srv [ADDRESS...]`, or `every SPAN`.
    fn resolve_names(&mut self, directive: &Directive, targets: &[Target]) -> Option<Resolve> {
        let is_named = |target: &Target| matches!(target.address, TargetAddress::Name(..));
        if !targets.is_empty() && !targets.iter().any(is_named) {
            let hint = "write a name instead of its addresses, as in `to app.internal:8000`, or remove `resolve`";
            self.complain(directive.name.span, "no target of this upstream is a name", hint);
        }
        match directive.values.as_slice() {
            [dns, servers @ ..] if dns.text == "dns" => {
                Some(Resolve::Dns(servers.iter().filter_map(|word| self.name_server(word)).collect()))
            }
            [srv, servers @ ..] if srv.text == "srv" => {
                Some(Resolve::Srv(servers.iter().filter_map(|word| self.name_server(word)).collect()))
            }
            [every, span] if every.text == "every" => {
                let least = defaults::RESOLVE_EVERY_LEAST;
                let every = self.duration(span)?;
                if every < least {
                    self.complain(span.span, "this is too often to ask", format!("write at least {}", duration::print(least)));
                }
                Some(Resolve::Every(every))
            }
            _ => {
                let hint = "write `resolve dns`, `resolve dns ADDRESS` with the name server's address, `resolve srv`, or `resolve every 30s`";
                self.complain(directive.span(), "it is not clear how names are to be looked up", hint);
                None
            }
        }
    }

    /// `N [budget P%]`.
    fn retry(&mut self, directive: &Directive, upstream: &mut Upstream) {
        if let Some(times) = self.number(directive.value(), 0, 10) {
            upstream.retry = times;
        }
        match &directive.values[1..] {
            [] => (),
            [word, share] if word.text == "budget" => {
                if let Some(percent) = self.percent(share) {
                    upstream.retry_budget = percent;
                }
            }
            [word, ..] => {
                let hint = "write `retry 1 budget 20%`";
                self.complain(word.span, format!("{} cannot stand here", quote(&word.text)), hint);
            }
        }
    }

    /// `cookie NAME [{ ... }]`.
    fn sticky(&mut self, directive: &Directive) -> Option<Sticky> {
        self.choice(&directive.values[0], &[("cookie", ())])?;
        let mut sticky = Sticky { cookie: self.token(&directive.values[1])?, max_age: None, same_site: SameSite::Lax };
        let parts = &directive.parts;
        self.put_some(parts, "max-age", &mut sticky.max_age, Self::duration);
        let choices = [SameSite::Lax, SameSite::Strict, SameSite::None].map(|choice| (choice.as_str(), choice));
        self.put(parts, "same-site", &mut sticky.same_site, |this, word| this.choice(word, &choices));
        Some(sticky)
    }

    /// TLS settings without a target that uses TLS are most likely a forgotten `https://`.
    fn idle_tls(&mut self, parts: &Directives, upstream: &Upstream) {
        let Some(tls) = parts.one("tls") else { return };
        if !upstream.targets.is_empty() && upstream.targets.iter().all(|target| target.scheme != TargetScheme::Https) {
            let hint = "write the targets as https://HOST, or remove `tls`";
            self.complain(tls.name.span, "no target of this upstream is spoken to by TLS", hint);
        }
    }

    /// Only a TLS handshake lets a backend choose.
    fn upstream_protocols(&mut self, directive: &Directive, targets: &[Target]) -> UpstreamProtocols {
        let named: Vec<bool> =
            directive.values.iter().filter_map(|word| self.choice(word, &[("h1", false), ("h2", true)])).collect();
        if !targets.is_empty() && targets.iter().all(|target| target.scheme != TargetScheme::Https) {
            let hint = "write h2c://HOST:PORT for targets that speak HTTP/2 without TLS, or remove `protocols`";
            self.complain(directive.name.span, "no target of this upstream is spoken to by TLS, which chooses the version", hint);
        }
        match (named.contains(&false), named.contains(&true)) {
            (true, true) => UpstreamProtocols::Both,
            (false, true) => UpstreamProtocols::Http2,
            (_, false) => UpstreamProtocols::Http1,
        }
    }

    fn to(&mut self, to: &Directive, targets: &mut Vec<Target>) {
        let (mut words, mut weight, mut backup) = (to.values.as_slice(), None, false);
        loop {
            words = match words {
                [words @ .., name, number] if name.text == "weight" => {
                    weight = self.number(number, 1, 1000);
                    words
                }
                [words @ .., word] if word.text == "backup" => {
                    backup = true;
                    words
                }
                _ => break,
            };
        }
        if words.is_empty() {
            let last = if backup { ("backup", "to TARGET backup") } else { ("weight", "to TARGET weight N") };
            self.complain(to.name.span, format!("a target is missing before `{}`", last.0), format!("write `{}`", last.1));
        }
        for word in words {
            match self.written(word) {
                Some(Written::Target(target)) => {
                    let target = Target { weight: weight.unwrap_or(1), backup, ..target };
                    if targets.iter().any(|other| other.address == target.address) {
                        self.complain(
                            word.span,
                            format!("{} is a target already", target.address),
                            "write it once, with a weight",
                        );
                    } else {
                        targets.push(target);
                    }
                }
                Some(Written::Name) => self.no_port(word),
                None => (),
            }
        }
    }

    fn no_port(&mut self, word: &Word) {
        let hint = format!("write the port behind it, as in {0}:8000, or a URL: http://{0}", word.text);
        self.complain(word.span, format!("{} has no port", quote(&word.text)), hint);
    }

    /// What a `proxy` sends to.
    pub(super) fn proxy(&mut self, proxy: &Directive, groups: &mut Groups) -> Option<UpstreamId> {
        let mut targets: Vec<Target> = Vec::new();
        for word in &proxy.values {
            match self.written(word)? {
                Written::Name if proxy.values.len() > 1 => {
                    let hint = "write one upstream, or targets with their ports";
                    self.complain(word.span, format!("{} cannot stand among other targets", quote(&word.text)), hint);
                    return None;
                }
                Written::Name => return groups.find(&word.text).or_else(|| self.unknown_upstream(word, groups)),
                Written::Target(target) if targets.contains(&target) => {
                    self.complain(word.span, format!("{} is written twice", quote(&word.text)), "write each target once");
                }
                Written::Target(target) => targets.push(target),
            }
        }
        Some(groups.in_place(targets))
    }

    fn unknown_upstream(&mut self, word: &Word, groups: &Groups) -> Option<UpstreamId> {
        let names = groups.list.iter().take(groups.named.len()).map(|group| group.name.as_str());
        let hint = match nearest(&word.text, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add an `upstream {0}` with its targets, or write a target with its port: {0}:8000", word.text),
        };
        self.complain(word.span, format!("there is no upstream {}", quote(&word.text)), hint);
        None
    }

    /// Warns of groups that nothing uses.
    pub(super) fn unused(&mut self, groups: &Groups) {
        for (group, (span, used)) in groups.list.iter().zip(&groups.named) {
            if !used {
                let problem = Diagnostic::at(*span, format!("nothing uses the upstream {}", quote(&group.name)));
                self.findings.warn(problem.hint(format!("add `proxy {}` to a site, or remove it", group.name)));
            }
        }
    }

    fn balance(&mut self, directive: &Directive) -> Option<Balance> {
        let simple =
            [("round-robin", Balance::RoundRobin), ("least-connections", Balance::LeastConnections), ("random", Balance::Random)];
        match directive.values.as_slice() {
            [hash, what @ ..] if hash.text == "hash" => {
                let of = self.hash_of(what);
                if of.is_none() {
                    let hint = "write `balance hash ip`, `hash uri`, `hash header NAME` or `hash cookie NAME`";
                    self.complain(directive.span(), "it is not clear what is hashed", hint);
                }
                of?.map(Balance::Hash)
            }
            [word] => self.choice(word, &simple),
            [_, extra, ..] => {
                let names: Vec<&str> = simple.iter().map(|(name, _)| *name).collect();
                self.complain(extra.span, "`balance` has one value too many", format!("write one of {}", any_of(&names)));
                None
            }
            [] => None,
        }
    }

    /// The outer option is whether it is clear what is meant, the inner one whether that can be had.
    fn hash_of(&mut self, words: &[Word]) -> Option<Option<HashOf>> {
        match words {
            [ip] if ip.text == "ip" => Some(Some(HashOf::Ip)),
            [uri] if uri.text == "uri" => Some(Some(HashOf::Uri)),
            [header, name] if header.text == "header" => Some(self.token(name).map(HashOf::Header)),
            [cookie, name] if cookie.text == "cookie" => Some(self.token(name).map(HashOf::Cookie)),
            _ => None,
        }
    }

    fn upstream_timeouts(&mut self, parts: &Directives, timeouts: &mut UpstreamTimeouts) {
        self.put(parts, "connect", &mut timeouts.connect, Self::duration);
        self.put(parts, "first-byte", &mut timeouts.first_byte, Self::duration_or_off);
        self.put(parts, "idle", &mut timeouts.idle, Self::duration_or_off);
        self.put(parts, "keep-alive", &mut timeouts.keep_alive, Self::duration);
    }

    fn upstream_tls(&mut self, parts: &Directives, tls: &mut UpstreamTls) {
        self.put_some(parts, "ca-file", &mut tls.ca_file, Self::file);
        self.put_some(parts, "server-name", &mut tls.server_name, Self::host);
        if let Some(client) = parts.one("client") {
            tls.client = self.file(&client.values[0]).zip(self.file(&client.values[1]));
        }
        tls.insecure = parts.one("insecure").is_some();
    }

    /// A name as HTTP has them (RFC 9110 section 5.6.2): of a header, a cookie, a query parameter.
    pub(super) fn token(&mut self, word: &Word) -> Option<String> {
        let fits = http::HeaderName::from_bytes(word.text.as_bytes()).is_ok();
        if !fits {
            let hint = "write letters, digits and hyphens";
            self.complain(word.span, format!("{} is not a name that HTTP knows", quote(&word.text)), hint);
        }
        fits.then(|| word.text.clone())
    }
}
