use super::*;
use crate::diagnostics::explain::{ExplainRequest, Verdict};
use crate::diagnostics::probe::report::By;

const OPEN: End = End::Open;

fn answered(status: u16, by: By) -> End {
    End::Answered { status, by }
}

fn question(url: &str, fields: &[&str]) -> ExplainRequest {
    ExplainRequest::new(url, "GET", &fields.iter().map(ToString::to_string).collect::<Vec<_>>(), None).unwrap()
}

/// The diagnosis of a WebSocket's ways.
fn of(through: &End, straight: Option<&End>) -> Diagnosis {
    let question = question("wss://a.test/ws?token=s3cret", &["Origin: https://a.test"]);
    let backend = Some("127.0.0.1:8000".to_owned());
    diagnose(&Facts {
        question: &question,
        through,
        straight,
        backend,
        without_origin: None,
        untrusted: None,
        meant: None,
        speaks_tls: None,
        out: None,
        explained: None,
    })
}

#[track_caller]
fn check(through: &End, straight: Option<&End>, code: &str) {
    let diagnosis = of(through, straight);
    assert_eq!(diagnosis.code, code, "{diagnosis:?}");
    assert_eq!(diagnosis.fine, diagnosis.repair.is_empty(), "{diagnosis:?}");
    assert!(!format!("{diagnosis:?}").contains("s3cret"), "{diagnosis:?}");
    assert!(!format!("{diagnosis:?}").contains("   "), "a line of the source is in it: {diagnosis:?}");
}

#[test]
fn the_classic_cases_are_told_apart() {
    check(&OPEN, Some(&OPEN), "fine");
    let refused = End::NoConnection { refused: true, why: "refused".into() };
    check(&answered(502, By::Gateway), Some(&refused), "backend-not-there");
    check(&answered(502, By::Gateway), Some(&OPEN), "gateway-cannot-reach");
    check(&answered(504, By::Gateway), None, "backend-not-there");
    check(
        &answered(502, By::Gateway),
        Some(&End::NoAnswer { why: "reset".into(), timed_out: false }),
        "backend-speaks-otherwise",
    );
    check(&answered(403, By::Gateway), Some(&OPEN), "forbidden");
    check(&answered(403, By::Backend), Some(&answered(403, By::Other)), "backend-forbids");
    check(&answered(401, By::Backend), None, "backend-auth");
    check(&answered(404, By::Backend), None, "backend-path");
    check(&answered(404, By::Gateway), None, "no-such-path");
    check(&answered(400, By::Backend), None, "backend-handshake");
    check(&answered(400, By::Other), Some(&OPEN), "lost-upgrade");
    check(&answered(200, By::Backend), Some(&answered(200, By::Other)), "not-a-websocket");
    check(&answered(200, By::Other), None, "not-a-websocket");
    check(&answered(500, By::Backend), None, "backend-error");
    check(&answered(522, By::Other), None, "cdn-error");
    check(&answered(426, By::Gateway), None, "needs-tls");
    check(&End::Loops { status: 308, by: By::Gateway }, Some(&OPEN), "redirect-loop");
    check(&End::ClosedAtOnce { code: Some(1008) }, None, "closed-policy");
    check(&End::ClosedAtOnce { code: Some(4001) }, None, "closed-app");
    check(&End::ClosedAtOnce { code: None }, None, "closed-1006");
    check(&End::Silent, None, "no-pong");
    check(&End::NoName { why: "no such name".into() }, None, "no-address");
    check(&End::NoTls { fault: TlsFault::NameRefused, why: String::new() }, None, "name-refused");
    let to = Some("https://b.test/ws?token=s3cret".to_owned());
    check(&End::Redirected { status: 301, to, by: By::Backend }, None, "redirected");
}

#[test]
fn a_page_by_https_may_not_open_ws_even_where_it_would_work() {
    let question = question("ws://a.test/ws", &["Origin: https://a.test"]);
    let facts = Facts {
        question: &question,
        through: &OPEN,
        straight: None,
        backend: None,
        without_origin: None,
        untrusted: None,
        meant: None,
        speaks_tls: None,
        out: None,
        explained: None,
    };
    assert_eq!(diagnose(&facts).code, "mixed-content");
}

#[test]
fn a_403_that_the_origin_causes_names_it() {
    let question = question("wss://a.test/ws", &["Origin: https://app.a.test"]);
    let forbidden = answered(403, By::Backend);
    let facts = Facts {
        question: &question,
        through: &forbidden,
        straight: Some(&forbidden),
        backend: None,
        without_origin: Some(&OPEN),
        untrusted: None,
        meant: None,
        speaks_tls: None,
        out: None,
        explained: None,
    };
    let diagnosis = diagnose(&facts);
    assert_eq!((diagnosis.code, diagnosis.repair.contains("https://app.a.test")), ("backend-origin", true));
}

#[test]
fn the_rule_of_the_configuration_is_named_where_it_is_at_hand() {
    let question = question("wss://a.test/ws", &[]);
    let refused = Verdict::Refused { status: 403, reason: "no-origin".into(), words: "by `origin`: pages of a.test".into() };
    let through = answered(403, By::Gateway);
    let facts = Facts {
        question: &question,
        through: &through,
        straight: None,
        backend: None,
        without_origin: None,
        untrusted: None,
        meant: None,
        speaks_tls: None,
        out: None,
        explained: Some(&refused),
    };
    assert!(diagnose(&facts).what.ends_with("no-origin, by `origin`: pages of a.test"));
}

#[test]
fn a_503_names_the_backends_that_get_no_requests() {
    let question = question("wss://a.test/ws", &[]);
    let through = answered(503, By::Gateway);
    let said = |straight: &End| {
        let (backend, out) = (None, Some("127.0.0.1:80 is circuit open (9 of 10 requests failed)".to_owned()));
        let straight = Some(straight);
        diagnose(&Facts {
            question: &question,
            through: &through,
            straight,
            backend,
            without_origin: None,
            untrusted: None,
            meant: None,
            speaks_tls: None,
            out,
            explained: None,
        })
    };
    let diagnosis = said(&OPEN);
    assert_eq!(diagnosis.code, "no-backend-up");
    assert!(diagnosis.what.ends_with("127.0.0.1:80 is circuit open (9 of 10 requests failed)"), "{diagnosis:?}");
    assert!(diagnosis.repair.starts_with("it answers when it is asked itself"), "{diagnosis:?}");
    assert!(said(&End::Silent).repair.starts_with("look into the backend's own log"));
}
