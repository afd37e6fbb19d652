//! http-01 (RFC 8555 section 8.3): which token a path asks for. Pure; the answer is on the board.

/// Where authorities look.
pub const PREFIX: &str = "/.well-known/acme-challenge/";

/// Longest token that is looked up. Authorities use 43 characters.
const MAX_TOKEN: usize = 128;

/// The token a request path asks for: `None` when the path is another one, or when what follows the prefix cannot be a
/// token (base64url without padding, one segment). The path is taken as it stood in the request, without its query.
pub fn token(path: &str) -> Option<&str> {
    let token = path.strip_prefix(PREFIX)?;
    let plausible =
        (1..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    plausible.then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_token_under_the_prefix_is_one() {
        for (path, expected) in [
            ("/.well-known/acme-challenge/LoqXcYV8-q5_a", Some("LoqXcYV8-q5_a")),
            ("/.well-known/acme-challenge/", None),
            ("/.well-known/acme-challenge", None),
            ("/.well-known/acme-challenge/../secret", None),
            ("/.well-known/acme-challenge/a/b", None),
            ("/.well-known/acme-challenge/a%2e", None),
            ("/.well-known/acme-challenge/a=", None),
            ("/x/.well-known/acme-challenge/a", None),
            ("", None),
        ] {
            assert_eq!(token(path), expected, "for {path}");
        }
        let (longest, longer) = (format!("{PREFIX}{}", "a".repeat(MAX_TOKEN)), format!("{PREFIX}{}", "a".repeat(MAX_TOKEN + 1)));
        assert!(token(&longest).is_some() && token(&longer).is_none());
    }
}
