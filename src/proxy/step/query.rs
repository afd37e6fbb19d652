//! Parameters of a query as they stand in the URL. Nothing is decoded: what is compared and counted is what was sent.

use http::Uri;

/// The value of the first parameter of this name; empty when it has none.
pub(super) fn value<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    uri.query()?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_their_whole_name() {
        let check = |target: &str, expected: Option<&str>| {
            assert_eq!(value(&target.parse().unwrap(), "token"), expected, "for {target}");
        };
        check("/", None);
        check("/?", None);
        check("/?token", Some(""));
        check("/?a=1&token=x=y&token=z", Some("x=y"));
        check("/?mytoken=1&tokens=2", None);
    }
}
