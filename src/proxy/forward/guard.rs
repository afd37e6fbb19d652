//! Names of request fields that could pass for another field, and which of them go no further.
//!
//! CGI and what is like it (WSGI, FastCGI, PHP) write a name in capitals with `_` for `-`, and Apache for every other sign:
//! `x_real_ip` reaches such a program as `HTTP_X_REAL_IP`, as if the gateway had said it. nginx drops names with `_` or `.`,
//! Caddy did so from 2026 on, and both lose `api_key` and `X-Trace.Id`, which pass for nothing.
//!
//! Here a name goes no further exactly if it reads as a field that the gateway sets, removes or frames a message by, as one
//! that the block's own words set or check, or as another field of the same request. `keep-headers NAME` lets it pass.

use http::header::{HeaderMap, HeaderName};

use super::names::{bit, is_a_proxys};
use crate::config::settings::{Auth, HeaderEdit, LimitKey, Policy, TokenPlace};

/// What a block guards against names that could pass for it.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Names that its words set or check, as [`read_as`] gives them.
    own: Box<[Box<str>]>,
    /// Names that it lets pass.
    kept: Box<[HeaderName]>,
}

impl Guard {
    /// Of a block.
    pub fn of(policy: &Policy) -> Self {
        let mut own: Vec<Box<str>> = policy.request_headers.iter().map(|edit| fold(name_of(edit).as_str())).collect();
        match &policy.auth {
            Some(Auth::Forward(forward)) => own.extend(forward.copy.iter().map(|name| fold(name))),
            Some(Auth::Jwt(jwt)) => own.extend(jwt.places.iter().filter_map(|place| match place {
                TokenPlace::Header(name) => Some(fold(name)),
                TokenPlace::Bearer | TokenPlace::Cookie(_) | TokenPlace::Query(_) => None,
            })),
            Some(Auth::Basic(_)) | None => (),
        }
        if let Some(LimitKey::Header(name)) = policy.limit_requests.as_ref().map(|limit| &limit.by) {
            own.push(fold(name));
        }
        Self { own: own.into(), kept: policy.keep_headers.clone().into() }
    }

    /// Whether the operator lets this name pass.
    pub(super) fn keeps(&self, name: &HeaderName) -> bool {
        self.kept.contains(name)
    }

    /// Whether the block's words set or check a field of this name.
    pub(super) fn owns(&self, name: &str) -> bool {
        self.own.iter().any(|own| **own == *name)
    }

    /// Whether a field of this name goes no further.
    pub(super) fn drops(&self, name: &str, headers: &HeaderMap) -> bool {
        let Some(read) = read_as(name) else { return false };
        let taken = is_ours(&read) || self.own.contains(&read) || headers.contains_key(&*read);
        taken && !self.kept.iter().any(|kept| kept == name)
    }
}

/// The name that a program behind CGI cannot tell from this one, in lower case; `None` for a name of letters, digits and
/// hyphens, which is read as it is written.
pub(super) fn read_as(name: &str) -> Option<Box<str>> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (!plain).then(|| fold(name))
}

fn fold(name: &str) -> Box<str> {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    name.chars().map(letter).collect::<String>().into()
}

/// Whether the gateway sets or removes this field, or frames a message by it.
fn is_ours(name: &str) -> bool {
    bit(name) != 0 || is_a_proxys(name) || matches!(name, "content-length" | "content-type" | "sec-websocket-key")
}

const fn name_of(edit: &HeaderEdit) -> &HeaderName {
    match edit {
        HeaderEdit::Set { name, .. } | HeaderEdit::Add { name, .. } | HeaderEdit::Remove { name } => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Environment;
    use crate::config::resolve::from_text;

    fn guard(words: &str) -> Guard {
        let text = format!("a.test {{\n {words}\n proxy 127.0.0.1:1\n}}");
        Guard::of(
            &from_text("a.conf", &text, &Environment::default()).unwrap_or_else(|report| panic!("{report}")).settings.sites[0]
                .blocks[0]
                .policy,
        )
    }

    #[test]
    fn a_name_is_dropped_exactly_if_it_reads_as_a_field_that_matters() {
        let check = |words: &str, name: &str, others: &[&'static str], expected: bool| {
            let others = others.iter().map(|name| (HeaderName::from_static(name), http::HeaderValue::from_static("x")));
            assert_eq!(guard(words).drops(name, &others.collect()), expected, "for {name} beside {words:?}");
        };
        for harmless in
            ["api_key", "x-trace.id", "x-plain", "authorization", "x-real-ip", "x_forwarded", "remote_user", "_", "a!b"]
        {
            check("", harmless, &[], false);
        }
        for spoof in [
            "x_real_ip",
            "x.real.ip",
            "x-forwarded_for",
            "x!forwarded~for",
            "x_forwarded_ssl",
            "client_cert",
            "transfer_encoding",
            "x_request_id",
            "x_client_cert_subject",
            "content_length",
        ] {
            check("", spoof, &[], true);
        }
        check("auth forward http://127.0.0.1:1/ {\n copy Remote-User\n }", "remote_user", &[], true);
        check("auth forward http://127.0.0.1:1/ {\n copy Remote-User\n }", "remote_group", &[], false);
        check("request-headers set X-Tenant a", "x.tenant", &[], true);
        check("request-headers remove X-Internal", "X_Internal", &[], true);
        check("limit requests 5/s by header X-Key", "x_key", &[], true);
        check("auth jwt {\n keys https://id.test/\n algorithms RS256\n token header X-Token\n }", "x_token", &[], true);
        check("", "x_token", &["x-token"], true);
        check("", "x_token", &["x-tokens"], false);
        check("keep-headers x_real_ip", "x_real_ip", &[], false);
        check("keep-headers x_real_ip", "x_forwarded_for", &[], true);
    }
}
