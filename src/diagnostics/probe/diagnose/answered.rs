//! What a status means that is not the one that was wanted, by who sent it. Pure.

use http::header;

use crate::diagnostics::explain::Verdict;
use crate::diagnostics::probe::diagnosis::{Diagnosis, problem};
use crate::diagnostics::probe::facts::Facts;
use crate::diagnostics::probe::report::{By, End};

/// A status in the place of a 101, or of an answer below 400.
pub(super) fn answered(facts: &Facts<'_>, status: u16, by: By) -> Diagnosis {
    match (status, by) {
        (400 | 502 | 504, _) if facts.speaks_tls.is_some() => speaks_tls(facts, status),
        (426, By::Gateway) => problem(
            "needs-tls",
            "WebSockets are served over TLS only, and a WebSocket client follows no redirect",
            "open wss:// in the client; the path stays",
        ),
        (502 | 504, By::Gateway) => backend_is_not_there(facts, status),
        (503, By::Gateway) if facts.out.is_some() => nobody_is_up(facts),
        (503, By::Gateway) => by_rule(facts, status, "no backend can take it, or the site is being worked on"),
        (403, By::Gateway) => by_rule(facts, status, "the site refuses the page's origin or the client's address"),
        (401, By::Gateway) => by_rule(facts, status, "the site asks for a password or a token, and got none that is right"),
        (404, By::Gateway) => by_rule(facts, status, "the site has nothing at this path"),
        (429, By::Gateway) => by_rule(facts, status, "the client is over `limit requests` or `limit connections`"),
        (421, By::Gateway) => by_rule(facts, status, "the gateway has no site with this name on this port"),
        (_, By::Gateway) => by_rule(facts, status, "the gateway's log has the reason, under the same id"),
        (status, By::Other) if facts.straight_works() && status != 200 => between(facts, status),
        (520..=527, By::Other) => between(facts, status),
        (status, By::Backend | By::Other) => by_backend(facts, status),
    }
}

/// The gateway's own answer, with the rule where the configuration is at hand.
fn by_rule(facts: &Facts<'_>, status: u16, guess: &str) -> Diagnosis {
    let code = match status {
        401 => "who-may-pass",
        403 => "forbidden",
        404 => "no-such-path",
        429 => "too-many",
        503 => "unavailable",
        _ => "refused-by-gateway",
    };
    let rule = match facts.explained {
        Some(Verdict::Refused { status: known, reason, words }) if *known == status => format!("{reason}, {words}"),
        _ => guess.to_owned(),
    };
    problem(
        code,
        format!("the gateway itself answers {status}: {rule}"),
        "`doorward explain` with the same URL and headers shows the step that refuses; change it, or what the client sends",
    )
}

/// The gateway knows of no target that it could ask.
fn nobody_is_up(facts: &Facts<'_>) -> Diagnosis {
    let out = facts.out.as_deref().unwrap_or_default();
    let unreached = match facts.straight {
        Some(End::NoConnection { why, .. } | End::NoName { why }) => Some(why),
        _ => None,
    };
    let repair = match unreached {
        Some(_) => "start the backend, or correct the target in `proxy`; the gateway finds out by itself",
        None if facts.straight_works() => {
            "it answers when it is asked itself: wait until the gateway has tried it again, which `doorward status` shows"
        }
        None => "look into the backend's own log and repair it; the gateway finds out by itself",
    };
    let itself = unreached.map(|why| format!("; asked itself: {why}")).unwrap_or_default();
    problem("no-backend-up", format!("the gateway itself answers 503, as no backend gets requests: {out}{itself}"), repair)
}

fn backend_is_not_there(facts: &Facts<'_>, status: u16) -> Diagnosis {
    let backend = facts.backend();
    match facts.straight {
        Some(End::NoConnection { refused: true, why }) => problem(
            "backend-not-there",
            format!("the gateway answers {status}, because nothing takes connections for {backend}: {why}"),
            "start the backend, or correct the target in `proxy`; inside a container, 127.0.0.1 and ::1 are the container itself",
        ),
        Some(End::NoConnection { why, .. } | End::NoName { why }) => problem(
            "backend-unreachable",
            format!("the gateway answers {status}, because {backend} cannot be reached: {why}"),
            "check the target in `proxy`, its name, and the firewall between the two",
        ),
        _ if facts.speaks_tls.is_some() => speaks_tls(facts, status),
        Some(End::NoTls { why, .. }) => problem(
            "backend-speaks-otherwise",
            format!("the gateway answers {status}, because the TLS handshake with {backend} fails: {why}"),
            "give the backend's authority as `ca-file` or its name as `server-name` under `tls`; leave https:// out only if it \
             speaks plain HTTP",
        ),
        Some(End::NoAnswer { why, timed_out }) => {
            let code = if *timed_out { "backend-silent" } else { "backend-speaks-otherwise" };
            let what = format!("the gateway answers {status}, because {backend} does not answer, and does not speak TLS: {why}");
            let what = if *timed_out { what.replace(", and does not speak TLS", "") } else { what };
            problem(code, what, "look into the backend's own log: it takes the connection and does not answer over it")
        }
        Some(End::BadUpgrade { why }) => problem(
            "bad-upgrade",
            format!("the gateway answers {status}, because {backend} answers 101, {why}"),
            "correct the backend's WebSocket handshake",
        ),
        Some(_) if facts.straight_works() => problem(
            "gateway-cannot-reach",
            format!("the gateway answers {status}, though {backend} answers from here"),
            "the gateway asks another place: compare its target (`doorward explain`), its user's rights and its container's network",
        ),
        Some(_) | None => problem(
            "backend-not-there",
            format!("the gateway answers {status}: the application behind it does not answer, or not in time"),
            "the gateway's log names the backend and what it did; run this with --to BACKEND to ask it straight",
        ),
    }
}

