//! Whether a line opens a site: its first word is a host, and none of ours.

use crate::config::diagnostic::nearest;
use crate::config::directives::Context;
use crate::config::migration_hints;
use crate::config::tree::{Node, Word};

/// Whether this line, outside of all braces, is the head of a site.
pub(super) fn opens_site(node: &Node) -> bool {
    let head = node.name();
    let text = head.text.trim_end_matches(',');
    if Context::Top.find(text).is_some() || text.is_empty() || text.starts_with('/') {
        return false;
    }
    if text == "localhost" || text.contains(['.', ':', '*', '[']) {
        return true;
    }
    // A single label is a host of the local network, unless it is a slip in one of our words or another server's word.
    node.block.is_some()
        && !head.quoted
        && migration_hints::instead(text).is_none()
        && nearest(text, Context::Top.words().map(|spec| spec.name)).is_none()
        && Context::Top.elsewhere(text).is_none()
}

/// Heads as a Caddyfile may write them, `a.example, b.example {`, without the commas.
pub(super) fn without_commas(heads: Vec<Word>) -> Vec<Word> {
    let clean = |mut word: Word| {
        if let Some(bare) = word.text.strip_suffix(',') {
            word.text = bare.to_owned();
            word.span.end -= 1;
        }
        word
    };
    heads.into_iter().map(clean).filter(|word| !word.text.is_empty()).collect()
}
