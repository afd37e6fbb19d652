//! The tree as directives, word for word: every word known, its values counted, its parts in one form. What the values
//! mean is `resolve`'s concern.

use super::diagnostic::{Diagnostic, Diagnostics, nearest, quote};
use super::directives::{Context, DirectiveKind, DirectiveSpec};
use super::migration_hints;
use super::source::Span;
use super::tree::{Node, Word};

mod site_address;

/// A whole configuration, as typed.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    /// The words outside of sites.
    pub top: Directives,
    /// The sites in the order of the text.
    pub sites: Vec<RawSite>,
}

/// A site, as typed.
#[derive(Clone, Debug)]
pub struct RawSite {
    /// Its hosts; never empty.
    pub heads: Vec<Word>,
    /// Words outside of path braces.
    pub words: Directives,
    /// Path braces in the order of the text.
    pub paths: Vec<RawPath>,
}

/// Braces of one or several paths, as typed.
#[derive(Clone, Debug)]
pub struct RawPath {
    /// The paths; never empty.
    pub heads: Vec<Word>,
    /// What stands in the braces.
    pub words: Directives,
}

/// One word with what belongs to it.
#[derive(Clone, Debug)]
pub struct Directive {
    /// The word as it stood.
    pub name: Word,
    /// Its values.
    pub values: Vec<Word>,
    /// What stood in its braces, or behind it when it has parts.
    pub parts: Directives,
    /// Whether it had braces of its own.
    pub braces: bool,
}

impl Directive {
    /// From its name to its last value.
    pub fn span(&self) -> Span {
        self.values.last().map_or(self.name.span, |last| self.name.span.to(last.span))
    }

    /// Its first value; `raw` counted that it is there.
    pub fn value(&self) -> &Word {
        &self.values[0]
    }
}

/// The words of one place.
#[derive(Clone, Debug, Default)]
pub struct Directives {
    /// In the order of the text.
    pub list: Vec<Directive>,
    /// Whether a line here was refused, so that what seems missing may have been meant by it.
    pub incomplete: bool,
}

impl Directives {
    /// The word of this name, of which there is at most one.
    pub fn one(&self, name: &str) -> Option<&Directive> {
        self.list.iter().find(|directive| directive.name.text == name)
    }

    /// Every line of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Directive> {
        self.list.iter().filter(move |directive| directive.name.text == name)
    }
}

/// Reads a tree.
pub fn read(tree: Vec<Node>, findings: &mut Diagnostics) -> Raw {
    Reader { findings }.top(tree)
}

