//! What a stranger sent, made fit for a log line: nothing that moves a terminal's cursor, ends a line or a string, and
//! no more than a bound.

/// How special characters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Inside a JSON string (RFC 8259 section 7).
    Json,
    /// On a line for people; quotes are escaped because some values stand in quotes.
    Human,
}

/// Writes into a line with a budget of characters, and ends with `…` once it is spent.
pub struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    escape: Escape,
    left: usize,
    cut: bool,
}

impl<'a> Bounded<'a> {
    /// At most `limit` characters go to `out`, an escape counting as one.
    pub const fn new(out: &'a mut Vec<u8>, escape: Escape, limit: usize) -> Self {
        Self { out, escape, left: limit, cut: false }
    }

    /// Appends, escaped, what still fits.
    pub fn push(&mut self, text: &str) {
        // Looks at every byte on purpose: without a way out the compiler takes sixteen at a time.
        if text.len() <= self.left && text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
            self.out.extend_from_slice(text.as_bytes());
            self.left -= text.len();
            return;
        }
        for c in text.chars() {
            if self.left == 0 {
                self.end();
                return;
            }
            self.left -= 1;
            push_char(self.out, self.escape, c);
        }
    }

    fn end(&mut self) {
        if !self.cut {
            self.cut = true;
            self.out.extend_from_slice("…".as_bytes());
        }
    }
}

/// At most `limit` characters of `text`, fit for a line that people read.
pub fn escaped(text: &str, limit: usize) -> String {
    let mut out = Vec::new();
    Bounded::new(&mut out, Escape::Human, limit).push(text);
    String::from_utf8_lossy(&out).into_owned()
}

/// Printable ASCII other than the two that end or escape a string.
const fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte < 0x7f && byte != b'"' && byte != b'\\'
}

fn push_char(out: &mut Vec<u8>, escape: Escape, c: char) {
    match c {
        '"' | '\\' => out.extend_from_slice(&[b'\\', u8::try_from(c).unwrap_or(b'?')]),
        _ if !is_hidden(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        _ => match escape {
            // Every hidden character lies in the first plane, so that four digits are enough.
            Escape::Json => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            Escape::Human if c.is_ascii() => out.extend_from_slice(format!("\\x{:02x}", u32::from(c)).as_bytes()),
            Escape::Human => out.extend_from_slice(format!("\\u{{{:x}}}", u32::from(c)).as_bytes()),
        },
    }
}

/// Control characters, line separators, and the marks that turn the direction of a line or have no width.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(escape: Escape, limit: usize, text: &str, expected: &str) {
        let mut out = Vec::new();
        Bounded::new(&mut out, escape, limit).push(text);
        assert_eq!(String::from_utf8(out).unwrap(), expected, "for {text:?}");
    }

    #[test]
    fn nothing_ends_a_line_or_a_string() {
        check(Escape::Json, 99, "a\"b\\c\n\u{1b}[31m", r#"a\"b\\c\u000a\u001b[31m"#);
        check(Escape::Human, 99, "a\"b\r\u{1b}\u{202e}é", r#"a\"b\x0d\x1b\u{202e}é"#);
        check(Escape::Json, 99, "\u{9b}\u{2028}", r"\u009b\u2028");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        check(Escape::Json, 3, "abc", "abc");
        check(Escape::Json, 3, "abcd", "abc…");
        check(Escape::Human, 2, "éèà", "éè…");
        let mut out = Vec::new();
        let mut bounded = Bounded::new(&mut out, Escape::Json, 2);
        bounded.push("abc");
        bounded.push("def");
        assert_eq!(out, "ab…".as_bytes());
    }
}
