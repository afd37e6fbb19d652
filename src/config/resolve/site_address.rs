//! A site's head: host, perhaps with `http://` before it and a port behind it.

use super::resolver::Resolver;
use crate::base::name::{self, HostPattern};
use crate::config::diagnostic::quote;
use crate::config::settings::{Settings, SiteHost};
use crate::config::tree::Word;

/// What is wrong with a head, and what to do.
type SiteAddressError = (String, String);

impl Resolver<'_> {
    pub(super) fn head(&mut self, word: &Word, settings: &Settings) -> Option<SiteHost> {
        read(&word.text, settings.http_port, settings.https_port)
            .map_err(|(what, hint)| self.complain(word.span, what, hint))
            .ok()
    }
}

fn read(text: &str, http_port: u16, https_port: u16) -> Result<SiteHost, SiteAddressError> {
    let (plain, rest) = match text.split_once("://") {
        None => (false, text),
        Some(("http", rest)) => (true, rest),
        Some(("https", rest)) => (false, rest),
        Some(("ws" | "wss", rest)) => {
            let hint = format!("write {rest}: a site speaks http and WebSocket alike");
            return Err((format!("{} is not a site", quote(text)), hint));
        }
        Some((scheme, _)) => {
            let what = format!("a site cannot begin with {}", quote(&format!("{scheme}://")));
            return Err((what, "write the host alone for https, or with http:// for plain http".into()));
        }
    };
    let rest = match rest.split_once('/') {
        None | Some((_, "")) => rest.trim_end_matches('/'),
        Some((host, path)) => {
            let hint = format!("write `{host} {{`, and inside it `/{path} {{`");
            return Err((format!("{} has a path", quote(text)), hint));
        }
    };
    let (host, port) = split_port(rest)?;
    if host.is_empty() || (plain && host == "*") {
        let hint = "name the hosts; one that is not named is answered by 421, never by another site";
        return Err((format!("{} names no host", quote(text)), hint.into()));
    }
    let any = (host == "*").then_some(Ok(HostPattern::Any));
    let pattern = any
        .unwrap_or_else(|| HostPattern::parse(host))
        .map_err(|error| (format!("{} is not a host", quote(host)), error.to_string()))?;
    let port = port.unwrap_or(if plain { http_port } else { https_port });
    if !plain && port == http_port {
        let hint = format!("write http://{pattern}:{port} for plain http, or leave the port out");
        return Err((format!("port {port} is the one for plain http"), hint));
    }
    Ok(SiteHost { pattern, plain, port })
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), SiteAddressError> {
    if name::parse_ip(text).is_some() {
        return Ok((text, None));
    }
    let Some((host, digits)) = text.rsplit_once(':') else { return Ok((text, None)) };
    match digits.parse() {
        Ok(port) if port != 0 => Ok((host, Some(port))),
        _ => Err((format!("{} is not a port", quote(digits)), "write a number from 1 to 65535 behind the colon".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match read(text, 80, 443) {
            Ok(host) => format!("{} {} {}", if host.plain { "plain" } else { "tls" }, host.pattern, host.port),
            Err((what, _)) => format!("! {what}"),
        };
        assert_eq!(shown, expected, "for {text:?}");
    }

    #[test]
    fn heads_are_read_in_every_form() {
        check("Example.com", "tls example.com 443");
        check("example.com:8443", "tls example.com 8443");
        check("*.example.com", "tls *.example.com 443");
        check("http://example.com", "plain example.com 80");
        check("http://example.com:8080/", "plain example.com 8080");
        check("https://example.com", "tls example.com 443");
        check("*", "tls * 443");
        check("192.0.2.1", "tls 192.0.2.1 443");
        check("[2001:db8::1]:8443", "tls [2001:db8::1] 8443");
        check("2001:db8::1", "tls [2001:db8::1] 443");
    }

    #[test]
    fn what_is_no_head_is_said() {
        check(":8080", "! `:8080` names no host");
        check("http://*", "! `http://*` names no host");
        check("example.com/api", "! `example.com/api` has a path");
        check("ftp://example.com", "! a site cannot begin with `ftp://`");
        check("wss://example.com", "! `wss://example.com` is not a site");
        check("example.com:0", "! `0` is not a port");
        check("example.com:80", "! port 80 is the one for plain http");
        check("exa mple.com", "! `exa mple.com` is not a host");
        check("bücher.example", "! `bücher.example` is not a host");
    }
}
