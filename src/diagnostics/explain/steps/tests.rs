use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::environment::Environment;
use crate::config::resolve::from_text;
use crate::config::settings::Settings;
use crate::proxy::limit::registry::LimiterRegistry;
use crate::proxy::step::{Building, Step};

/// The policy of the first block of a site with these words.
fn policy(words: &str) -> Policy {
    let text = format!("a.test {{\n{words}\nrespond 200 here\n}}\n");
    let settings: Settings = from_text("", &text, &Environment::default()).unwrap_or_else(|report| panic!("{report}")).settings;
    settings.sites[0].blocks[0].policy.clone()
}

const EVERY_STEP: &str = "
    rewrite /index
    strip-prefix /api
    limit body 10MiB
    buffer-requests 1MiB
    auth basic {
        alice $2b$04$abcdefghijklmnopqrstuuS1rGXVYjxnDDF2CZYUeRnSSuUIj9SJy
    }
    origin https://example.com
    limit connections 20
    limit requests 10/min burst 5
    maintenance 10min
    cors https://app.example.com
    deny 10.9.9.9
    allow 10.0.0.0/8
";

fn request(method: &str, target: &str, fields: &[(&'static str, &'static str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(target).body(()).unwrap();
    for (name, value) in fields {
        request.headers_mut().append(*name, http::HeaderValue::from_static(value));
    }
    request
}

/// The word of a step on the way in.
const fn word(step: &Step) -> Option<&'static str> {
    match step {
        Step::Bandwidth(_) | Step::Compress | Step::Headers(_) | Step::Security | Step::Hsts => None,
        Step::IpFilter(_) => Some("allow"),
        Step::Cors(_) => Some("cors"),
        Step::Maintenance(_) => Some("maintenance"),
        Step::Rate(_) => Some("limit requests"),
        Step::LimitConnections(_) => Some("limit connections"),
        Step::Origins(_) => Some("origin"),
        Step::Auth(_) => Some("auth"),
        Step::LimitBody(_) => Some("limit body"),
        Step::BufferRequests(_) => Some("buffer-requests"),
        Step::StripPrefix(_) => Some("strip-prefix"),
        Step::Rewrite(_) => Some("rewrite"),
    }
}

fn everything() -> PathPattern {
    PathPattern::Prefix("/".into())
}

#[test]
fn the_steps_are_told_in_the_order_in_which_they_run() {
    let policy = policy(EVERY_STEP);
    let mut kept = LimiterRegistry::default();
    let mut pages = HashMap::new();
    let mut build = Building {
        site: "a.test",
        kept: &mut kept,
        before: None,
        body_timeout: Duration::from_secs(1),
        pages: &mut pages,
        private: &Arc::default(),
        service: &mut |_| unreachable!("no service is asked by these words"),
    };
    let run: Vec<_> = Step::of(&policy, &everything(), &mut build).unwrap().iter().filter_map(word).collect();
    let told = way_in(&policy, &everything(), &mut request("GET", "/api/x", &[]), None);
    assert_eq!(told.iter().map(|station| station.word).collect::<Vec<_>>(), run);
}

/// The outcome of the one step of `words`.
fn check(words: &str, request: Request<()>, client: Option<&str>, expected: &str) {
    let mut request = request;
    let told = way_in(&policy(words), &everything(), &mut request, client.map(|client| client.parse().unwrap()));
    let seen = match &told[0].outcome {
        Outcome::Passes => "passes".to_owned(),
        Outcome::Depends { on } => format!("depends on {on}"),
        Outcome::Refuses { status, reason, .. } => format!("{status} {reason}"),
        Outcome::Answers { status } => status.to_string(),
        Outcome::NotReached => "not reached".to_owned(),
    };
    assert!(seen.starts_with(expected), "for {words}: {seen}");
}

#[test]
fn each_step_says_what_it_does_to_this_request() {
    let get = |fields: &[(&'static str, &'static str)]| request("GET", "/", fields);
    check("deny 10.0.0.0/8", get(&[]), Some("10.1.1.1"), "403 denied-address");
    check("allow 10.0.0.0/8", get(&[]), Some("10.1.1.1"), "passes");
    check("allow 10.0.0.0/8", get(&[]), None, "depends on the client's address");
    let preflight = [("origin", "https://app.test"), ("access-control-request-method", "PUT")];
    check("cors https://app.test", request("OPTIONS", "/", &preflight), None, "204");
    check("cors https://other.test", request("OPTIONS", "/", &preflight), None, "403 bad-origin");
    check("maintenance", get(&[]), None, "503 maintenance");
    check("limit requests 10/min", get(&[]), None, "depends on how much of it");
    let upgrade = [("connection", "Upgrade"), ("upgrade", "websocket")];
    let from = |origin| [upgrade[0], upgrade[1], ("origin", origin)];
    check("origin https://a.test", get(&from("https://a.test")), None, "passes");
    check("origin https://a.test", get(&from("https://evil.test")), None, "403 bad-origin");
    check("origin https://a.test", get(&upgrade), None, "403 no-origin");
    check("origin https://a.test", get(&[]), None, "passes");
    let basic = "auth basic {\nalice $2b$04$abcdefghijklmnopqrstuuS1rGXVYjxnDDF2CZYUeRnSSuUIj9SJy\n}";
    check(basic, get(&[]), None, "401 password-missing");
    check(basic, get(&[("authorization", "Basic x")]), None, "depends on whether name and password");
    check("auth forward http://127.0.0.1:9/check", get(&[]), None, "depends on what http://127.0.0.1:9/check answers");
    let jwt = "auth jwt {\nkeys https://id.test/jwks\nalgorithms RS256\ntoken query access_token\n}";
    check(jwt, get(&[]), None, "401 token-missing");
    check(jwt, request("GET", "/?access_token=x", &[]), None, "depends on whether the token is right");
    check("limit body 10B", request("POST", "/", &[("content-length", "11")]), None, "413 body-too-large");
    check("limit body 10B", request("POST", "/", &[]), None, "depends on the body's length");
}

#[test]
fn what_comes_behind_a_refusal_is_not_reached() {
    let told = way_in(&policy(EVERY_STEP), &everything(), &mut request("GET", "/api/x", &[]), Some("10.9.9.9".parse().unwrap()));
    assert!(told[0].outcome.ends_it());
    assert!(told[1..].iter().all(|station| station.outcome == Outcome::NotReached));
}

#[test]
fn the_path_is_the_one_the_backend_will_see() {
    let mut seen = request("GET", "/api/x?q=1", &[]);
    way_in(&policy("strip-prefix /api"), &everything(), &mut seen, None);
    assert_eq!(seen.uri(), "/x?q=1");
}

#[test]
fn the_way_out_ends_with_the_sites_own_words_and_compression() {
    let policy = policy("compress\nheaders remove X-Powered-By\nsecurity-headers\ncors https://app.test\n");
    let told = way_out(&policy, true);
    let words: Vec<_> = told.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(words, ["cors", "security-headers", "headers", "compress"]);
    assert!(told[2].ends_with("remove x-powered-by"), "{told:?}");
}
