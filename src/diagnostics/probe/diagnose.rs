//! One diagnosis of what was seen: what is wrong, whose it is, and the one thing to do. Pure.

use super::diagnosis::{Diagnosis, fine, problem};
use super::facts::{Facts, works};
use super::report::{By, End, TlsFault};
use crate::certs::issued_by::{self, Meant};
use crate::proxy::messages;

mod answered;
#[cfg(test)]
mod tests;

/// The diagnosis.
pub(super) fn diagnose(facts: &Facts<'_>) -> Diagnosis {
    let found = behind_tls(facts);
    let Some(issuer) = facts.untrusted else { return found };
    let untrusted = unknown_authority(facts, issuer);
    match found.fine {
        true => Diagnosis { what: format!("{}; apart from that, {}", untrusted.what, found.what), ..untrusted },
        false => Diagnosis {
            what: format!("{}; besides, {}", found.what, untrusted.what),
            repair: format!("{}; for the certificate: {}", found.repair, untrusted.repair),
            ..found
        },
    }
}

/// The certificate's issuer is one that this machine does not trust, and was passed over.
fn unknown_authority(facts: &Facts<'_>, issuer: &str) -> Diagnosis {
    let what = format!("the certificate of {} is from '{issuer}', which this machine does not trust", facts.host());
    let repair = match facts.meant {
        Some(Meant::Local) => {
            "the configuration means it, as it has the local authority issue for this name: run `doorward trust` on the \
             client's machine, or give --ca its root.pem"
                .to_owned()
        }
        Some(Meant::Staging(at)) if at.0.line == 0 => {
            "the configuration means it, by --staging, and no browser trusts it: leave that out once the set-up works".to_owned()
        }
        Some(Meant::Staging(at)) => {
            format!("the configuration means it, and no browser trusts it: remove 'staging' ({at}) once the set-up works")
        }
        Some(Meant::Files(at)) => format!(
            "the configuration takes it from files ({at}): give --ca that issuer's root, or put files of a public authority there"
        ),
        None if issued_by::is_staging(issuer) => {
            "it is a staging authority's, that no browser trusts: remove `staging` from the gateway's configuration".to_owned()
        }
        None => "give --ca that issuer's root; if it is an intermediate, have the server send its whole chain".to_owned(),
    };
    problem("unknown-authority", what, repair)
}

fn behind_tls(facts: &Facts<'_>) -> Diagnosis {
    if facts.is_mixed_content() {
        return problem(
            "mixed-content",
            "a page that came by https may not open ws://, so a browser refuses before it asks anybody",
            "open wss:// in the page; the path stays",
        );
    }
    match facts.through {
        End::Open => fine("the WebSocket opens, answers our ping and stays open"),
        End::Answered { status, .. } if works(facts.through, facts.websocket()) => fine(format!("answered with {status}")),
        End::Answered { status, by } => answered::answered(facts, *status, *by),
        End::Redirected { to, .. } if facts.websocket() => redirected(facts, to.as_deref()),
        End::Redirected { to, .. } => problem(
            "redirects",
            format!("the last redirect leads to {}, which was not followed", without_query(to.as_deref().unwrap_or("nowhere"))),
            "ask for that URL itself",
        ),
        End::Loops { status, by } => circle(facts, *status, *by),
        End::NoName { why } => problem(
            "no-address",
            format!("the name {} has no address: {why}", facts.host()),
            "add an A record that points to the gateway, or wait until a new one is known everywhere",
        ),
        End::NoConnection { refused: true, why } => problem(
            "nobody-listens",
            format!("nothing listens there: {why}"),
            "start the gateway, or correct the name's record if the gateway is at another address",
        ),
        End::NoConnection { refused: false, why } => problem(
            "unreachable",
            format!("no connection comes about: {why}"),
            "open the port in the firewall and in the provider's network rules, and check the name's A and AAAA records",
        ),
        End::NoTls { fault, why } => tls(facts, *fault, why),
        End::NoAnswer { why, .. } => no_answer(facts, why),
        End::BadUpgrade { why } => problem(
            "bad-upgrade",
            format!("101 is answered, {why}: a browser would refuse it"),
            "look for a cache or another box in between that answers in the backend's place",
        ),
        End::ClosedAtOnce { code } => closed(facts, *code),
        End::Silent => problem(
            "no-pong",
            "the WebSocket opens, but nothing answers our ping (RFC 6455 section 5.5.3)",
            "look into the backend: its loop is blocked, or it leaves pings unanswered, so that dead connections are not found",
        ),
    }
}

/// A page may stand in its URL's query.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

