//! What is asked about: a URL and a header, as a client would send them.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};

use crate::config::settings::Settings;
use crate::proxy::upgrade;
use crate::proxy::validate::{self, Host};

/// A request that is not sent.
#[derive(Clone, Debug)]
pub struct ExplainRequest {
    /// The URL as it was given.
    pub url: String,
    /// Whether TLS is asked for.
    pub secure: bool,
    /// The host of the URL, which is the TLS handshake's, too.
    pub host: Host,
    /// The port the URL names.
    pub named_port: Option<u16>,
    /// Path and query.
    pub target: Uri,
    /// Its method.
    pub method: Method,
    /// Its header, with a Host.
    pub headers: HeaderMap,
    /// Who asks, where that is known.
    pub client: Option<IpAddr>,
}

/// Why there is nothing to explain.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// No scheme of ours.
    #[error("`{0}` is no URL of http, https, ws or wss; write it as https://example.com/path")]
    Scheme(String),
    /// No host, or an impossible one.
    #[error("`{0}` has no host that could be asked; write it as https://example.com/path")]
    Host(String),
    /// No request target.
    #[error("`{0}` has a path that no request could carry; write its special characters as %XX")]
    Target(String),
    /// No header field.
    #[error("`{0}` is no header field; write it as 'Name: value'")]
    Field(String),
    /// No method.
    #[error("`{0}` is no method; write it as GET or POST")]
    Method(String),
}

impl ExplainRequest {
    /// Reads a URL. `ws` and `wss` ask for a WebSocket as browsers do, but for the key. User information is refused, as
    /// every browser drops it. A fragment stays at home.
    ///
    /// # Errors
    /// When no client could send such a request.
    pub fn new(url: &str, method: &str, fields: &[String], client: Option<IpAddr>) -> Result<Self, QuestionError> {
        let none = || QuestionError::Scheme(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(none)?;
        let (secure, websocket) = match scheme.to_ascii_lowercase().as_str() {
            "https" => (true, false),
            "http" => (false, false),
            "wss" => (true, true),
            "ws" => (false, true),
            _ => return Err(none()),
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, named_port) = validate::host(authority.as_bytes()).map_err(|_| QuestionError::Host(url.to_owned()))?;
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let target = target.parse().map_err(|_| QuestionError::Target(url.to_owned()))?;
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| QuestionError::Method(method.to_owned()))?;
        let mut headers = HeaderMap::new();
        if websocket {
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        for text in fields {
            let (name, value) = field(text).ok_or_else(|| QuestionError::Field(name_of(text)))?;
            headers.append(name, value);
        }
        if !headers.contains_key(header::HOST) {
            let value = HeaderValue::try_from(authority).map_err(|_| QuestionError::Host(url.to_owned()))?;
            headers.insert(header::HOST, value);
        }
        Ok(Self { url: url.to_owned(), secure, host, named_port, target, method, headers, client })
    }

    /// With the Origin that a page of the URL's own host sends when it opens a WebSocket (RFC 6455 section 4.1), unless one
    /// was given; an empty one stands for a client that sends none. Says which one was added.
    pub fn as_browser(&mut self) -> Option<String> {
        if self.headers.get(header::ORIGIN).is_some_and(|origin| origin.is_empty()) {
            self.headers.remove(header::ORIGIN);
            return None;
        }
        if !self.asks_websocket() || self.headers.contains_key(header::ORIGIN) {
            return None;
        }
        let origin = format!("{}://{}", if self.secure { "https" } else { "http" }, self.authority());
        self.headers.insert(header::ORIGIN, HeaderValue::try_from(&origin).ok()?);
        Some(origin)
    }

    /// The port it comes to: the one that the URL's leads to, else the gateway's own for this scheme, which may stand behind
    /// another one.
    pub fn port(&self, settings: &Settings) -> u16 {
        let usual = if self.secure { settings.https_port } else { settings.http_port };
        self.named_port.map_or(usual, |port| settings.port_map().listening(port))
    }

    /// Host and, where it was named, port, as a client writes them.
    pub fn authority(&self) -> String {
        match self.named_port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// Whether it asks for a WebSocket.
    pub fn asks_websocket(&self) -> bool {
        upgrade::is_websocket(&self.request())
    }

    /// As the steps see it.
    pub(super) fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        request.headers_mut().clone_from(&self.headers);
        request
    }
}

fn field(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

/// A field's value may be a secret, and is not repeated.
fn name_of(text: &str) -> String {
    text.split(':').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(url: &str, fields: &[&str]) -> Result<ExplainRequest, QuestionError> {
        ExplainRequest::new(url, "GET", &fields.iter().map(ToString::to_string).collect::<Vec<_>>(), None)
    }

    #[test]
    fn a_url_is_read_as_a_client_would_send_it() {
        let check = |url: &str, expected: (bool, &str, Option<u16>, &str)| {
            let asked = question(url, &[]).unwrap();
            let seen = (asked.secure, asked.host.to_string(), asked.named_port, asked.target.to_string());
            assert_eq!((seen.0, seen.1.as_str(), seen.2, seen.3.as_str()), expected, "for {url}");
        };
        check("https://Example.com", (true, "example.com", None, "/"));
        check("http://a.test:8080/x?y=z#part", (false, "a.test", Some(8080), "/x?y=z"));
        check("wss://[::1]:8443?x", (true, "[::1]", Some(8443), "/?x"));
        assert!(upgrade::is_websocket(&question("ws://a.test/ws", &[]).unwrap().request()));
        assert_eq!(question("https://a.test", &["Host: b.test"]).unwrap().headers[header::HOST], "b.test");
    }

    #[test]
    fn a_websocket_has_the_origin_of_its_own_host_unless_another_is_given() {
        let origin = |url: &str, fields: &[&str]| {
            let mut asked = question(url, fields).unwrap();
            let added = asked.as_browser();
            (added, asked.headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap().to_owned()))
        };
        let own = |text: &str| (Some(text.to_owned()), Some(text.to_owned()));
        assert_eq!(origin("wss://Example.com/ws", &[]), own("https://example.com"));
        assert_eq!(origin("ws://a.test:8080/ws", &[]), own("http://a.test:8080"));
        assert_eq!(origin("wss://a.test/", &["Origin: https://b.test"]), (None, Some("https://b.test".to_owned())));
        assert_eq!(origin("wss://a.test/", &["Origin:"]), (None, None));
        assert_eq!(origin("https://a.test/", &[]), (None, None));
    }

    #[test]
    fn what_no_client_could_send_is_told() {
        let complaint = |url: &str, fields: &[&str]| question(url, fields).unwrap_err().to_string();
        assert!(complaint("example.com/x", &[]).contains("no URL of http"));
        assert!(complaint("ftp://example.com", &[]).contains("no URL of http"));
        assert!(complaint("https:///x", &[]).contains("no host"));
        assert!(complaint("https://user@a.test/", &[]).contains("no host"));
        assert!(complaint("https://a.test/a b", &[]).contains("%XX"));
        let said = complaint("https://a.test", &["Authorization Bearer s3cret: x"]);
        assert!(said.contains("'Name: value'"), "{said}");
    }
}
