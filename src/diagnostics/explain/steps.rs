//! What the steps of a policy say to a request, in words and in the order in which they run: for `doorward explain`. Pure: a
//! limit is told, not used up, and nobody is asked.

use std::net::IpAddr;

use http::header;
use http::{Method, Request};
use serde::Serialize;

use crate::base::addr::IpNet;
use crate::base::duration;
use crate::config::settings::Origins as Allowed;
use crate::config::settings::{Auth, HeaderEdit, Jwt, JwtKeys, LimitKey, PathPattern, Policy, RequestLimit, TokenPlace};
use crate::proxy::error_response;
use crate::proxy::h1::length;
use crate::proxy::refusal::{Proof, Refusal, Unproved};
use crate::proxy::step::auth::jwt_token_is_given;
use crate::proxy::step::{Cors, IpFilter, Origins, Rewrite, StripPrefix};
use crate::proxy::upgrade;

/// One step on the way in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainStep {
    /// The word of the configuration.
    pub word: &'static str,
    /// What it means.
    pub says: String,
    /// What it does to this request.
    pub outcome: Outcome,
}

/// What a step does to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Outcome {
    /// Lets it pass.
    Passes,
    /// Lets it pass or not, by what cannot be known here.
    Depends {
        /// What it depends on.
        on: String,
    },
    /// Refuses it.
    Refuses {
        /// With this status.
        status: u16,
        /// The stable code in the log.
        reason: String,
        /// The sentence in the log, where it says more of this request than the step does.
        #[serde(skip_serializing_if = "Option::is_none")]
        words: Option<String>,
    },
    /// Answers it.
    Answers {
        /// With this status.
        status: u16,
    },
    /// An earlier step has ended it.
    NotReached,
}

impl Outcome {
    /// Whether no later step sees the request.
    pub const fn ends_it(&self) -> bool {
        matches!(self, Self::Refuses { .. } | Self::Answers { .. })
    }
}

/// A refusal that is sure.
pub fn refuses(refusal: &Refusal) -> Outcome {
    Outcome::Refuses { status: error_response::status(refusal), reason: refusal.reason().to_owned(), words: None }
}

/// The way in: what each step says to `request`, whose path those change that change it. `client` is who asks, where that
/// is known. The order is that of [`crate::proxy::step::Step::of`].
pub fn way_in(policy: &Policy, path: &PathPattern, request: &mut Request<()>, client: Option<IpAddr>) -> Vec<ExplainStep> {
    // Every field is named, so that a new word asks to be explained.
    let Policy {
        allow,
        deny,
        cors,
        maintenance,
        limit_requests,
        limit_connections,
        origins,
        auth,
        limit_body,
        buffer_requests,
        strip_prefix,
        rewrite,
        request_headers: _,
        keep_headers: _,
        headers: _,
        security_headers: _,
        hsts: _,
        compress: _,
        limit_bandwidth: _,
        limit_message: _,
        ping: _,
        idle: _,
        max_age: _,
        access_log: _,
        errors: _,
    } = policy;
    let mut way = Way { stations: Vec::new(), ended: false };
    way.addresses(allow, deny, client);
    way.cross_origin(cors, request);
    if let Some(after) = maintenance {
        let refusal = Refusal::Maintenance { after: after.as_secs().max(1) };
        way.add("maintenance", "nothing is answered but that the site is being worked on".into(), || refuses(&refusal));
    }
    way.numbers(limit_requests.as_ref(), *limit_connections);
    way.pages(origins.as_ref(), request);
    if let Some(auth) = auth {
        way.add("auth", who_may_pass(auth), || proved(auth, request));
    }
    if let Some(limit) = limit_body {
        way.add("limit body", format!("bodies up to {limit}; longer ones get 413"), || body(limit.0, request));
    }
    if let Some(size) = buffer_requests {
        way.add("buffer-requests", format!("{size} of a body are taken in before a backend is asked"), || Outcome::Passes);
    }
    way.paths((strip_prefix.as_deref(), path), rewrite.as_deref(), request);
    way.stations
}

