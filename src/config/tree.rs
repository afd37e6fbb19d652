//! Words gathered into lines and braces; a tree that remembers where each word stood. It knows no word's meaning.

use super::diagnostic::{Diagnostic, Diagnostics};
use super::lex::{Token, TokenKind};
use super::settings::Place;
use super::source::Span;

/// How deep braces may nest. The language itself needs four.
pub const DEEPEST: usize = 16;

/// One word with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word: quotes taken off, environment put in.
    pub text: String,
    /// Where it stood.
    pub span: Span,
    /// Whether it was written in quotes.
    pub quoted: bool,
    /// The variable, when the whole word is one from the environment.
    pub variable: Option<String>,
    /// Where it stood before `adapt` printed it, when that was said.
    pub origin: Option<Place>,
}

impl Word {
    /// A word without quotes and environment.
    pub fn plain(text: impl Into<String>, span: Span) -> Self {
        Self { text: text.into(), span, quoted: false, variable: None, origin: None }
    }
}

/// A line, with the lines in its braces if it has some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its words; never empty.
    pub words: Vec<Word>,
    /// What stands in its braces.
    pub block: Option<Vec<Self>>,
}

impl Node {
    /// The first word: the line's name.
    pub fn name(&self) -> &Word {
        &self.words[0]
    }

    /// The line from its first word to its last.
    pub fn span(&self) -> Span {
        self.name().span.to(self.words[self.words.len() - 1].span)
    }
}

/// Gathers tokens into a tree. Never fails: what cannot stand is a problem, and reading goes on.
pub fn parse(tokens: Vec<Token>, findings: &mut Diagnostics) -> Vec<Node> {
    let mut parser = Parser {
        open: Vec::new(),
        nodes: Vec::new(),
        words: Vec::new(),
        line: Line::Nothing,
        said: false,
        after_words: false,
        findings,
    };
    for token in tokens {
        if token.kind == TokenKind::Open && parser.open.len() == DEEPEST {
            parser.findings.push(
                Diagnostic::at(token.span, format!("braces nest deeper than {DEEPEST}"))
                    .hint("close the ones before it; the language itself needs four"),
            );
            // What follows has lost its place, and nothing of the rest would be about the person's text.
            return Vec::new();
        }
        parser.take(token);
    }
    parser.finish()
}

/// A `{` that waits for its `}`.
struct Opened {
    brace: Span,
    words: Vec<Word>,
    /// The lines before it on the level above.
    before: Vec<Node>,
}

/// What the present line has so far.
#[derive(Clone, Copy, PartialEq)]
enum Line {
    Nothing,
    Words,
    Opened,
    Closed,
}

struct Parser<'a> {
    open: Vec<Opened>,
    nodes: Vec<Node>,
    words: Vec<Word>,
    line: Line,
    /// Whether the present line was complained about; once is enough.
    said: bool,
    /// Whether the line before was one of words only, which a `{` on a line of its own most likely belongs to.
    after_words: bool,
    findings: &'a mut Diagnostics,
}

