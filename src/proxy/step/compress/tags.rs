//! Entity tags of compressed responses: the strong tag `"x"` of what a backend sent becomes the weak `W/"x~doorward"` on its way
//! out, and `"x"` again in the conditions of a request. Pure.
//!
//! The tag is weak because the bytes are not the same each time: where the encoder flushes depends on when the backend's bytes
//! came (RFC 9110 section 8.8.1). A weak tag alone, as nginx and Varnish send it, never matches in `If-Match` (section 13.1.1),
//! so that no client behind it could ever change what it has read. The mark proves that the backend's tag was strong, and that
//! the coding alone made it weak. A tag without the mark stays as it is: Apache sends the same tag first as weak and then as
//! strong for a file that changed in between. Rejected: a strong tag with a suffix, as Apache and Caddy send it, for that would
//! claim that the bytes are the same.

use std::borrow::Cow;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::proxy::entity_tag::{listed, match_strongly};

/// The end of a tag that was made here, before the closing quote.
const MARK: &[u8] = b"~doorward\"";

/// The tag of the compressed response; `None` for one that is weak already, and for what is no tag.
pub(super) fn marked(tag: &HeaderValue) -> Option<HeaderValue> {
    let open = tag.as_bytes().strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    HeaderValue::from_bytes(&[b"W/\"", open, MARK].concat()).ok()
}

/// The backend's tag of which [`marked`] made this one.
fn unmarked(tag: &[u8]) -> Option<Cow<'_, [u8]>> {
    let open = tag.strip_prefix(b"W/")?.strip_suffix(MARK).filter(|open| open.starts_with(b"\""))?;
    Some(Cow::Owned([open, b"\""].concat()))
}

/// Gives a request's conditions the tags that the backend knows. Returns the tags of `If-None-Match` as the client sent them,
/// where there is one of ours.
pub(super) fn restore(headers: &mut HeaderMap) -> Option<HeaderValue> {
    restore_in(headers, &header::IF_MATCH);
    // A weak tag never matches here, so the whole has to be sent (RFC 9110 section 13.1.5). A backend that does not know
    // `If-Range` would send a part of other bytes than those that the client has.
    if headers.get(header::IF_RANGE).is_some_and(|tag| unmarked(tag.as_bytes()).is_some()) {
        headers.remove(header::IF_RANGE);
        headers.remove(header::RANGE);
    }
    restore_in(headers, &header::IF_NONE_MATCH)
}

fn restore_in(headers: &mut HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let has_mark = |line: &HeaderValue| line.as_bytes().windows(MARK.len()).any(|window| window == MARK);
    if !headers.get_all(name).iter().any(has_mark) {
        return None;
    }
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    let sent = lines.join(&b", "[..]);
    let restored: Vec<_> = listed(&sent).map(|tag| unmarked(tag).unwrap_or(Cow::Borrowed(tag))).collect();
    let restored = HeaderValue::from_bytes(&restored.join(&b", "[..])).ok()?;
    headers.insert(name, restored);
    HeaderValue::from_bytes(&sent).ok()
}

/// The tag for a 304 whose backend names `tag`: the one that the client has, for a cache updates nothing that has another (RFC
/// 9111 section 4.3.4). `sent` is what the client named, `is_coded` whether it would get a compressed response now. `None` where
/// `tag` is right.
pub(super) fn of_not_modified(tag: &HeaderValue, sent: &HeaderValue, is_coded: bool) -> Option<HeaderValue> {
    let marked = marked(tag)?;
    let has = |wanted: &HeaderValue| listed(sent.as_bytes()).any(|tag| tag == wanted.as_bytes());
    let has_plain = listed(sent.as_bytes()).any(|one| match_strongly(one, tag.as_bytes()));
    (has(&marked) && (is_coded || !has_plain)).then_some(marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_marked_and_found_again() {
        let check = |tag: &'static str, expected: Option<&str>| {
            let seen = marked(&HeaderValue::from_static(tag));
            assert_eq!(seen.as_ref().map(|tag| tag.to_str().unwrap()), expected, "{tag}");
            if let Some(seen) = seen {
                let back = unmarked(seen.as_bytes()).unwrap();
                assert_eq!(*back, *tag.as_bytes(), "{tag}");
            }
        };
        check("\"a\"", Some("W/\"a~doorward\""));
        check("\"\"", Some("W/\"~doorward\""));
        check("\"a, b\"", Some("W/\"a, b~doorward\""));
        check("W/\"a\"", None);
        check("a", None);
        check("\"", None);
        for tag in ["\"a~doorward\"", "W/\"a\"", "W/a~doorward\"", "W/~doorward\"", "*", ""] {
            assert_eq!(unmarked(tag.as_bytes()), None, "{tag}");
        }
    }

    #[test]
    fn conditions_get_the_tags_of_the_backend() {
        let check = |lines: &[(HeaderName, &'static str)], expected: &[(HeaderName, &str)], sent: Option<&str>| {
            let mut headers = HeaderMap::new();
            lines.iter().for_each(|(name, value)| _ = headers.append(name, HeaderValue::from_static(value)));
            let seen = restore(&mut headers);
            assert_eq!(seen.as_ref().map(|sent| sent.to_str().unwrap()), sent, "{lines:?}");
            let left: Vec<_> = headers.iter().map(|(name, value)| (name.clone(), value.to_str().unwrap())).collect();
            assert_eq!(left, expected, "{lines:?}");
        };
        let (none, all) = (header::IF_NONE_MATCH, header::IF_MATCH);
        check(&[(none.clone(), "W/\"a~doorward\"")], &[(none.clone(), "\"a\"")], Some("W/\"a~doorward\""));
        check(
            &[(none.clone(), "\"b,c\", W/\"a~doorward\""), (none.clone(), "W/\"d\"")],
            &[(none.clone(), "\"b,c\", \"a\", W/\"d\"")],
            Some("\"b,c\", W/\"a~doorward\", W/\"d\""),
        );
        check(&[(all.clone(), "W/\"a~doorward\"")], &[(all.clone(), "\"a\"")], None);
        for untouched in ["W/\"a\"", "\"a\"", "\"a~doorward\"", "*"] {
            check(&[(all.clone(), untouched)], &[(all.clone(), untouched)], None);
        }
        let (range, if_range) = (header::RANGE, header::IF_RANGE);
        check(&[(range.clone(), "bytes=1-"), (if_range.clone(), "W/\"a~doorward\"")], &[], None);
        let strong = [(range, "bytes=1-"), (if_range, "\"a\"")];
        check(&strong, &strong, None);
    }

    #[test]
    fn a_304_names_the_tag_that_the_client_has() {
        let check = |tag: &'static str, sent: &'static str, is_coded, expected: Option<&str>| {
            let seen = of_not_modified(&HeaderValue::from_static(tag), &HeaderValue::from_static(sent), is_coded);
            assert_eq!(seen.as_ref().map(|tag| tag.to_str().unwrap()), expected, "{tag} for {sent}");
        };
        check("\"a\"", "W/\"a~doorward\"", true, Some("W/\"a~doorward\""));
        check("\"a\"", "W/\"a~doorward\"", false, Some("W/\"a~doorward\""));
        check("\"a\"", "\"a\", W/\"a~doorward\"", true, Some("W/\"a~doorward\""));
        check("\"a\"", "\"a\", W/\"a~doorward\"", false, None);
        check("\"a\"", "W/\"b~doorward\"", true, None);
        check("W/\"a\"", "W/\"a~doorward\"", true, None);
    }
}
