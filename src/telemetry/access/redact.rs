//! Which parts of a URL are secret, by the look of their keys. Keys are compared as a backend would understand them:
//! percent-decoded, in lower case, without separators, so that `api_key`, `API-Key` and `apiKey` are one word.

use crate::base::escape::Bounded;

/// Patterns of the words that announce a secret, in normal form. `sig*` takes signed URLs of the object stores,
/// `*key` their access keys, `code` the authorisation codes of OAuth (RFC 6749 section 4.1.2).
const BUILT_IN: [&str; 16] = [
    "*token*",
    "*secret*",
    "*passw*",
    "*jwt*",
    "*session*",
    "*credential*",
    "*signature*",
    "*bearer*",
    "*key",
    "sig*",
    "auth*",
    "code",
    "pass",
    "pwd",
    "sid",
    "otp",
];

/// What stands in a hidden value's place.
const HIDDEN: &str = "***";

/// Keys longer than this are no words; their values are hidden.
const MAX_KEY: usize = 128;

/// A URL inside a URL inside a URL; deeper ones are hidden whole.
const DEEPEST: u8 = 3;

/// The patterns in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redactor {
    patterns: Vec<Pattern>,
}

/// One pattern: its parts between stars, and whether a star stands at either end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    parts: Vec<Vec<u8>>,
    open_start: bool,
    open_end: bool,
}

impl Redactor {
    /// The built-in patterns and `more`, in which `*` matches any run of characters.
    pub fn new<'a>(more: impl IntoIterator<Item = &'a str>) -> Self {
        Self { patterns: BUILT_IN.into_iter().chain(more).map(Pattern::new).collect() }
    }

    /// Appends a request target or a Referer with its secrets hidden, its fragment and its user information left out.
    pub fn push_url(&self, url: &str, out: &mut Bounded<'_>) {
        let url = url.split('#').next().unwrap_or(url);
        let url = push_origin_without_user(url, out);
        let start = url.find(['?', ';']).unwrap_or(url.len());
        out.push(&url[..start]);
        for piece in url[start..].split_inclusive(['?', '&', ';']) {
            self.push_piece(piece, out);
        }
    }

    /// Appends `key=value&` or what there is of it.
    fn push_piece(&self, piece: &str, out: &mut Bounded<'_>) {
        let body = piece.trim_end_matches(['?', '&', ';']);
        let (shown, value) = match body.split_once('=') {
            Some((key, value)) => (&body[..=key.len()], value),
            None => ("", body),
        };
        out.push(shown);
        let secret = !value.is_empty() && (is_jwt(value) || self.hides(shown.trim_end_matches('='), value, DEEPEST));
        out.push(if secret { HIDDEN } else { value });
        out.push(&piece[body.len()..]);
    }

    /// Whether the value is secret: by its key, or because it is a URL in which something is.
    fn hides(&self, key: &str, value: &str, depth: u8) -> bool {
        if !key.is_empty() && self.is_secret_key(key) {
            return true;
        }
        if !has_encoded_equals(value) {
            return false;
        }
        let Some(depth) = depth.checked_sub(1) else { return true };
        let inner = String::from_utf8_lossy(&decode(value)).into_owned();
        inner.split(['?', '&', ';', '#']).any(|piece| match piece.split_once('=') {
            Some((key, value)) => self.hides(key, value, depth),
            None => self.hides("", piece, depth),
        })
    }

    fn is_secret_key(&self, key: &str) -> bool {
        if key.len() > MAX_KEY {
            return true;
        }
        let mut buffer = [0_u8; MAX_KEY];
        let mut length = 0;
        for byte in Decoded(key.as_bytes()).filter(|b| is_letter(*b)) {
            buffer[length] = byte.to_ascii_lowercase();
            length += 1;
        }
        self.patterns.iter().any(|pattern| pattern.matches(&buffer[..length]))
    }
}

impl Pattern {
    fn new(text: &str) -> Self {
        let normal = |part: &str| -> Vec<u8> { part.bytes().filter(|b| is_letter(*b)).map(|b| b.to_ascii_lowercase()).collect() };
        Self {
            parts: text.split('*').map(normal).filter(|part| !part.is_empty()).collect(),
            open_start: text.starts_with('*'),
            open_end: text.ends_with('*'),
        }
    }

    fn matches(&self, key: &[u8]) -> bool {
        let Some((last, before)) = self.parts.split_last() else { return self.open_start };
        let mut rest = key;
        for (index, part) in before.iter().enumerate() {
            let found = if index == 0 && !self.open_start { rest.starts_with(part).then_some(0) } else { find(rest, part) };
            let Some(at) = found else { return false };
            rest = &rest[at + part.len()..];
        }
        match (before.is_empty() && !self.open_start, self.open_end) {
            (true, true) => rest.starts_with(last),
            (true, false) => rest == last.as_slice(),
            (false, true) => find(rest, last).is_some(),
            (false, false) => rest.ends_with(last),
        }
    }
}

