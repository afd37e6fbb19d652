//! What a trusted proxy says of the client and of the hops between: one value, from which the gateway takes the client's
//! address and makes every field that a backend gets, so that these never contradict each other. Pure.
//!
//! A proxy sets one of `X-Forwarded-For`, `Forwarded` and `X-Real-IP`, and may pass on the others as its client sent them. So
//! they count in this order, and one that is behind counts only where the one before it is not there. The words of `Forwarded`
//! on scheme and host count where it is what the client was taken from, or names the same client.

use std::net::{IpAddr, SocketAddr};

use http::header::{self, HeaderMap, HeaderValue};

use super::{FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PORT, FORWARDED_PROTO, REAL_IP};
use crate::base::addr::{IpNet, Trusted};
use crate::proxy::validate;

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The client, then each proxy behind it, without the peer. What the client itself wrote in front of them is cut off.
    pub hops: Vec<IpAddr>,
    /// The scheme the client used.
    pub scheme: Option<&'static str>,
    /// The authority the client asked for.
    pub host: Option<HeaderValue>,
    /// The port the client came to.
    pub port: Option<u16>,
}

impl Reported {
    /// From the header that `peer`, one of `proxies`, has sent.
    pub fn of(peer: SocketAddr, headers: &HeaderMap, proxies: &[IpNet]) -> Self {
        let texts = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<&str>>();
        let listed = texts(FORWARDED_FOR);
        let listed: Vec<&str> =
            listed.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|hop| !hop.is_empty()).collect();
        let elements = texts(header::FORWARDED).join(",");
        let elements = elements_of(&elements);
        let named: Vec<&str> = elements.iter().map(|element| element.client.as_deref().unwrap_or("unknown")).collect();
        let real = texts(REAL_IP);
        let chosen = [&listed, &named, &real].into_iter().find(|hops| !hops.is_empty());
        let believed = |hops: &[&str]| Trusted::hops(peer, hops.iter().rev().copied(), proxies);
        let hops = chosen.map(|hops| believed(hops)).unwrap_or_default();
        let by_forwarded = believed(&named);
        // The element that the proxy next to the client has written.
        let element = (!by_forwarded.is_empty() && by_forwarded == hops).then(|| &elements[elements.len() - hops.len()]);
        let is_forwarded = listed.is_empty() && element.is_some();
        let first = |name| texts(name).first().and_then(|text| text.split(',').next()).map(str::trim);
        let (scheme, host) = (element.and_then(|one| one.scheme.as_deref()), element.and_then(|one| one.host.as_deref()));
        let scheme = either(is_forwarded, scheme.and_then(known_scheme), first(FORWARDED_PROTO).and_then(known_scheme));
        let host = either(is_forwarded, host.and_then(known_host), first(FORWARDED_HOST).and_then(known_host));
        let digits = first(FORWARDED_PORT).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let port = digits.and_then(|text| text.parse().ok()).filter(|port| *port != 0);
        Self { hops, scheme, port: host.as_ref().and_then(|(_, port)| *port).or(port), host: host.map(|(host, _)| host) }
    }

    /// The client's address.
    pub fn client(&self, peer: SocketAddr) -> Trusted<IpAddr> {
        Trusted::first_of(&self.hops, peer)
    }
}

/// The first of two that is there; of `Forwarded` before the other where the client was taken from it.
fn either<T>(is_forwarded: bool, forwarded: Option<T>, other: Option<T>) -> Option<T> {
    if is_forwarded { forwarded.or(other) } else { other.or(forwarded) }
}

fn known_scheme(text: &str) -> Option<&'static str> {
    let is = |names: [&str; 2]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
    if is(["https", "wss"]) { Some("https") } else { is(["http", "ws"]).then_some("http") }
}

fn known_host(text: &str) -> Option<(HeaderValue, Option<u16>)> {
    let (_, port) = validate::host(text.as_bytes()).ok()?;
    Some((HeaderValue::from_str(text).ok()?, port))
}

/// One element of `Forwarded`, as far as it is about the client.
#[derive(Debug, Default, PartialEq, Eq)]
struct Element {
    client: Option<String>,
    scheme: Option<String>,
    host: Option<String>,
}

/// The elements of a list (RFC 7239 section 4). One that does not follow the grammar is an element that says nothing.
fn elements_of(list: &str) -> Vec<Element> {
    split(list, b',').into_iter().filter(|text| !text.trim().is_empty()).map(element_of).collect()
}

fn element_of(text: &str) -> Element {
    let mut element = Element::default();
    for pair in split(text, b';') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let slot = match name.trim() {
            name if name.eq_ignore_ascii_case("for") => &mut element.client,
            name if name.eq_ignore_ascii_case("proto") => &mut element.scheme,
            name if name.eq_ignore_ascii_case("host") => &mut element.host,
            _ => continue,
        };
        let value = value.trim();
        let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        *slot = Some(quoted.map_or_else(|| value.to_owned(), |inner| inner.replace('\\', "")));
    }
    element
}

/// Parts between separators that do not stand in quotes.
fn split(text: &str, separator: u8) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => (),
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_by_their_grammar() {
        let check = |text: &str, expected: &[(&str, &str, &str)]| {
            let seen = elements_of(text);
            let seen: Vec<_> = seen
                .iter()
                .map(|one| {
                    (
                        one.client.as_deref().unwrap_or("-"),
                        one.scheme.as_deref().unwrap_or("-"),
                        one.host.as_deref().unwrap_or("-"),
                    )
                })
                .collect();
            assert_eq!(seen, expected, "for {text}");
        };
        check("", &[]);
        check("for=1.1.1.1", &[("1.1.1.1", "-", "-")]);
        check(
            "For=\"[2001:db8::1]:47\";Proto=https , for=_x;host=a.test",
            &[("[2001:db8::1]:47", "https", "-"), ("_x", "-", "a.test")],
        );
        check("by=\"a,b;c\\\"d\";for=1.1.1.1", &[("1.1.1.1", "-", "-")]);
        check("for=\"1.1.1.1, for=2.2.2.2", &[("\"1.1.1.1, for=2.2.2.2", "-", "-")]);
        check("nonsense, ;;, for", &[("-", "-", "-"), ("-", "-", "-"), ("-", "-", "-")]);
    }

    #[test]
    fn a_port_is_digits_alone() {
        for (text, expected) in
            [("8443", Some(8443)), ("+8443", None), ("0", None), ("65536", None), ("99999999999999999999", None), ("", None)]
        {
            let headers = HeaderMap::from_iter([(FORWARDED_PORT, HeaderValue::from_static(text))]);
            assert_eq!(Reported::of("192.0.2.1:5".parse().unwrap(), &headers, &[]).port, expected, "{text}");
        }
    }
}
