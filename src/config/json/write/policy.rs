//! What is done to an exchange, as JSON.

use std::time::Duration;

use http::HeaderName;

use super::object_writer::{ObjectWriter, duration_of, list, path, secret, switch};
use crate::base::duration;
use crate::config::json::print::Json;
use crate::config::settings::{
    Auth, HeaderEdit, Jwt, JwtKeys, LimitKey, MessageLimit, Policy, RequestLimit, SiteRefusals, TokenPlace,
};

/// What a site's refusals carry.
pub(super) fn refusals(words: &SiteRefusals, object: &mut ObjectWriter) {
    object.filled("headers", words.headers.iter().map(edit));
    object.flag("security-headers", words.security_headers);
    object.flag("hsts", words.hsts);
    object.some("errors", words.errors.as_deref().map(path));
    object.filled("cors", words.cors.iter().map(String::as_str));
}

/// `inherited` are the edits of the site's own `headers`, which precede those of the block.
pub(super) fn policy(policy: &Policy, inherited: &[HeaderEdit], members: &mut ObjectWriter) {
    members.filled("allow", policy.allow.iter().map(ToString::to_string));
    members.filled("deny", policy.deny.iter().map(ToString::to_string));
    members.parts("limit", limits(policy));
    members.some("buffer-requests", policy.buffer_requests.map(|size| size.to_string()));
    if let Some(origins) = &policy.origins {
        members.filled("origin", origins.allowed.iter().map(String::as_str).chain(origins.without.then_some("none")));
    }
    members.some("auth", policy.auth.as_ref().map(auth));
    members.filled("cors", policy.cors.iter().map(String::as_str));
    members.some("strip-prefix", policy.strip_prefix.as_deref());
    members.some("rewrite", policy.rewrite.as_deref());
    members.filled("request-headers", policy.request_headers.iter().map(edit));
    members.filled("keep-headers", policy.keep_headers.iter().map(HeaderName::as_str));
    let headers = policy.headers.strip_prefix(inherited).unwrap_or(&policy.headers);
    members.filled("headers", headers.iter().map(edit));
    members.flag("security-headers", policy.security_headers);
    members.flag("hsts", policy.hsts);
    members.flag("compress", policy.compress);
    members.some("ping", policy.ping.map(duration_of));
    members.some("idle", policy.idle.map(duration_of));
    members.some("max-age", policy.max_age.map(duration_of));
    if let Some(on) = policy.access_log {
        let mut log = ObjectWriter::default();
        log.add("access", switch(on));
        members.parts("log", log);
    }
    members.some("maintenance", policy.maintenance.map(duration_of));
    members.some("errors", policy.errors.as_deref().map(path));
}

fn limits(policy: &Policy) -> ObjectWriter {
    let mut members = ObjectWriter::default();
    members.some("requests", policy.limit_requests.as_ref().map(requests));
    members.some("connections", policy.limit_connections);
    members.some("body", policy.limit_body.map(|size| size.to_string()));
    members.some("bandwidth", policy.limit_bandwidth.map(|rate| format!("{rate}/s")));
    members.some("message", policy.limit_message.as_ref().map(message));
    members
}

fn requests(limit: &RequestLimit) -> Json {
    let mut values = vec![rate(limit.count, limit.per).into(), "burst".into(), limit.burst.into(), "by".into()];
    match &limit.by {
        LimitKey::Ip => values.push("ip".into()),
        LimitKey::Header(name) => values.extend(["header".into(), name.as_str().into()]),
        LimitKey::Cookie(name) => values.extend(["cookie".into(), name.as_str().into()]),
        LimitKey::Query(name) => values.extend(["query".into(), name.as_str().into()]),
    }
    Json::List(values)
}

fn message(limit: &MessageLimit) -> Json {
    let rate = limit.rate.map(|(count, per)| rate(count, per));
    list(std::iter::once(limit.size.to_string()).chain(rate))
}

fn rate(count: u32, per: Duration) -> String {
    format!("{count}/{}", duration::print(per))
}

fn edit(edit: &HeaderEdit) -> Json {
    // Only visible ASCII gets into settings, so nothing is lost here.
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    match edit {
        HeaderEdit::Set { name, value } => list(["set", name.as_str(), &text(value)]),
        HeaderEdit::Add { name, value } => list(["add", name.as_str(), &text(value)]),
        HeaderEdit::Remove { name } => list(["remove", name.as_str()]),
    }
}

fn auth(auth: &Auth) -> Json {
    let mut members = ObjectWriter::default();
    match auth {
        Auth::Basic(users) => {
            let mut inside = ObjectWriter::default();
            for (name, credential) in users {
                inside.add(name, Json::List(secret(&credential.from)));
            }
            members.add("basic", inside.object());
        }
        Auth::Forward(forward) => {
            let mut inside = ObjectWriter::default();
            inside.filled("copy", forward.copy.iter().map(String::as_str));
            members.add("forward", Json::List(vec![forward.url.as_str().into(), inside.object()]));
        }
        Auth::Jwt(rules) => members.add("jwt", jwt(rules)),
    }
    members.object()
}

fn jwt(rules: &Jwt) -> Json {
    let mut members = ObjectWriter::default();
    match &rules.keys {
        JwtKeys::Set(credential) => members.add("keys", Json::List(secret(&credential.from))),
        JwtKeys::Url(url) => members.add("keys", url.as_str()),
    }
    members.add("algorithms", list(rules.algorithms.iter().copied()));
    members.filled("issuer", rules.issuers.iter().map(String::as_str));
    members.filled("audience", rules.audiences.iter().map(String::as_str));
    members.add("token", Json::List(rules.places.iter().map(place).collect()));
    members.flag("strip", rules.strip);
    members.object()
}

fn place(place: &TokenPlace) -> Json {
    match place {
        TokenPlace::Bearer => list(["bearer"]),
        TokenPlace::Header(name) => list(["header", name]),
        TokenPlace::Cookie(name) => list(["cookie", name]),
        TokenPlace::Query(name) => list(["query", name]),
    }
}
