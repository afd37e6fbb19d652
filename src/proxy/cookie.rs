//! One cookie of a request (RFC 6265 section 4.2). Pure.

use http::header::{self, HeaderMap};

/// The value of the first cookie of this name, without the quotes that it may stand in.
pub(super) fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lists = headers.get_all(header::COOKIE).iter().filter_map(|list| list.to_str().ok());
    let mut pairs = lists.flat_map(|list| list.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; bb=2".parse().unwrap());
        headers.append(header::COOKIE, "b=\"3\";c=x=y".parse().unwrap());
        let check = |name, expected| assert_eq!(find(&headers, name), expected, "for {name}");
        check("a", Some("1"));
        check("b", Some("3"));
        check("c", Some("x=y"));
        check("x", None);
        check("A", None);
    }
}
