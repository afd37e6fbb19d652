//! Where something was written.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A place in a configuration file, 1-based.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Place {
    /// The file as it was named; empty when there was none.
    pub file: Arc<str>,
    /// Line.
    pub line: u32,
    /// Column in characters.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.is_empty() { f.write_str("the command line") } else { write!(f, "{}:{}", self.file, self.line) }
    }
}

/// Where a value was written, for messages about it. It is no part of what the value means: two values that differ in
/// nothing else are equal, so a reload that only moved lines changes nothing.
#[derive(Clone, Debug, Default)]
pub struct At(pub Place);

impl PartialEq for At {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for At {}

impl Hash for At {
    fn hash<H: Hasher>(&self, _state: &mut H) {}
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
