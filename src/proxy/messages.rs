//! Sentences about a request and its backend that are shown in more than one place: the log, `explain`, `doctor` and
//! `probe`. Each names the thing, what was seen, what was expected, and the one thing to do. Pure.

use std::net::IpAddr;

use crate::base::escape::escaped;
use crate::config::settings::{At, Target, TargetAddress, TargetScheme};

/// Characters of what a client sent that are repeated.
pub const MAX_REPEATED: usize = 200;

/// The Origin of a page that may not open a WebSocket; `rule` is where `origin` stands, `allowed` what it lists.
pub fn origin_not_allowed(origin: &[u8], rule: &At, allowed: &str) -> String {
    let origin = escaped(&String::from_utf8_lossy(origin), MAX_REPEATED);
    format!("Origin {origin} is not in 'origin' ({rule}: {allowed}); add it there if the page is yours")
}

/// A request for a WebSocket whose hop-by-hop fields were lost before it came here (RFC 6455 section 4.1).
pub fn upgrade_fields_lost(url: &str, missing: &str, peer: IpAddr) -> String {
    format!(
        "{url}: asked for a WebSocket without {missing} (Sec-WebSocket-Key is there), by {peer}: a proxy in front drops them; \
         pass them on there (nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header \
         Connection \"upgrade\")"
    )
}

/// A backend that redirects to the very URL that was asked for, as a client can only do for ever.
pub fn redirects_to_itself(url: &str, backend: &str, status: u16) -> String {
    format!(
        "{url}: the backend {backend} redirects to the same URL ({status}): it does not believe our X-Forwarded-Proto; let it \
         trust this gateway (Uvicorn --proxy-headers --forwarded-allow-ips, Django SECURE_PROXY_SSL_HEADER, Express 'trust \
         proxy')"
    )
}

/// What of a request a backend found too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// `header`, `body` or `URL`.
    pub what: &'static str,
    /// Bytes of this one; `None` where the body had no announced length and was not sent.
    pub seen: Option<u64>,
    /// Our own limit; `None` where there is none.
    pub limit: Option<u64>,
}

/// A backend that refuses for size what the gateway let through.
pub fn backend_size_limit(host: &str, backend: &str, status: u16, size: Size) -> String {
    let bytes = |count: Option<u64>, none: &str| count.map_or_else(|| none.to_owned(), grouped);
    let (seen, limit) = (bytes(size.seen, "unknown"), bytes(size.limit, "none"));
    let settings = match size.what {
        "header" => "Node: --max-http-header-size, Uvicorn: --h11-max-incomplete-event-size",
        "URL" => "Gunicorn: --limit-request-line, Node: --max-http-header-size",
        _ => "Express: the `limit` of its body parser, Django: DATA_UPLOAD_MAX_MEMORY_SIZE, nginx: client_max_body_size",
    };
    format!(
        "{host}: the backend {backend} answered {status}, not the gateway ({}: {seen} bytes; our limit: {limit}); raise the \
         application's own limit ({settings})",
        size.what
    )
}

/// `20480` as `20,480`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, rest) = digits.split_at(first);
    let groups = rest.as_bytes().chunks(3).map(|group| std::str::from_utf8(group).unwrap_or_default());
    std::iter::once(head).filter(|head| !head.is_empty()).chain(groups).collect::<Vec<_>>().join(",")
}

/// A target that was written as plain HTTP and shakes hands by TLS. `named` is whether it stands in an `upstream`.
pub fn speaks_tls(target: &Target, named: bool) -> String {
    let word = if named { "to" } else { "proxy" };
    let plain = match target.scheme {
        TargetScheme::H2c => "HTTP/2 in the clear",
        TargetScheme::Http | TargetScheme::Https => "plain HTTP",
    };
    match &target.address {
        TargetAddress::Unix(_) => {
            format!("{} speaks TLS, not {plain}; have it speak plain HTTP on this socket ({})", target.address, target.at)
        }
        address => format!("{address} speaks TLS, not {plain}; write {word} https://{address} ({})", target.at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Place;

    fn at(line: u32) -> At {
        At(Place { file: "doorward.conf".into(), line, column: 1 })
    }

    #[test]
    fn each_sentence_names_the_thing_what_was_seen_and_what_to_do() {
        assert_eq!(
            origin_not_allowed(b"https://other.example", &at(14), "https://example.com"),
            "Origin https://other.example is not in 'origin' (doorward.conf:14: https://example.com); add it there if the page is yours"
        );
        let size = Size { what: "header", seen: Some(20_480), limit: Some(65_536) };
        assert_eq!(
            backend_size_limit("example.com", "10.0.0.5:3000", 431, size),
            "example.com: the backend 10.0.0.5:3000 answered 431, not the gateway (header: 20,480 bytes; our limit: 65,536); raise \
             the application's own limit (Node: --max-http-header-size, Uvicorn: --h11-max-incomplete-event-size)"
        );
        let address = TargetAddress::Socket("10.0.0.5:8443".parse().unwrap());
        let target = Target { address, scheme: TargetScheme::Http, weight: 1, backup: false, at: at(14) };
        let said = "10.0.0.5:8443 speaks TLS, not plain HTTP; write proxy https://10.0.0.5:8443 (doorward.conf:14)";
        assert_eq!(speaks_tls(&target, false), said);
        assert!(speaks_tls(&target, true).contains("write to https://"));
    }

    #[test]
    fn what_a_client_sent_cannot_command_a_terminal() {
        let said = origin_not_allowed(b"\x1b[31m\n", &at(1), "https://example.com");
        assert!(!said.contains(['\u{1b}', '\n']), "{said:?}");
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (65_536, "65,536"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }
}