impl Parser<'_> {
    fn take(&mut self, token: Token) {
        match token.kind {
            TokenKind::Comment => (),
            TokenKind::EndOfLine => self.end_line(),
            TokenKind::Open => self.opening(token.span),
            TokenKind::Close => self.closing(token.span),
            TokenKind::Word { text, quoted } => {
                match self.line {
                    Line::Nothing => self.line = Line::Words,
                    Line::Words => (),
                    Line::Opened => {
                        self.stray(token.span, "a word stands behind a `{`", "put what stands in braces on lines of its own")
                    }
                    Line::Closed => self.stray(token.span, "a word stands behind a `}`", "put each `}` on a line of its own"),
                }
                self.words.push(Word { text, span: token.span, quoted, variable: None, origin: None });
            }
        }
    }

    fn end_line(&mut self) {
        self.after_words = self.line == Line::Words;
        self.line = Line::Nothing;
        self.said = false;
        self.end_words();
    }

    fn end_words(&mut self) {
        if !self.words.is_empty() {
            self.nodes.push(Node { words: std::mem::take(&mut self.words), block: None });
        }
    }

    fn opening(&mut self, brace: Span) {
        match self.line {
            Line::Words => (),
            Line::Nothing if self.after_words => {
                self.stray(brace, "this `{` stands on a line of its own", "put it at the end of the line before");
                self.words = self.nodes.pop().map(|node| node.words).unwrap_or_default();
            }
            Line::Nothing => self.stray(
                brace,
                "nothing stands before this `{`",
                "write the site or the word it belongs to before it; options for the whole gateway need no braces around them",
            ),
            Line::Opened | Line::Closed => self.stray(brace, "this `{` stands behind another brace", "give each line one brace"),
        }
        let words = std::mem::take(&mut self.words);
        self.open.push(Opened { brace, words, before: std::mem::take(&mut self.nodes) });
        self.line = Line::Opened;
    }

    fn closing(&mut self, brace: Span) {
        if self.line != Line::Nothing {
            self.stray(brace, "this `}` stands behind other words", "put each `}` on a line of its own");
            self.end_words();
        }
        self.line = Line::Closed;
        match self.open.pop() {
            Some(opened) => self.close(opened),
            None => self
                .findings
                .push(Diagnostic::at(brace, "this `}` closes nothing").hint("remove it, or find the missing `{` above")),
        }
    }

    fn close(&mut self, opened: Opened) {
        let block = std::mem::replace(&mut self.nodes, opened.before);
        if !opened.words.is_empty() {
            self.nodes.push(Node { words: opened.words, block: Some(block) });
        }
    }

    fn stray(&mut self, span: Span, what: &str, hint: &str) {
        if !self.said {
            self.findings.push(Diagnostic::at(span, what).hint(hint));
        }
        self.said = true;
    }

    fn finish(mut self) -> Vec<Node> {
        self.end_words();
        while let Some(opened) = self.open.pop() {
            self.findings.push(
                Diagnostic::at(opened.brace, "this `{` is never closed").hint("add a `}` on a line of its own where it ends"),
            );
            self.close(opened);
        }
        self.nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::lex::lex;

    fn show(nodes: &[Node]) -> String {
        let line = |node: &Node| {
            let words: Vec<&str> = node.words.iter().map(|word| word.text.as_str()).collect();
            match &node.block {
                Some(block) => format!("{}({})", words.join(" "), show(block)),
                None => words.join(" "),
            }
        };
        nodes.iter().map(line).collect::<Vec<_>>().join("; ")
    }

    fn check(text: &str, expected: &str) {
        let mut findings = Diagnostics::default();
        let tokens = lex(text, 0, &mut findings);
        let mut shown = vec![show(&parse(tokens, &mut findings))];
        shown.extend(findings.problems.into_iter().map(|p| p.what));
        assert_eq!(shown.join(" ! "), expected, "for {text:?}");
    }

    #[test]
    fn lines_and_braces_nest() {
        check("email a@b\n\na b {\n proxy 1\n /x {\n y\n }\n}\n", "email a@b; a b(proxy 1; /x(y))");
        check("a {\n}\nb\n", "a(); b");
    }

    #[test]
    fn braces_out_of_place_are_said_and_survived() {
        check("a {\n b\n", "a(b) ! this `{` is never closed");
        check("a\n}\nb\n", "a; b ! this `}` closes nothing");
        check("{\n email x\n}\n", " ! nothing stands before this `{`");
        check("a { b }\n", "a(b) ! a word stands behind a `{`");
        check("a { }\n", "a() ! this `}` stands behind other words");
        check("a\n{\n b\n}\n", "a(b) ! this `{` stands on a line of its own");
        check("a\n\n{\n b\n}\n", "a ! nothing stands before this `{`");
        check("a {\n} {\n}\n", "a() ! this `{` stands behind another brace");
        check("a {\n} b\nc\n", "a(); b; c ! a word stands behind a `}`");
    }

    #[test]
    fn depth_is_bounded() {
        let mut findings = Diagnostics::default();
        let tokens = lex(&"a {\n".repeat(100_000), 0, &mut findings);
        parse(tokens, &mut findings);
        assert_eq!(findings.problems[0].what, "braces nest deeper than 16");
    }
}