/// The way out: what is done to the answer, in order.
pub fn way_out(policy: &Policy, secure: bool) -> Vec<String> {
    let mut out = Vec::new();
    if !policy.cors.is_empty() {
        out.push("cors: Access-Control-Allow-Origin for the pages that may read it".to_owned());
    }
    if policy.hsts && secure {
        out.push("hsts: Strict-Transport-Security for a year".to_owned());
    }
    if policy.security_headers {
        out.push("security-headers: the four headers of the guides, where the answer has none of its own".to_owned());
    }
    out.extend(policy.headers.iter().map(|one| format!("headers: {}", edit(one))));
    if policy.compress {
        out.push("compress: zstd or gzip, where the answer gains by it".to_owned());
    }
    if let Some(rate) = policy.limit_bandwidth {
        out.push(format!("limit bandwidth: {rate} a second at most"));
    }
    if let Some(folder) = &policy.errors {
        out.push(format!("errors: own pages of {} for what is refused", folder.display()));
    }
    if policy.access_log == Some(false) {
        out.push("log access off: not in the access log".to_owned());
    }
    out
}

/// The stations so far.
struct Way {
    stations: Vec<ExplainStep>,
    ended: bool,
}

impl Way {
    fn addresses(&mut self, allow: &[IpNet], deny: &[IpNet], client: Option<IpAddr>) {
        let Some(admit) = IpFilter::of(allow, deny) else { return };
        let says = [("allow", allow), ("deny", deny)].into_iter().filter(|(_, nets)| !nets.is_empty());
        let says = says.map(|(word, nets)| format!("{word} {}", joined(nets))).collect::<Vec<_>>().join("; ");
        self.add(if allow.is_empty() { "deny" } else { "allow" }, says, || match client {
            Some(client) => judged(admit.check(client)),
            None => depends("the client's address; --from ADDR tells who asks"),
        });
    }

    fn cross_origin(&mut self, cors: &[String], request: &Request<()>) {
        if cors.is_empty() {
            return;
        }
        let says = format!("pages of {} may read what is answered here", cors.join(", "));
        self.add("cors", says, || match Cors::of(cors).enter(request) {
            Ok(None) => Outcome::Passes,
            Ok(Some(response)) => Outcome::Answers { status: response.status().as_u16() },
            Err(refusal) => refuses(&refusal),
        });
    }

    fn numbers(&mut self, requests: Option<&RequestLimit>, connections: Option<u32>) {
        if let Some(limit) = requests {
            self.add("limit requests", rate(limit), || depends("how much of it the client has used; beyond it 429"));
        }
        if let Some(most) = connections {
            let says = format!("{most} requests and tunnels of one client at a time");
            self.add("limit connections", says, || depends("how many the client has open; beyond it 429"));
        }
    }

    fn pages(&mut self, origins: Option<&Allowed>, request: &Request<()>) {
        let Some(origins) = origins else { return };
        let none = if origins.without { ", and clients that send no Origin" } else { "" };
        let says = format!("pages that may open a WebSocket: {}{none}", origins.allowed.join(", "));
        self.add("origin", says, || {
            if !upgrade::is_websocket(request) {
                return Outcome::Passes;
            }
            let rule = Origins::of(origins);
            let Err(refusal) = rule.check(request.headers()) else { return Outcome::Passes };
            match refuses(&refusal) {
                Outcome::Refuses { status, reason, .. } => {
                    Outcome::Refuses { status, reason, words: rule.words(request.headers(), &refusal) }
                }
                other => other,
            }
        });
    }

    fn paths(&mut self, (prefix, block): (Option<&str>, &PathPattern), path: Option<&str>, request: &mut Request<()>) {
        if let Some(prefix) = prefix {
            match StripPrefix::new(prefix, block).enter(request) {
                Some(location) => {
                    let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
                    let location = location.split('?').next().unwrap_or_default();
                    let says = format!("nothing is left without {prefix}: sent on to {location}, so that relative links hold");
                    self.add("strip-prefix", says, || Outcome::Answers { status: 308 });
                }
                None => {
                    let path = request.uri().path().to_owned();
                    self.add("strip-prefix", format!("{prefix} is cut off: the path is {path} now"), || Outcome::Passes);
                }
            }
        }
        if let Some(path) = path {
            Rewrite::new(path).enter(request.uri_mut());
            self.add("rewrite", format!("the path is {path} now"), || Outcome::Passes);
        }
    }

    fn add(&mut self, word: &'static str, says: String, outcome: impl FnOnce() -> Outcome) {
        let outcome = if self.ended { Outcome::NotReached } else { outcome() };
        self.ended |= outcome.ends_it();
        self.stations.push(ExplainStep { word, says, outcome });
    }
}

