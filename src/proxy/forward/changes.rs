//! What the gateway changes in the header that a client sent, in words: for `doorward explain`. Pure. It runs the functions of
//! the request path on a copy and says what became of each field.

use http::Version;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::guard::read_as;
use super::names::{FORWARDING, ID, RARE_HOP, bit, hop_bit, is_a_proxys};
use super::{Framing, Guard, Hop, Peer, clean};
use crate::base::client_fact::ClientFact;

/// One line for each field that `peer` sends and that does not reach a backend as it was sent.
pub fn changes(sent: &HeaderMap, peer: Peer, upgrade: bool, guard: &Guard) -> Vec<String> {
    let mut left = sent.clone();
    let hop = if upgrade { Hop::Upgrades } else { Hop::Ends };
    let host = HeaderValue::from_static("");
    clean(&mut left, (&host, peer), (Version::HTTP_11, Framing::AsSent), hop, guard);
    let words = |name: &HeaderName| {
        let replaced = peer == Peer::Untrusted && bit(name.as_str()) & (FORWARDING | ID) != 0;
        match left.get(name) {
            _ if replaced => Some(format!("{name} is replaced: only a proxy of `trusted-proxies` may say it")),
            None => Some(format!("{name} is not passed on: {}", why(name, peer))),
            Some(value) if Some(value) != sent.get(name) => Some(format!(
                "{name} is passed on as `{}`: the rest concerns this connection",
                String::from_utf8_lossy(value.as_bytes())
            )),
            Some(_) => None,
        }
    };
    sent.keys().filter_map(words).collect()
}

/// Why a field goes no further.
fn why(name: &HeaderName, peer: Peer) -> String {
    let text = name.as_str();
    if text == "proxy" {
        return "programs behind CGI read it as the proxy they are to use (httpoxy)".to_owned();
    }
    if let Some(read) = read_as(text) {
        return format!("programs behind CGI read it as {read}; `keep-headers {name}` passes it");
    }
    match (ClientFact::of(text), peer) {
        (Some(_), Peer::Proxy { .. }) => {
            return format!("it contradicts what the gateway says of the client; `keep-headers {name}` passes it");
        }
        (Some(_), Peer::Untrusted) => {
            return format!("only a proxy of `trusted-proxies` may say it; `keep-headers {name}` passes it");
        }
        (None, _) => (),
    }
    if is_a_proxys(text) {
        return "only a proxy of `trusted-proxies` may say it".to_owned();
    }
    if hop_bit(text) & !RARE_HOP != 0 || bit(text) != 0 || *name == header::CONNECTION {
        return "it concerns one connection only (RFC 9110 section 7.6.1)".to_owned();
    }
    "it is listed in Connection, so it concerns one connection only (RFC 9110 section 7.6.1)".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_said_and_nothing_else() {
        let check = |name: &'static str, value: &'static str, trusted: bool, expected: Option<&str>| {
            let sent = HeaderMap::from_iter([
                (header::HOST, HeaderValue::from_static("a.test")),
                (HeaderName::from_static(name), HeaderValue::from_static(value)),
            ]);
            let proxy = Peer::Proxy { client: "1.1.1.1".parse().unwrap(), is_secure: true };
            let peer = if trusted { proxy } else { Peer::Untrusted };
            let seen = changes(&sent, peer, false, &Guard::default());
            match expected {
                None => assert!(seen.is_empty(), "{name}: {seen:?}"),
                Some(words) => {
                    assert!(seen.len() == 1 && seen[0].starts_with(name) && seen[0].contains(words), "{name}: {seen:?}")
                }
            }
        };
        for harmless in ["accept", "api_key", "x-trace.id", "early-data", "expect", "authorization", "traceparent", "trailer"] {
            check(harmless, "1", false, None);
        }
        check("x_real_ip", "1", false, Some("`keep-headers x_real_ip` passes it"));
        check("proxy", "http://x", false, Some("httpoxy"));
        check("x-forwarded-for", "1.1.1.1", false, Some("is replaced"));
        check("x-forwarded-for", "1.1.1.1", true, None);
        check("forwarded", "for=1.1.1.1", false, Some("is replaced"));
        check("x-request-id", "a", false, Some("is replaced"));
        check("x-forwarded-ssl", "on", false, Some("trusted-proxies"));
        check("x-forwarded-ssl", "on", true, None);
        check("x-forwarded-ssl", "off", true, Some("contradicts"));
        check("x-forwarded-server", "x", false, Some("trusted-proxies"));
        check("cf-connecting-ip", "1.1.1.1", false, Some("`keep-headers cf-connecting-ip` passes it"));
        check("cf-connecting-ip", "1.1.1.1", true, None);
        check("cf-connecting-ip", "6.6.6.6", true, Some("contradicts"));
        check("client-cert", "x", false, Some("trusted-proxies"));
        check("te", "gzip", false, Some("one connection only"));
        check("te", "gzip, trailers", false, Some("passed on as `trailers`"));
        for hop in ["keep-alive", "proxy-connection", "proxy-authorization", "http2-settings", "upgrade", "alt-svc"] {
            check(hop, "1", false, Some("one connection only"));
        }
        let sent = HeaderMap::from_iter([
            (header::CONNECTION, HeaderValue::from_static("x-mine")),
            (HeaderName::from_static("x-mine"), HeaderValue::from_static("1")),
        ]);
        let seen = changes(&sent, Peer::Untrusted, false, &Guard::default()).join("\n");
        assert!(seen.contains("x-mine is not passed on: it is listed in Connection"), "{seen}");
    }
}
