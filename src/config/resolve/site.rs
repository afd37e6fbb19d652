//! A site: its hosts, its certificate's source, and its blocks with the longest path first.

use super::handler;
use super::resolver::Resolver;
use super::upstream::Groups;
use crate::config::diagnostic::{Diagnostic, quote};
use crate::config::raw::{Directives, RawSite};
use crate::config::settings::{Block, PathPattern, Place, Policy, PortMap, Settings, Site, SiteHost, SiteRefusals};
use crate::config::source::Span;
use crate::config::tree::Word;

/// A host and where it stood.
pub(super) type Head = (SiteHost, Span);

/// A block before its end is known.
struct Planned<'a> {
    path: PathPattern,
    words: &'a Directives,
    policy: Policy,
    at: Place,
    span: Span,
}

impl Resolver<'_> {
    pub(super) fn sites(&mut self, raw: &[RawSite], settings: &Settings, groups: &mut Groups) -> Vec<Site> {
        let mut sites = Vec::new();
        for site in raw {
            sites.extend(self.site(site, settings, groups));
        }
        sites
    }

    /// One site of the text; more when its hosts get their certificates from two sources, or some are sent on to another.
    fn site(&mut self, raw: &RawSite, settings: &Settings, groups: &mut Groups) -> Vec<Site> {
        let heads: Vec<Head> =
            raw.heads.iter().filter_map(|word| self.head(word, settings).map(|host| (host, word.span))).collect();
        let own = self.policy(&Policy::default(), &raw.words, None);
        let blocks = self.blocks(raw, &heads, &own, groups, settings.port_map());
        let canonical = self.canonical(raw, &heads, settings);
        let shared_certificate =
            raw.words.one("certificate").is_some_and(|directive| self.choice(directive.value(), &[("shared", ())]).is_some());
        if heads.is_empty() {
            return Vec::new();
        }
        let sources = self.site_tls(raw, &heads, settings);
        if shared_certificate && sources.len() > 1 {
            let hint = "split the site in two, or choose one source by `tls`";
            self.complain(raw.heads[0].span, "public and local hosts cannot share one certificate", hint);
        }
        let clients = self.client_certificates(raw, &heads);
        let at = self.place(&raw.heads[0]);
        let whole = sources.into_iter().map(|(tls, hosts)| Site {
            hosts,
            tls,
            shared_certificate,
            client_certificates: clients.clone(),
            refusals: SiteRefusals::from(&own),
            blocks: blocks.clone(),
            at: at.clone(),
        });
        match canonical {
            Some(canonical) => whole.flat_map(|site| canonical.split(site, &own)).collect(),
            None => whole.collect(),
        }
    }

    fn blocks(&mut self, raw: &RawSite, heads: &[Head], own: &Policy, groups: &mut Groups, map: PortMap) -> Vec<Block> {
        let mut planned = self.planned(raw, own);
        // The longest path wins; of two alike, the exact one is the narrower. The sort is stable.
        planned.sort_by_key(|plan| match &plan.path {
            PathPattern::Exact(path) => (usize::MAX - path.len(), 0),
            PathPattern::Prefix(path) => (usize::MAX - path.len(), 1),
        });
        let mut blocks = Vec::new();
        for plan in planned {
            if handler::written(plan.words).is_none() {
                self.nothing_answers(plan.words, plan.span);
                continue;
            }
            let Some(end) = self.end(plan.words, groups) else { continue };
            blocks.push((Block { path: plan.path, policy: plan.policy, end, at: plan.at }, plan.span));
        }
        self.redirect_loops(&blocks, heads, map);
        blocks.into_iter().map(|(block, _)| block).collect()
    }

    /// Every block with its path and policy, in the order of the text.
    fn planned<'a>(&mut self, raw: &'a RawSite, own: &Policy) -> Vec<Planned<'a>> {
        let mut planned: Vec<Planned<'a>> = Vec::new();
        match handler::written(&raw.words) {
            Some(end) => planned.push(Planned {
                path: PathPattern::Prefix("/".into()),
                words: &raw.words,
                policy: own.clone(),
                at: self.place(&end.name),
                span: end.span(),
            }),
            None if raw.paths.is_empty() => self.nothing_answers(&raw.words, raw.heads[0].span),
            None => (),
        }
        for path in &raw.paths {
            for head in &path.heads {
                let Some(pattern) = self.pattern(head) else { continue };
                let policy = self.policy(own, &path.words, Some(&pattern));
                if let Some(first) = planned.iter().find(|other| other.path == pattern) {
                    let span = first.span;
                    self.shadowed(head, span);
                    continue;
                }
                planned.push(Planned { path: pattern, words: &path.words, policy, at: self.place(head), span: head.span });
            }
        }
        planned
    }

    fn nothing_answers(&mut self, words: &Directives, span: Span) {
        // A refused line may have been meant as the answer; one complaint is enough.
        if !words.incomplete {
            let hint = "add what answers: `proxy TARGET`, `redirect URL` or `respond CODE TEXT`";
            self.complain(span, "nothing answers here", hint);
        }
    }

    fn shadowed(&mut self, head: &Word, first: Span) {
        self.findings.push(
            Diagnostic::at(head.span, format!("{} can never answer: another line answers there already", quote(&head.text)))
                .also(first, "this one answers")
                .hint("keep one of the two"),
        );
    }
}
