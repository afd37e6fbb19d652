//! What every part of the resolution shares: where texts came from, what they may depend on, and the list of problems.

use std::path::Path;

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::environment::Environment;
use crate::config::settings::Place;
use crate::config::source::{Sources, Span};
use crate::config::tree::Word;

/// Reads the text of a file with a secret; the error is for a person. Only `load` has one that touches the disk.
pub type ReadSecret<'a> = &'a dyn Fn(&Path) -> Result<String, String>;

pub(super) struct Resolver<'a> {
    pub(super) sources: &'a Sources,
    pub(super) surroundings: &'a Environment,
    pub(super) secret: ReadSecret<'a>,
    pub(super) findings: &'a mut Diagnostics,
}

impl Resolver<'_> {
    /// Where a word stood, or stood before it was printed by `adapt`.
    pub(super) fn place(&self, word: &Word) -> Place {
        word.origin.clone().unwrap_or_else(|| self.sources.place(word.span))
    }

    pub(super) fn complain(&mut self, span: Span, what: impl Into<String>, hint: impl Into<String>) {
        self.findings.push(Diagnostic::at(span, what).hint(hint));
    }
}