struct Reader<'a> {
    findings: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn top(&mut self, tree: Vec<Node>) -> Raw {
        let mut raw = Raw::default();
        let mut words = Vec::new();
        for node in tree {
            if site_address::opens_site(&node) {
                raw.sites.extend(self.site(node));
            } else {
                words.push(node);
            }
        }
        raw.top = self.words(words, Context::Top);
        raw
    }

    fn site(&mut self, node: Node) -> Option<RawSite> {
        let Some(block) = node.block else {
            let hint = format!(
                "write `{} {{`, what to do, and `}}`, each on a line of its own",
                node.words[0].text.trim_end_matches(',')
            );
            self.findings.push(Diagnostic::at(node.words[0].span, "a site needs braces").hint(hint));
            return None;
        };
        let mut paths = Vec::new();
        let mut words = Vec::new();
        for inner in block {
            if inner.name().text.starts_with('/') {
                paths.extend(self.path(inner));
            } else {
                words.push(inner);
            }
        }
        let heads = site_address::without_commas(node.words);
        Some(RawSite { heads, words: self.words(words, Context::Site), paths })
    }

    fn path(&mut self, node: Node) -> Option<RawPath> {
        let Some(block) = node.block else {
            let hint = format!("write `{} {{`, what to do, and `}}`, each on a line of its own", node.words[0].text);
            self.findings.push(Diagnostic::at(node.words[0].span, "a path needs braces").hint(hint));
            return None;
        };
        let (nested, words): (Vec<Node>, Vec<Node>) = block.into_iter().partition(|inner| inner.name().text.starts_with('/'));
        for inner in nested {
            self.findings.push(
                Diagnostic::at(inner.name().span, "a path stands inside another path's braces")
                    .hint("put it beside the other path and write it whole; the longest path wins"),
            );
        }
        Some(RawPath { heads: site_address::without_commas(node.words), words: self.words(words, Context::Path) })
    }

    /// Reads the words of one place and refuses what stands twice.
    fn words(&mut self, nodes: Vec<Node>, context: Context) -> Directives {
        let mut list: Vec<Directive> = Vec::new();
        let mut incomplete = false;
        for node in nodes {
            let spec = self.spec(&node, context);
            let Some((spec, directive)) = spec.and_then(|spec| Some((spec, self.directive(node, spec)?))) else {
                incomplete = true;
                continue;
            };
            let earlier = list.iter_mut().find(|other| other.name.text == directive.name.text);
            match (earlier, spec.form) {
                (Some(earlier), DirectiveKind::Parts(inside)) => self.merge(earlier, directive, inside),
                (Some(earlier), _) if !spec.repeats => self.twice(&directive.name, &earlier.name),
                _ => list.push(directive),
            }
        }
        Directives { list, incomplete }
    }

    fn spec(&mut self, node: &Node, context: Context) -> Option<DirectiveSpec> {
        if context == Context::Free {
            return Some(DirectiveSpec {
                name: "",
                form: DirectiveKind::Values(0, usize::MAX),
                repeats: false,
                usage: "NAME VALUE...",
            });
        }
        let name = &node.name().text;
        let found = context.find(name);
        if found.is_none() {
            self.unknown(node.name(), context);
        }
        found.copied()
    }

    fn unknown(&mut self, word: &Word, context: Context) {
        let problem = Diagnostic::at(word.span, format!("{} is not a word that can stand here", quote(&word.text)));
        let hint = if let Some(place) = context.elsewhere(&word.text) {
            format!("`{}` stands {place}", word.text)
        } else if let Some(instead) = migration_hints::instead(&word.text) {
            instead.to_owned()
        } else if let Some(near) = nearest(&word.text, context.words().map(|spec| spec.name)) {
            format!("did you mean `{near}`?")
        } else {
            let known: Vec<&str> = context.words().map(|spec| spec.name).collect();
            format!("known here: {}", known.join(", "))
        };
        self.findings.push(problem.hint(hint));
    }

    fn directive(&mut self, node: Node, spec: DirectiveSpec) -> Option<Directive> {
        let mut words = node.words.into_iter();
        let name = words.next().expect("a node has a name");
        let values: Vec<Word> = words.collect();
        let braces = node.block.is_some();
        match spec.form {
            DirectiveKind::Values(least, most) => {
                if braces {
                    self.misuse(&name, "takes no braces", spec);
                    return None;
                }
                self.count(&name, &values, least, most, spec)?;
                Some(Directive { name, values, parts: Directives::default(), braces })
            }
            DirectiveKind::Parts(inside) => {
                let nodes = match node.block {
                    Some(block) if values.is_empty() => block,
                    None if values.is_empty() => {
                        self.misuse(&name, "says nothing", spec);
                        return None;
                    }
                    block => vec![Node { words: values, block }],
                };
                Some(Directive { name, values: Vec::new(), parts: self.words(nodes, inside), braces })
            }
            DirectiveKind::Block { least, most, inside, optional } => {
                if !braces && !optional {
                    self.misuse(&name, "needs braces", spec);
                    return None;
                }
                self.count(&name, &values, least, most, spec)?;
                let parts = self.words(node.block.unwrap_or_default(), inside);
                Some(Directive { name, values, parts, braces })
            }
        }
    }

    fn count(&mut self, name: &Word, values: &[Word], least: usize, most: usize, spec: DirectiveSpec) -> Option<()> {
        if values.len() < least {
            let seen = if values.is_empty() { "has no value" } else { "has too few values" };
            self.misuse(name, seen, spec);
            return None;
        }
        let Some(extra) = values.get(most) else { return Some(()) };
        let what = format!("{} has one value too many: {}", quote(&name.text), quote(&extra.text));
        self.findings.push(Diagnostic::at(extra.span, what).hint(usage(spec)));
        None
    }

    fn misuse(&mut self, name: &Word, seen: &str, spec: DirectiveSpec) {
        self.findings.push(Diagnostic::at(name.span, format!("{} {seen}", quote(&name.text))).hint(usage(spec)));
    }

    fn merge(&mut self, earlier: &mut Directive, later: Directive, inside: Context) {
        for part in later.parts.list {
            let repeats = inside.find(&part.name.text).is_some_and(|spec| spec.repeats);
            match earlier.parts.one(&part.name.text) {
                Some(first) if !repeats => self.twice(&part.name, &first.name),
                _ => earlier.parts.list.push(part),
            }
        }
    }

    fn twice(&mut self, name: &Word, first: &Word) {
        self.findings.push(
            Diagnostic::at(name.span, format!("{} is written twice", quote(&name.text)))
                .also(first.span, "first here")
                .hint("keep one of the two"),
        );
    }
}

fn usage(spec: DirectiveSpec) -> String {
    format!("it is written: {}", spec.usage)
}
