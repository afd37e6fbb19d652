//! Problem documents (RFC 7807), which authorities refuse with (RFC 8555 section 6.7).

use instant_acme::Problem;

/// The document in a body, if it is one.
pub(super) fn read(body: &[u8]) -> Option<Problem> {
    serde_json::from_slice(body).ok()
}

/// The type without its common prefix: `rateLimited`, `caa`.
pub(in crate::certs::issuer) fn short_type(problem: &Problem) -> Option<&str> {
    let kind = problem.r#type.as_deref()?;
    Some(kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(kind))
}

/// Detail, type and subproblems. A detail may quote what a stranger's server answered: it is escaped and bounded.
pub(in crate::certs::issuer) fn spoken(problem: &Problem) -> String {
    const MAX_SHOWN: usize = 2000;
    let mut words = problem.detail.clone().unwrap_or_else(|| "it gave no detail".into());
    if let Some(kind) = short_type(problem) {
        words = format!("{words} ({kind})");
    }
    for part in &problem.subproblems {
        words = format!("{words}; {part}");
    }
    let escape = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    words.chars().take(MAX_SHOWN).map(escape).collect()
}
