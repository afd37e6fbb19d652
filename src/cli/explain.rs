//! `doorward explain`: the way a request would go, on one page.

use super::args::ExplainArgs;
use super::configuration;
use super::exit::Exit;
use super::output;
use crate::diagnostics::explain::steps::{ExplainStep, Outcome};
use crate::diagnostics::explain::{self, ExplainRequest, Explanation, Verdict};

/// Explains one request.
pub fn run(args: &ExplainArgs) -> Exit {
    let mut question = match ExplainRequest::new(&args.url, &args.method, &args.header, args.from) {
        Ok(question) => question,
        Err(error) => {
            output::failure(&error);
            return Exit::Usage;
        }
    };
    let loaded = match configuration::load_or_tell(&args.config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let origin = question.as_browser();
    let explanation = Explanation { origin, ..explain::explain(&loaded.settings, &question) };
    if args.json {
        output::json(&explanation);
    } else {
        output::part(&page(&explanation));
    }
    Exit::Done
}

/// One fact a line, each under its head.
fn page(told: &Explanation) -> String {
    let kind = if told.upgrade { ", asks for an upgrade" } else { "" };
    let mut page = Page::default();
    page.line("request", &format!("{}{kind}", told.url));
    if let Some(origin) = &told.origin {
        page.line(
            "origin",
            &format!("{origin}, as pages of this host send it; --header 'Origin: ...' names another, 'Origin:' none"),
        );
    }
    if let Some(site) = &told.site {
        page.line("site", &format!("{} ({}), {}", site.host, site.at, site.tls));
    }
    if let Some(block) = &told.block {
        page.line("block", &format!("{} ({}): {}", block.path, block.at, block.why));
    }
    page.list("fields", &told.fields);
    for (number, station) in told.steps.iter().enumerate() {
        page.line(if number == 0 { "steps" } else { "" }, &step(number + 1, station));
    }
    page.list("end", &told.end);
    page.list("answer", &told.out);
    page.line("result", &verdict(told));
    page.0
}

fn step(number: usize, station: &ExplainStep) -> String {
    let outcome = match &station.outcome {
        Outcome::Passes => "passes".to_owned(),
        Outcome::Depends { on } => format!("depends on {on}"),
        Outcome::Refuses { status, reason, .. } => format!("refuses with {status} ({reason})"),
        Outcome::Answers { status } => format!("answers with {status}"),
        Outcome::NotReached => "is not reached".to_owned(),
    };
    format!("{number}. {}: {} -> {outcome}", station.word, station.says)
}

fn verdict(told: &Explanation) -> String {
    match &told.verdict {
        Verdict::NotServed { words } => format!("no answer: {words}"),
        Verdict::Refused { status, reason, words } => format!("{status} {reason}: {words}"),
        Verdict::Answered { status, words } => format!("{status}: {words}{}", unless(&told.steps)),
        Verdict::Reaches { words } => format!("{words}{}", unless(&told.steps)),
    }
}

/// What may still come between.
fn unless(steps: &[ExplainStep]) -> String {
    let open: Vec<&str> =
        steps.iter().filter(|step| matches!(step.outcome, Outcome::Depends { .. })).map(|step| step.word).collect();
    if open.is_empty() { String::new() } else { format!(", unless {} refuses", open.join(" or ")) }
}

/// Lines with a head each.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, head: &str, text: &str) {
        self.0.push_str(&format!("{head:8} {text}\n"));
    }

    fn list(&mut self, head: &str, lines: &[String]) {
        for (number, text) in lines.iter().enumerate() {
            self.line(if number == 0 { head } else { "" }, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Environment;
    use crate::config::resolve::from_text;

    const CONFIG: &str = "example.com {
    security-headers
    /ws/* {
        limit requests 10/min burst 5
        origin https://example.com
        auth jwt {
            keys https://id.example.com/jwks
            algorithms RS256
            token query access_token
        }
        proxy 127.0.0.1:8000
    }
    /* {
        respond 404 nothing
    }
}
";

    fn page_of(url: &str, fields: &[&str]) -> String {
        let settings = from_text("a.conf", CONFIG, &Environment::default()).unwrap().settings;
        let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
        page(&explain::explain(&settings, &ExplainRequest::new(url, "GET", &fields, None).unwrap()))
    }

    #[test]
    fn a_page_tells_the_whole_way() {
        assert_eq!(
            page_of("wss://example.com/ws/room?access_token=s3cret", &["Origin: https://example.com"]),
            "\
request  wss://example.com/ws/room?access_token=***, asks for an upgrade
site     example.com (a.conf:1), certificate by ACME from https://acme-v02.api.letsencrypt.org/directory
block    /ws/* (a.conf:3): the longest path that matches, before /*
steps    1. limit requests: 10 in 1min for each client address (IPv6 by /64), and 5 more at once -> depends on how much of it the client has used; beyond it 429
         2. origin: pages that may open a WebSocket: https://example.com -> passes
         3. auth: a signed token (jwt, RS256) in the query parameter access_token; keys of https://id.example.com/jwks -> depends on whether the token is right; it is not checked here
end      proxy to 127.0.0.1:8000
         the backend is asked for GET /ws/room
         the upgrade is passed on; when the backend grants it (101), bytes pass both ways: for as long as both want
answer   security-headers: the four headers of the guides, where the answer has none of its own
result   127.0.0.1:8000 is asked, unless limit requests or auth refuses
"
        );
    }

    #[test]
    fn fields_that_do_not_reach_a_backend_are_listed() {
        let fields = ["Origin: https://example.com", "X_Real_IP: 1.1.1.1", "Proxy: http://x", "api_key: 1", "X-Trace.Id: 2"];
        let told = page_of("wss://example.com/ws/room", &fields);
        assert!(told.contains("fields   x_real_ip is not passed on: programs behind CGI read it as x-real-ip;"), "{told}");
        assert!(
            told.contains("         proxy is not passed on: ") && !told.contains("api_key") && !told.contains("trace"),
            "{told}"
        );
        let twice = page_of("https://example.com/ws/room", &["Authorization: a", "Authorization: b"]);
        assert!(twice.contains("400 bad-authorization-count"), "{twice}");
    }

    #[test]
    fn a_refusal_ends_the_page() {
        let told = page_of("wss://example.com/ws/room", &["Origin: https://evil.test"]);
        assert!(told.contains("3. auth: ") && told.contains("-> is not reached\n"), "{told}");
        assert!(
            told.ends_with("result   403 bad-origin: Origin https://evil.test is not in 'origin' (a.conf:5: https://example.com); add it there if \
                 the page is yours\n"),
            "{told}"
        );
    }
}