fn redirected(facts: &Facts<'_>, to: Option<&str>) -> Diagnosis {
    let to = without_query(to.unwrap_or("another URL"));
    let url = to.replacen("https://", "wss://", 1).replacen("http://", "ws://", 1);
    match facts.question.secure {
        true => problem(
            "redirected",
            format!("a redirect to {to} is answered, which WebSocket clients do not follow"),
            format!("open {url} in the client, or give this path its `proxy`"),
        ),
        false => problem(
            "needs-tls",
            format!("port 80 sends everything to {to}, and WebSocket clients do not follow redirects"),
            format!("open {url} in the client"),
        ),
    }
}

/// Who sends the client round is seen where the backend is asked itself.
fn circle(facts: &Facts<'_>, status: u16, by: By) -> Diagnosis {
    let what = format!("the answer is {status} to the URL that was asked for, for ever");
    let bare = |url: &str| url.split_once("://").map_or(url, |(_, rest)| rest).to_ascii_lowercase();
    let same = |to: &str| bare(to) == bare(&facts.question.url);
    let by_backend = by == By::Backend
        || matches!(facts.straight, Some(End::Redirected { to: Some(to), .. }) if same(to) || *to == facts.question.target.to_string());
    match facts.straight {
        _ if by_backend => {
            let url = without_query(&facts.question.url).to_owned();
            let text = messages::redirects_to_itself(&url, facts.backend(), status);
            let (seen, repair) = text.split_once("; ").unwrap_or((&text, ""));
            problem("redirect-loop", seen, repair)
        }
        Some(_) => problem(
            "redirect-loop",
            format!("{what}, and not by the backend, which answers when it is asked itself"),
            "a box before the gateway takes https and asks the gateway by http, which sends it back to https: set that CDN's \
             TLS mode to Full (strict) (Cloudflare's Flexible makes this circle)",
        ),
        None => {
            problem("redirect-loop", what, "run this with --to BACKEND, which shows whether it is the backend that redirects")
        }
    }
}

fn tls(facts: &Facts<'_>, fault: TlsFault, why: &str) -> Diagnosis {
    let host = facts.host();
    match fault {
        TlsFault::UnknownIssuer => problem(
            "unknown-authority",
            format!("the certificate of {host} is signed by an authority that this machine does not know"),
            "for the gateway's local authority run `doorward trust` or give --ca its root.pem; for staging, go live; in \
             front of another server, have it send its whole chain",
        ),
        TlsFault::OtherName => problem(
            "other-name",
            format!("the certificate that is shown is not for {host}"),
            "add the name as a site of its own, or find out which other server has this address",
        ),
        TlsFault::Time => problem(
            "certificate-time",
            format!("the certificate of {host} is not valid now: {why}"),
            "run `doorward certs` to see why it was not renewed, and check both machines' clocks",
        ),
        TlsFault::NameRefused => problem(
            "name-refused",
            format!("the server has no certificate for {host}"),
            "add a site with this name; when there is one, `doorward certs` tells why its certificate is not there yet",
        ),
        TlsFault::Other => problem(
            "no-tls",
            format!("the TLS handshake fails: {why}"),
            "check that it is the gateway's https port, and that no other program or firewall answers there",
        ),
    }
}

fn no_answer(facts: &Facts<'_>, why: &str) -> Diagnosis {
    let whose = if facts.straight_works() {
        "the backend answers when it is asked itself, so look at what stands between: the gateway's log has the request"
    } else {
        "look into the backend's log: it takes the request and does not answer it"
    };
    problem("no-answer", format!("the connection stands, and no answer comes: {why}"), whose)
}

fn closed(facts: &Facts<'_>, code: Option<u16>) -> Diagnosis {
    let same = matches!(facts.straight, Some(End::ClosedAtOnce { .. }));
    let who = if same { ", straight at the backend as well" } else { "" };
    let (code_word, what, repair) = match code {
        None => ("closed-1006", "ends without a close frame (browsers say 1006)", "look for an exception in the backend's log"),
        Some(1000 | 1001) => ("closed", "is closed at once, as if all were said", "look why the backend's handler returns"),
        Some(1002 | 1003 | 1007) => {
            ("closed-protocol", "is closed for what was sent", "compare the client's and the backend's protocol and subprotocols")
        }
        Some(1008) => (
            "closed-policy",
            "is closed with 1008: the token or session is refused after the upgrade, or a rate is exceeded",
            "check the token the client sends, and `limit message` of the site",
        ),
        Some(1009) => {
            ("closed-size", "is closed with 1009: a message is too large", "raise `limit message`, or the backend's limit")
        }
        Some(1011) => ("closed-error", "is closed with 1011: the backend failed", "look for an exception in the backend's log"),
        Some(1012 | 1013) => ("closed-restart", "is closed with 1012 or 1013: the backend restarts or is full", "try again soon"),
        Some(4000..) => ("closed-app", "is closed with a code of the application's own", "look up the code in the application"),
        Some(_) => ("closed", "is closed at once", "look into the backend's log"),
    };
    problem(code_word, format!("the WebSocket opens and {what}{who}"), repair)
}
