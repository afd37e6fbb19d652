//! What is wrong with a configuration: where, what, and the one thing to do; rendered like a compiler's complaints.

use std::fmt::{self, Write as _};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::env_values::EnvValues;
use super::source::{Sources, Span};

/// How much of a word is repeated in a message: enough to recognise it.
const SHOWN: usize = 60;
/// How many problems are rendered; behind them only their number is said.
const RENDERED: usize = 100;

/// One complaint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where it stands; `None` when it belongs to no place in a text.
    pub place: Option<Span>,
    /// What was seen and what is wrong with it.
    pub what: String,
    /// The one thing to do.
    pub hint: Option<String>,
    /// A second place that explains the first, with what it is.
    pub also: Option<(Span, String)>,
}

impl Diagnostic {
    /// A complaint about a place in a text.
    pub fn at(place: Span, what: impl Into<String>) -> Self {
        Self { place: Some(place), what: what.into(), hint: None, also: None }
    }

    /// A complaint about the configuration as a whole.
    pub fn general(what: impl Into<String>) -> Self {
        Self { place: None, what: what.into(), hint: None, also: None }
    }

    /// Adds the one thing to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a second place.
    #[must_use]
    pub fn also(mut self, place: Span, label: impl Into<String>) -> Self {
        self.also = Some((place, label.into()));
        self
    }

    /// Puts variables in the place of what came from the environment.
    fn hide(&mut self, values: &EnvValues) {
        self.what = values.hide_quoted(&self.what, quote);
        if let Some(hint) = &mut self.hint {
            *hint = values.hide_quoted(hint, quote);
        }
        if let Some((_, label)) = &mut self.also {
            *label = values.hide_quoted(label, quote);
        }
    }
}

/// Problems and warnings as they are collected.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    /// Each of these refuses the configuration.
    pub problems: Vec<Diagnostic>,
    /// The configuration runs, but perhaps not as meant.
    pub warnings: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds a problem.
    pub fn push(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    /// Adds a warning.
    pub fn warn(&mut self, problem: Diagnostic) {
        self.warnings.push(problem);
    }
}

/// Diagnostics of one kind with the texts they are about, ready to be shown.
#[derive(Clone, Debug)]
pub struct Report {
    sources: Sources,
    severity: Severity,
    list: Vec<Diagnostic>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Error,
    Warning,
}

impl Report {
    /// Problems that refuse a configuration.
    pub fn errors(sources: Sources, list: Vec<Diagnostic>) -> Self {
        Self::of(sources, Severity::Error, list)
    }

    /// Remarks on a configuration that runs.
    pub fn warnings(sources: Sources, list: Vec<Diagnostic>) -> Self {
        Self::of(sources, Severity::Warning, list)
    }

    /// Its findings repeat words, and a word may be a secret from the environment.
    fn of(sources: Sources, severity: Severity, mut list: Vec<Diagnostic>) -> Self {
        list.iter_mut().for_each(|problem| problem.hide(&sources.env_values));
        Self { sources, severity, list }
    }

    /// One more finding, behind the others.
    pub fn add(&mut self, mut problem: Diagnostic) {
        problem.hide(&self.sources.env_values);
        self.list.push(problem);
    }

    /// The findings in the order of the text.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// Whether there is nothing to say.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// As text for a person, empty when there is nothing to say; `colours` for a terminal only.
    pub fn render(&self, colours: bool) -> String {
        if self.list.is_empty() {
            return String::new();
        }
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in self.list.iter().take(RENDERED) {
            text.push_str(&renderer.render(&[self.group(problem)]));
            text.push_str("\n\n");
        }
        let count = self.list.len();
        if count > RENDERED {
            // Writing into a String cannot fail.
            let _ = write!(text, "and {} more; ", count - RENDERED);
        }
        let noun = match self.severity {
            Severity::Error => "problem",
            Severity::Warning => "warning",
        };
        let _ = write!(text, "{count} {noun}{}", if count == 1 { "" } else { "s" });
        text
    }