/// Appends scheme and host of an absolute URL without `user:password@`, and returns what comes after the host.
fn push_origin_without_user<'a>(url: &'a str, out: &mut Bounded<'_>) -> &'a str {
    if url.starts_with('/') {
        return url;
    }
    let Some(scheme) = url.find("://") else { return url };
    let start = scheme + 3;
    let end = url[start..].find(['/', '?', ';']).map_or(url.len(), |n| start + n);
    match url[start..end].rfind('@') {
        Some(at) => {
            out.push(&url[..start]);
            out.push(&url[start + at + 1..end]);
            &url[end..]
        }
        None => url,
    }
}

/// A JSON Web Token (RFC 7519) begins with the base64url of `{"`, under whatever key it comes.
fn is_jwt(value: &str) -> bool {
    value.len() > 20 && value.starts_with("eyJ")
}

const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

fn has_encoded_equals(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.contains(&b'%') && (bytes.windows(3).any(|w| w.eq_ignore_ascii_case(b"%3d")) || bytes.windows(3).any(|w| w == b"%25"))
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn decode(text: &str) -> Vec<u8> {
    Decoded(text.as_bytes()).collect()
}

/// Bytes behind percent-encoding (RFC 3986 section 2.1); a stray `%` stands for itself.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match *self.0 {
            [b'%', high, low, ref rest @ ..] if hex(high).is_some() && hex(low).is_some() => {
                self.0 = rest;
                Some(hex(high)? << 4 | hex(low)?)
            }
            [byte, ref rest @ ..] => {
                self.0 = rest;
                Some(byte)
            }
            [] => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::escape::Escape;

    fn shown(more: &[&str], url: &str) -> String {
        let mut out = Vec::new();
        Redactor::new(more.iter().copied()).push_url(url, &mut Bounded::new(&mut out, Escape::Human, 500));
        String::from_utf8(out).unwrap()
    }

    fn check(url: &str, expected: &str) {
        assert_eq!(shown(&[], url), expected, "for {url}");
    }

    #[test]
    fn values_of_secret_keys_are_hidden() {
        check("/ws?token=abc&room=7", "/ws?token=***&room=7");
        check("/ws?access_token=a&API-Key=b&x=1", "/ws?access_token=***&API-Key=***&x=1");
        check(
            "/?jwt=a&key=b&code=c&passwd=d&sig=e&X-Amz-Signature=f",
            "/?jwt=***&key=***&code=***&passwd=***&sig=***&X-Amz-Signature=***",
        );
        check("/?PASSWORD=a&sessionId=b&authorization=c", "/?PASSWORD=***&sessionId=***&authorization=***");
    }

    #[test]
    fn harmless_urls_stay_as_they_are() {
        for url in ["/", "/token/abc", "/?", "/?a=1&b=2", "/?zipcode=1", "/?q=token", "*", "example.com:443", "/?token=", "/?a&b"]
        {
            check(url, url);
        }
    }

    #[test]
    fn a_disguised_key_or_token_is_hidden_too() {
        check("/?to%6Ben=abc", "/?to%6Ben=***");
        check("/?a=1;token=abc", "/?a=1;token=***");
        check("/page;jsessionid=abc?x=1", "/page;jsessionid=***?x=1");
        check("/?x=eyJhbGciOiJIUzI1NiIsInR5cCI6", "/?x=***");
        check("/?eyJhbGciOiJIUzI1NiIsInR5cCI6", "/?***");
        check(&format!("/?{}=1", "a".repeat(129)), &format!("/?{}=***", "a".repeat(129)));
        check("/?next=%2Fcb%3Ftoken%3Dabc&x=1", "/?next=***&x=1");
        check("/?next=%252Fcb%253Ftoken%253Dabc", "/?next=***");
        check("/?next=%2Fcb%3Froom%3D7", "/?next=%2Fcb%3Froom%3D7");
        check("/?url=/cb?token=abc", "/?url=/cb?token=***");
    }

    #[test]
    fn a_referer_loses_its_user_and_its_fragment() {
        check("https://bob:pw@example.com/a?token=b#access_token=c", "https://example.com/a?token=***");
        check("https://example.com/@bob", "https://example.com/@bob");
    }

    #[test]
    fn patterns_of_the_configuration_are_added() {
        assert_eq!(shown(&["room*"], "/?room_id=1&token=2&x=3"), "/?room_id=***&token=***&x=3");
        assert_eq!(shown(&["a*b*c"], "/?a1b2c=1&abcd=2&xabc=3"), "/?a1b2c=***&abcd=2&xabc=3");
        assert_eq!(shown(&["*"], "/?x=1"), "/?x=***");
    }
}