fn depends(on: &str) -> Outcome {
    Outcome::Depends { on: on.to_owned() }
}

fn judged(verdict: Result<(), Refusal>) -> Outcome {
    verdict.map_or_else(|refusal| refuses(&refusal), |()| Outcome::Passes)
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn rate(limit: &RequestLimit) -> String {
    let by = match &limit.by {
        LimitKey::Ip => "client address (IPv6 by /64)".to_owned(),
        LimitKey::Header(name) => format!("value of the header {name}"),
        LimitKey::Cookie(name) => format!("value of the cookie {name}"),
        LimitKey::Query(name) => format!("value of the query parameter {name}"),
    };
    format!("{} in {} for each {by}, and {} more at once", limit.count, duration::print(limit.per), limit.burst)
}

fn who_may_pass(auth: &Auth) -> String {
    match auth {
        Auth::Basic(users) if users.len() == 1 => "a password (basic), one user".to_owned(),
        Auth::Basic(users) => format!("a password (basic), {} users", users.len()),
        Auth::Forward(forward) => format!("{} decides", forward.url),
        Auth::Jwt(jwt) => token(jwt),
    }
}

fn token(jwt: &Jwt) -> String {
    let place = |place: &TokenPlace| match place {
        TokenPlace::Bearer => "Authorization: Bearer".to_owned(),
        TokenPlace::Header(name) => format!("the header {name}"),
        TokenPlace::Cookie(name) => format!("the cookie {name}"),
        TokenPlace::Query(name) => format!("the query parameter {name}"),
    };
    let places = jwt.places.iter().map(place).collect::<Vec<_>>().join(", then ");
    let keys = match &jwt.keys {
        JwtKeys::Set(_) => "keys in the configuration".to_owned(),
        JwtKeys::Url(url) => format!("keys of {url}"),
    };
    format!("a signed token (jwt, {}) in {places}; {keys}", jwt.algorithms.join(" "))
}

fn proved(auth: &Auth, request: &Request<()>) -> Outcome {
    let missing = |proof| refuses(&Refusal::Unauthorized(proof, Unproved::Missing));
    match auth {
        Auth::Basic(_) if !request.headers().contains_key(header::AUTHORIZATION) => missing(Proof::Password),
        Auth::Basic(_) => depends("whether name and password are right"),
        Auth::Forward(forward) => depends(&format!("what {} answers", forward.url)),
        Auth::Jwt(jwt) if !jwt_token_is_given(&jwt.places, request) => missing(Proof::Token),
        Auth::Jwt(_) => depends("whether the token is right; it is not checked here"),
    }
}

fn body(limit: u64, request: &Request<()>) -> Outcome {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| length::read(value.as_bytes()));
    match announced {
        Some(length) if length > limit => refuses(&Refusal::BodyTooLarge { limit }),
        Some(_) => Outcome::Passes,
        None if matches!(*request.method(), Method::GET | Method::HEAD) => Outcome::Passes,
        None => depends("the body's length"),
    }
}

/// One edit, as it is written.
fn edit(edit: &HeaderEdit) -> String {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    match edit {
        HeaderEdit::Set { name, value } => format!("set {name} {}", text(value)),
        HeaderEdit::Add { name, value } => format!("add {name} {}", text(value)),
        HeaderEdit::Remove { name } => format!("remove {name}"),
    }
}

/// The same without the value: what a backend is given may be a key.
pub fn edited(edit: &HeaderEdit) -> String {
    match edit {
        HeaderEdit::Set { name, .. } => format!("set {name}"),
        HeaderEdit::Add { name, .. } => format!("add {name}"),
        HeaderEdit::Remove { name } => format!("remove {name}"),
    }
}

/// What a tunnel is held to.
pub fn tunnel(policy: &Policy) -> Vec<String> {
    let mut rules = Vec::new();
    if let Some(limit) = policy.limit_message {
        let rate = limit.rate.map(|(count, per)| format!(", {count} in {}", duration::print(per)));
        rules.push(format!("messages up to {}{}", limit.size, rate.unwrap_or_default()));
    }
    rules.extend(policy.ping.map(|every| format!("pinged when silent for {}", duration::print(every))));
    rules.extend(policy.idle.map(|idle| format!("ended when silent for {}", duration::print(idle))));
    rules.extend(policy.max_age.map(|age| format!("ended after {}", duration::print(age))));
    rules
}

#[cfg(test)]
mod tests;