    fn group<'a>(&'a self, problem: &'a Diagnostic) -> Group<'a> {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(problem.what.as_str()));
        if let Some(span) = problem.place {
            group = self.snippets(group, span, problem.also.as_ref());
            if let Some(path) = self.sources.json_path(span) {
                group = group.element(Level::NOTE.message(format!("it is {}", quote(path))));
            }
        }
        match &problem.hint {
            Some(hint) => group.element(Level::HELP.message(hint.as_str())),
            None => group,
        }
    }

    /// The offending line, and the explaining one when there is another. Only these lines are handed to the renderer,
    /// so that a long file costs no more than a short one.
    fn snippets<'a>(&'a self, group: Group<'a>, span: Span, also: Option<&'a (Span, String)>) -> Group<'a> {
        let primary = AnnotationKind::Primary;
        match also {
            Some((other, label)) if other.file == span.file => {
                let (window, first, line) = self.window(span, Some(*other));
                let context = AnnotationKind::Context.span(within(*other, first)).label(label.as_str());
                let snippet = Snippet::source(window).line_start(line).path(self.name(span));
                group.element(snippet.annotation(primary.span(within(span, first))).annotation(context))
            }
            _ => {
                let (window, first, line) = self.window(span, None);
                let snippet = Snippet::source(window).line_start(line).path(self.name(span));
                let group = group.element(snippet.annotation(primary.span(within(span, first))));
                let Some((other, label)) = also else { return group };
                let (window, first, line) = self.window(*other, None);
                let context = AnnotationKind::Context.span(within(*other, first)).label(label.as_str());
                group.element(Snippet::source(window).line_start(line).path(self.name(*other)).annotation(context))
            }
        }
    }

    fn name(&self, span: Span) -> &str {
        let name = &*self.sources.of(span).name;
        if name.is_empty() { "command line" } else { name }
    }

    /// The lines from one span to the other, the byte they begin at, and the number of the first.
    fn window(&self, span: Span, other: Option<Span>) -> (&str, u32, usize) {
        let text = &*self.sources.of(span).text;
        let start = other.map_or(span.start, |o| o.start.min(span.start)) as usize;
        let end = other.map_or(span.end, |o| o.end.max(span.end)) as usize;
        let first = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let last = text[end..].find('\n').map_or(text.len(), |at| end + at);
        let line = text[..first].bytes().filter(|b| *b == b'\n').count() + 1;
        (&text[first..last], u32::try_from(first).unwrap_or(u32::MAX), line)
    }
}

/// A span as the renderer wants it: inside the window, and underlining at least one column.
fn within(span: Span, first: u32) -> std::ops::Range<usize> {
    let range = span.range();
    range.start - first as usize..range.end - first as usize
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// A word of the text as a message repeats it: in backticks, control characters escaped, cut when long.
pub fn quote(word: &str) -> String {
    let mut shown = String::from("`");
    for (n, c) in word.chars().enumerate() {
        if n == SHOWN {
            shown.push('…');
            break;
        }
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown.push('`');
    shown
}

/// Alternatives as a sentence has them: `a`, `b` or `c`.
pub fn any_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", most.join(", "))
        }
    }
}

/// The known word a person most likely meant, if one is near enough.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing costs the product of both lengths; nothing that long is a slip of the finger.
    if word.chars().count() > 40 {
        return None;
    }
    let folded = word.to_lowercase().replace('_', "-");
    let slips = (folded.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&folded, candidate), candidate))
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.add("a.conf", text, "/".into());
        sources
    }

    #[test]
    fn a_problem_shows_its_line_and_underlines_the_word() {
        let problem = Diagnostic::at(Span { file: 0, start: 14, end: 18 }, "`4000x` is not a port").hint("write 4000");
        assert_eq!(
            Report::errors(sources("a.example {\n  proxy\n}\n"), vec![problem]).to_string(),
            "error: `4000x` is not a port\n --> a.conf:2:3\n  |\n2 |   proxy\n  |   ^^^^\n  |\n  = help: write 4000\n\n1 problem"
        );
    }

    #[test]
    fn what_came_from_the_environment_is_repeated_by_its_name() {
        let mut sources = sources("x");
        let key = "k".repeat(100);
        sources.env_values.note_variable("KEY", &key);
        sources.env_values.note_word("https://{$KEY}", &format!("https://{key}"));
        let problem = Diagnostic::general(format!("{} is no URL", quote(&format!("https://{key}")))).hint(format!("not {key}"));
        let said = Report::errors(sources, vec![problem]).to_string();
        assert!(said.contains("`https://{$KEY}` is no URL") && said.contains("not {$KEY}") && !said.contains("kkk"), "{said}");
    }

    #[test]
    fn what_is_repeated_of_a_word_is_short_and_harmless() {
        assert_eq!(quote("a\u{1b}[31mb"), "`a\\u{1b}[31mb`");
        assert_eq!(quote(&"x".repeat(100)).chars().count(), SHOWN + 3);
    }

    #[test]
    fn the_nearest_word_is_offered_only_when_near() {
        assert_eq!(nearest("prxoy", ["proxy", "redirect"]), Some("proxy"));
        assert_eq!(nearest("strip_prefix", ["strip-prefix"]), Some("strip-prefix"));
        assert_eq!(nearest("banana", ["proxy", "redirect"]), None);
    }
}
