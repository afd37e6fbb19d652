//! What stands at the end of the way, in words.

use http::header;
use http::{Method, Request, Response, Uri};

use super::{ExplainRequest, Verdict, backends};
use crate::config::settings::{Block, End, Files, Settings, Upstream};
use crate::diagnostics::explain::steps;
use crate::proxy::redirect::Redirect;

/// Facts about the end, one a line, and how it ends.
pub(super) fn told(settings: &Settings, block: &Block, request: &Request<()>, upgrade: bool) -> (Vec<String>, Verdict) {
    match &block.end {
        End::Proxy(id) => proxy(&settings.upstreams[id.0], block, request, upgrade),
        End::Redirect { target, code } => {
            let location = Redirect::new(target, *code).and_then(|redirect| redirect.location(request.uri()));
            let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            let words = format!("redirected to {}", without_query(&location.unwrap_or_else(|| target.clone())));
            (vec![format!("redirect {target} {code}")].with(no_upgrade(upgrade, "a redirect")), answered(*code, words))
        }
        End::Respond { code, .. } => {
            let facts = vec![format!("respond {code} with a text of the configuration")];
            (facts.with(no_upgrade(upgrade, "a text")), answered(*code, "a text of the configuration".into()))
        }
        End::Files(files) => files_told(files, request, upgrade),
    }
}

fn proxy(upstream: &Upstream, block: &Block, request: &Request<()>, upgrade: bool) -> (Vec<String>, Verdict) {
    let mut facts = backends::told(upstream);
    facts.push(format!("the backend is asked for {} {}", request.method(), request.uri().path()));
    facts.extend(block.policy.request_headers.iter().map(|edit| format!("request-headers: {}", steps::edited(edit))));
    if upgrade {
        let rules = steps::tunnel(&block.policy);
        let rules = if rules.is_empty() { "for as long as both want".to_owned() } else { rules.join(", ") };
        facts.push(format!("the upgrade is passed on; when the backend grants it (101), bytes pass both ways: {rules}"));
    }
    let who = match &*upstream.targets {
        [only] => only.to_string(),
        _ => format!("a backend of {}", upstream.name),
    };
    (facts, Verdict::Reaches { words: format!("{who} is asked") })
}

fn files_told(files: &Files, request: &Request<()>, upgrade: bool) -> (Vec<String>, Verdict) {
    let mut facts = vec![format!("files below {}, {} is looked for", files.folder.display(), request.uri().path())];
    facts.extend(files.fallback.as_ref().map(|page| format!("{page} answers where there is no file")));
    facts.extend(files.list.then(|| "folders without an index.html are listed".to_owned()));
    let facts = facts.with(no_upgrade(upgrade, "files"));
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        (facts, Verdict::Reaches { words: "the file, or 404 where there is none".into() })
    } else {
        (facts, answered(405, "files are read by GET and HEAD only".into()))
    }
}

const fn answered(status: u16, words: String) -> Verdict {
    Verdict::Answered { status, words }
}

/// Why a client that wants a WebSocket will be told something else.
fn no_upgrade(upgrade: bool, what: &str) -> Option<String> {
    upgrade.then(|| format!("no WebSocket is opened here: {what} answers; a block with `proxy` for this path would pass it on"))
}

trait With {
    fn with(self, more: Option<String>) -> Self;
}

impl With for Vec<String> {
    fn with(mut self, more: Option<String>) -> Self {
        self.extend(more);
        self
    }
}

/// Where an answer sends the client, without the query, which may hold a secret.
pub(super) fn location<B>(response: &Response<B>, question: &ExplainRequest) -> String {
    let value = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    value.map_or_else(|| question.target.path().to_owned(), without_query)
}

/// The URL with its query left out, which may hold a secret.
pub(super) fn without_query(url: &str) -> String {
    let Some((shown, query)) = url.split_once('?') else { return url.to_owned() };
    if query.is_empty() || url.parse::<Uri>().is_err() { shown.to_owned() } else { format!("{shown}?...") }
}
