//! Parameters of a query as they stand in the URL. Nothing is decoded: what is compared and counted is what was sent.

use http::Uri;

/// The value of the first parameter of this name; empty when it has none.
pub(super) fn value<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    uri.query()?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

/// The query without the parameters of this name; `None` when nothing is left of it.
pub(super) fn without(query: &str, name: &str) -> Option<String> {
    let kept: Vec<&str> = query.split('&').filter(|pair| pair.split_once('=').map_or(*pair, |(key, _)| key) != name).collect();
    (!kept.is_empty()).then(|| kept.join("&"))
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

    #[test]
    fn a_parameter_is_taken_out_and_the_others_stay_as_they_are() {
        let check = |query: &str, expected: Option<&str>| {
            assert_eq!(without(query, "token").as_deref(), expected, "for {query}");
        };
        check("token=x", None);
        check("a=%20&token=x&b&token=y", Some("a=%20&b"));
        check("a=1", Some("a=1"));
    }
}
