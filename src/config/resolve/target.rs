//! Where a `proxy` or an `upstream` sends requests to: `3000`, `:3000`, `host:port`, `https://host`, `unix/PATH`, or
//! the name of an `upstream`.

use std::net::SocketAddr;

use super::resolver::Resolver;
use crate::base::name::{self, HostName};
use crate::config::diagnostic::{nearest, quote};
use crate::config::settings::{At, Target, TargetAddress, TargetScheme};
use crate::config::tree::Word;

/// What a target was written as.
#[derive(Debug, PartialEq)]
pub(super) enum Written {
    /// A place to connect to.
    Target(Target),
    /// A plain word: the name of an `upstream`, or a host without its port.
    Name,
}

/// What is wrong with a target, and what to do.
type TargetError = (String, String);

const SCHEMES: [(&str, TargetScheme, u16); 5] = [
    ("http", TargetScheme::Http, 80),
    ("https", TargetScheme::Https, 443),
    ("ws", TargetScheme::Http, 80),
    ("wss", TargetScheme::Https, 443),
    ("h2c", TargetScheme::H2c, 80),
];

impl Resolver<'_> {
    /// Reads a target or a name.
    pub(super) fn written(&mut self, word: &Word) -> Option<Written> {
        let (scheme, text) = match word.text.strip_prefix("h2c://") {
            Some(socket) if socket.starts_with("unix/") => (TargetScheme::H2c, socket),
            _ => (TargetScheme::Http, word.text.as_str()),
        };
        if let Some(path) = text.strip_prefix("unix/") {
            if path.is_empty() {
                self.complain(word.span, "a path is missing behind `unix/`", "write it whole: unix//run/app.sock");
                return None;
            }
            let address = TargetAddress::Unix(self.sources.path(word.span, path));
            let at = At(self.place(word));
            return Some(Written::Target(Target { address, scheme, weight: 1, backup: false, at }));
        }
        match read(&word.text) {
            Ok(Written::Target(target)) => Some(Written::Target(Target { at: At(self.place(word)), ..target })),
            Ok(Written::Name) => Some(Written::Name),
            Err((what, hint)) => {
                self.complain(word.span, what, hint);
                None
            }
        }
    }
}

fn read(text: &str) -> Result<Written, TargetError> {
    let Some((written, rest)) = text.split_once("://") else { return bare(text) };
    let Some((_, scheme, port)) = SCHEMES.iter().find(|(name, _, _)| *name == written) else {
        let hint = match nearest(written, SCHEMES.iter().map(|(name, _, _)| *name)) {
            Some(near) => format!("did you mean `{near}://`?"),
            None => "write http://, https://, ws://, wss:// or h2c://".to_owned(),
        };
        return Err((format!("{} is not a scheme of a target", quote(&format!("{written}://"))), hint));
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if let Some(at) = authority.find(['/', '?', '#']) {
        let target = &authority[..at];
        let hint = format!("write the target as {written}://{target}; paths are changed by `rewrite` and `strip-prefix`");
        return Err((format!("the target {} has a path", quote(text)), hint));
    }
    let address = address(authority, Some(*port))?;
    Ok(Written::Target(Target { address, scheme: *scheme, weight: 1, backup: false, at: At::default() }))
}

fn bare(text: &str) -> Result<Written, TargetError> {
    let digits = text.strip_prefix(':').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(http(TargetAddress::Loopback(port(digits)?)));
    }
    if text.contains(['/', '?', '#']) {
        let hint = "a target is a port, host:port, a URL without a path, or unix/PATH";
        return Err((format!("{} is not a target", quote(text)), hint.into()));
    }
    if !text.contains([':', '[']) && name::parse_ip(text).is_none() {
        return match HostName::parse(text) {
            Ok(_) => Ok(Written::Name),
            Err(error) => Err((format!("{} is not a target", quote(text)), error.to_string())),
        };
    }
    Ok(http(address(text, None)?))
}

fn http(address: TargetAddress) -> Written {
    Written::Target(Target { address, scheme: TargetScheme::Http, weight: 1, backup: false, at: At::default() })
}

fn address(authority: &str, default_port: Option<u16>) -> Result<TargetAddress, TargetError> {
    let not_one = |hint: String| (format!("{} is not a target", quote(authority)), hint);
    if authority.contains('@') {
        return Err(not_one("leave out what stands before the `@`; a name and password go into `request-headers`".into()));
    }
    let (host, port) = match name::parse_ip(authority) {
        Some(_) => (authority, None),
        None => match authority.rsplit_once(':') {
            Some((host, digits)) => (host, Some(port(digits)?)),
            None => (authority, None),
        },
    };
    let Some(port) = port.or(default_port) else {
        return Err((format!("{} has no port", quote(authority)), "write the port behind it: host:8000, or [::1]:8000".into()));
    };
    if let Some(ip) = name::parse_ip(host) {
        return Ok(TargetAddress::Socket(SocketAddr::new(ip, port)));
    }
    HostName::parse(host).map(|name| TargetAddress::Name(name, port)).map_err(|error| not_one(error.to_string()))
}

fn port(digits: &str) -> Result<u16, TargetError> {
    let port = digits.parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| (format!("{} is not a port", quote(digits)), "write a number from 1 to 65535".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match read(text) {
            Ok(Written::Target(target)) => target.to_string(),
            Ok(Written::Name) => "name".into(),
            Err((what, _)) => format!("! {what}"),
        };
        assert_eq!(shown, expected, "for {text:?}");
    }

    #[test]
    fn targets_are_read_in_every_form() {
        check("3000", "127.0.0.1:3000");
        check(":3000", "127.0.0.1:3000");
        check("app:8000", "app:8000");
        check("10.0.0.1:8000", "10.0.0.1:8000");
        check("[::1]:8000", "[::1]:8000");
        check("http://app", "app:80");
        check("https://App.example/", "https://app.example:443");
        check("wss://app.example:8443", "https://app.example:8443");
        check("ws://10.0.0.1", "10.0.0.1:80");
        check("h2c://[::1]:50051", "h2c://[::1]:50051");
        check("app", "name");
    }

    #[test]
    fn a_bare_port_and_localhost_are_this_machine_at_either_loopback_address() {
        let port = |text: &str| match read(text) {
            Ok(Written::Target(target)) => target.address.loopback_port(),
            Ok(Written::Name) | Err(_) => None,
        };
        for text in ["5173", ":5173", "localhost:5173", "https://LocalHost:5173"] {
            assert_eq!(port(text), Some(5173), "for {text}");
        }
        for text in ["127.0.0.1:5173", "[::1]:5173", "app.localhost:5173", "app:5173"] {
            assert_eq!(port(text), None, "for {text}");
        }
    }

    #[test]
    fn what_is_no_target_is_said() {
        check("70000", "! `70000` is not a port");
        check("app:http", "! `http` is not a port");
        check("app:", "! `` is not a port");
        check("10.0.0.1", "! `10.0.0.1` has no port");
        check("::1", "! `::1` has no port");
        check("https://app/api", "! the target `https://app/api` has a path");
        check("htps://app", "! `htps://` is not a scheme of a target");
        check("u:p@app:80", "! `u:p@app:80` is not a target");
        check("/run/app.sock", "! `/run/app.sock` is not a target");
        check("a b", "! `a b` is not a target");
    }
}