/// A backend that is written as plain HTTP and speaks TLS.
fn speaks_tls(facts: &Facts<'_>, status: u16) -> Diagnosis {
    let text = facts.speaks_tls.as_deref().unwrap_or_default();
    let (seen, repair) = text.split_once("; ").unwrap_or((text, ""));
    problem("backend-speaks-tls", format!("{status} is answered, because {seen}"), repair)
}

/// The backend works and something before it does not.
fn between(facts: &Facts<'_>, status: u16) -> Diagnosis {
    let what = format!("{status} comes from a box between the client and {}", facts.backend());
    match status {
        400 | 426 if facts.websocket() => problem(
            "lost-upgrade",
            format!("{what}, which opens the WebSocket when it is asked straight: the Upgrade header is lost on the way"),
            "have that box pass on `Upgrade` and `Connection` over HTTP/1.1 (nginx: proxy_http_version 1.1 and both \
             proxy_set_header lines), or take it out of the way",
        ),
        520..=527 => problem(
            "cdn-error",
            format!("{what}: a CDN cannot use what the gateway answers"),
            "check that the gateway's ports are open to the CDN, and that its TLS mode is Full (strict)",
        ),
        _ => problem("box-between", what, "look at that box: a CDN, a firewall, or another web server on the port"),
    }
}

/// The application's own answer.
fn by_backend(facts: &Facts<'_>, status: u16) -> Diagnosis {
    if !facts.websocket() {
        return problem("backend-status", format!("the backend answers {status}"), "look into the backend's log");
    }
    match status {
        403 => forbidden(facts),
        401 => problem(
            "backend-auth",
            "the backend answers 401: it wants a token or a session, which was not sent or is not right",
            "send it (--header 'Authorization: Bearer ...', or in the query as the application reads it); a browser can send \
             cookies and the query only",
        ),
        404 => problem(
            "backend-path",
            "the backend answers 404: it has no route at this path",
            "compare the path with the application's route, and `strip-prefix` and `rewrite` with what `doorward explain` shows",
        ),
        400 | 426 => problem(
            "backend-handshake",
            format!("the backend answers {status}: it does not take this for a WebSocket handshake"),
            "compare path, subprotocol and Host with what the application expects; Node's ws answers 400 for a path it does \
             not serve, and an application that wants a subprotocol for a missing Sec-WebSocket-Protocol",
        ),
        405 | 501 => no_websocket(status, "the route takes no WebSocket"),
        200..=299 => no_websocket(status, "it answers a page in the place of 101"),
        _ if status >= 500 => problem(
            "backend-error",
            format!("the backend answers {status}: it failed"),
            "look for an exception in the backend's log",
        ),
        _ => problem("backend-status", format!("the backend answers {status}"), "look into the backend's log"),
    }
}

fn no_websocket(status: u16, what: &str) -> Diagnosis {
    problem(
        "not-a-websocket",
        format!("the backend answers {status}: {what}"),
        "correct the path, or have the server speak WebSocket there (Uvicorn needs the package websockets or wsproto, Django \
         needs ASGI, Flask a WebSocket server)",
    )
}

/// 403 has two usual reasons, and asking once without the Origin tells them apart.
fn forbidden(facts: &Facts<'_>) -> Diagnosis {
    let origin = facts.question.headers.get(header::ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned());
    match (origin, facts.without_origin) {
        (Some(origin), Some(End::Open)) => problem(
            "backend-origin",
            format!("the backend answers 403 to the Origin {origin}, and opens without one"),
            format!("add {origin} to the origins that the application allows"),
        ),
        _ => problem(
            "backend-forbids",
            "the backend answers 403 before the WebSocket opens: it refuses the token or session, or has no such WebSocket route",
            "look into the backend's log; FastAPI and Starlette answer 403 for a route they do not have and for a handler that \
             closes before it accepts",
        ),
    }
}
