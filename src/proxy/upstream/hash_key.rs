//! What a request is known by where the choice of its target hangs on it (pure).

use std::net::IpAddr;

use http::Request;

use super::pick;
use crate::base::addr::client_prefix;
use crate::config::settings::{Balance, HashOf};
use crate::proxy::cookie;

/// The key of a request from `client`; `None` where the balance asks for none, or for a header or cookie that the request
/// does not have: it then goes to whoever is next in turn.
pub fn of<B>(balance: &Balance, client: IpAddr, request: &Request<B>) -> Option<u64> {
    let Balance::Hash(what) = balance else { return None };
    let text = match what {
        HashOf::Ip => return Some(of_client(client)),
        HashOf::Header(name) => request.headers().get(name)?.as_bytes(),
        HashOf::Cookie(name) => cookie::find(request.headers(), name)?.as_bytes(),
        HashOf::Uri => request.uri().path_and_query()?.as_str().as_bytes(),
    };
    Some(pick::hash(text))
}

/// As limits count clients: IPv6 by the network that a subscriber has, within which addresses change daily.
fn of_client(client: IpAddr) -> u64 {
    match client_prefix(client) {
        IpAddr::V4(ip) => pick::hash(&ip.octets()),
        IpAddr::V6(ip) => pick::hash(&ip.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(what: HashOf, client: &str, uri: &str, header: Option<(&str, &str)>) -> Option<u64> {
        let mut request = Request::get(uri);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        of(&Balance::Hash(what), client.parse().unwrap(), &request.body(()).unwrap())
    }

    #[test]
    fn the_same_client_header_cookie_or_address_has_the_same_key() {
        let ip = |client| key(HashOf::Ip, client, "/", None);
        assert_eq!(ip("192.0.2.1"), ip("192.0.2.1"));
        assert_ne!(ip("192.0.2.1"), ip("192.0.2.2"));
        assert_eq!(ip("2001:db8::1"), ip("2001:db8::2"));
        assert_ne!(ip("2001:db8::1"), ip("2001:db8:0:1::1"));
        let header = |value| key(HashOf::Header("X-User".into()), "192.0.2.1", "/", Some(("x-user", value)));
        assert!(header("a") == header("a") && header("a") != header("b"));
        let cookie = |value| key(HashOf::Cookie("sid".into()), "192.0.2.1", "/", Some(("cookie", value)));
        assert!(cookie("x=1; sid=a") == cookie("sid=a; x=2") && cookie("sid=a") != cookie("sid=b"));
        let uri = |uri| key(HashOf::Uri, "192.0.2.1", uri, None);
        assert!(uri("/a?b") == uri("/a?b") && uri("/a?b") != uri("/a?c"));
    }

    #[test]
    fn what_is_not_there_makes_no_key() {
        assert_eq!(key(HashOf::Header("X-User".into()), "192.0.2.1", "/", None), None);
        assert_eq!(key(HashOf::Cookie("sid".into()), "192.0.2.1", "/", None), None);
        assert_eq!(of(&Balance::Random, "192.0.2.1".parse().unwrap(), &Request::new(())), None);
    }
}
