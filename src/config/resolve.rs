//! Raw → Settings: what the words mean together. Collects every problem instead of stopping at the first, so a value
//! that cannot be read is taken as its default while the rest is looked at.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::defaults;
use super::diagnostic::{Diagnostic, Diagnostics, Report};
use super::environment::Environment;
use super::raw::{self, Directives, Raw};
use super::settings::{Acme, Settings};
use super::source::{Sources, Span};
use super::tree::Node;
use super::{env_expand, json, lex, tree};

mod acme;
mod auth;
mod base64url;
mod canonical;
mod client_tls;
mod dns;
mod gateway;
mod handler;
mod health;
mod limits;
mod parse;
mod path;
mod policy;
mod resolver;
mod site;
mod site_address;
mod target;
mod tls;
mod trusted;
mod upstream;
mod validate;

pub use resolver::ReadSecret;
pub use trusted::named_networks;

use resolver::Resolver;

/// A configuration that may run.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What it means.
    pub settings: Settings,
    /// What is perhaps not as meant.
    pub warnings: Report,
}

/// Resolves one text of the block language that imports nothing, such as one made of command line arguments.
/// `name` is what problems call it; an empty one is the command line.
pub fn from_text(name: &str, text: &str, surroundings: &Environment) -> Result<Resolved, Report> {
    let mut findings = Diagnostics::default();
    let mut sources = Sources::default();
    let tree = read(name, text, surroundings.folder.clone(), &mut sources, surroundings, &mut findings);
    for import in tree.iter().filter(|node| node.name().text == "import") {
        findings.push(
            Diagnostic::at(import.span(), "an import needs a file to start from").hint("put this into a file and use --config"),
        );
    }
    let no_files = |_: &Path| Err("no file can be read for the command line".to_owned());
    finish(tree, sources, surroundings, &no_files, findings)
}

/// The first floors for one text, in either form: words, tree, environment. Relative paths in it start from `folder`.
pub fn read(
    name: &str,
    text: &str,
    folder: PathBuf,
    sources: &mut Sources,
    surroundings: &Environment,
    findings: &mut Diagnostics,
) -> Vec<Node> {
    let file = sources.add(name, text, folder);
    let mut tree = if json::is_json(name, text) {
        let (tree, paths) = json::tree(text, file, findings);
        sources.set_paths(file, paths);
        tree
    } else {
        tree::parse(lex::lex(text, file, findings), findings)
    };
    let lookup = |name: &str| surroundings.environment.get(name).cloned();
    env_expand::expand(&mut tree, &lookup, &mut sources.env_values, findings);
    tree
}

/// The last floors for the whole tree, with what reading it has found so far.
pub fn finish(
    tree: Vec<Node>,
    sources: Sources,
    surroundings: &Environment,
    secret: ReadSecret<'_>,
    mut findings: Diagnostics,
) -> Result<Resolved, Report> {
    // A word that could not be read has no meaning; complaining about that too would be noise.
    let unread: Vec<Option<Span>> = findings.problems.iter().map(|problem| problem.place).collect();
    let raw = raw::read(tree, &mut findings);
    let mut settings = Resolver { sources: &sources, surroundings, secret, findings: &mut findings }.settings(&raw);
    settings.env_values.clone_from(&sources.env_values);
    let later = findings.problems.split_off(unread.len());
    findings.problems.extend(later.into_iter().filter(|problem| problem.place.is_none() || !unread.contains(&problem.place)));
    in_order_of_text(&mut findings.problems);
    in_order_of_text(&mut findings.warnings);
    if findings.problems.is_empty() {
        Ok(Resolved { settings, warnings: Report::warnings(sources, findings.warnings) })
    } else {
        Err(Report::errors(sources, findings.problems))
    }
}

fn in_order_of_text(list: &mut Vec<Diagnostic>) {
    list.sort_by_key(|problem| problem.place.map_or((u32::MAX, 0), |span| (span.file, span.start)));
    list.dedup();
}

impl Resolver<'_> {
    fn settings(&mut self, raw: &Raw) -> Settings {
        let mut settings = defaults::settings(self.surroundings);
        self.gateway(&raw.top, &mut settings);
        settings.acme = Arc::new(self.top_acme(&raw.top));
        let named = self.upstreams(&raw.top);
        let mut groups = upstream::Groups::new(named);
        settings.sites = self.sites(&raw.sites, &settings, &mut groups);
        self.unused(&groups);
        self.default_is_served(&raw.top, &settings);
        settings.upstreams = groups.into_upstreams();
        self.checks(&raw.sites, &settings);
        self.challenge_ports(&raw.top, &settings);
        settings
    }

    fn top_acme(&mut self, top: &Directives) -> Acme {
        let base = defaults::acme();
        let acme = match top.one("acme") {
            Some(directive) => self.acme(&directive.parts, &base),
            None => base,
        };
        self.staged(acme, top.one("acme").map(|directive| directive.name.span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::SiteTls;

    fn check(text: &str) -> Settings {
        from_text("", text, &Environment::default()).unwrap_or_else(|report| panic!("{report}")).settings
    }

    fn refused(text: &str) -> String {
        from_text("a.conf", text, &Environment::default()).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn three_lines_make_a_site() {
        let settings = check("chat.example.com {\n    proxy 127.0.0.1:8000\n}\n");
        assert_eq!(settings.sites.len(), 1);
        assert_eq!(settings.upstreams[0].name, "127.0.0.1:8000");
    }

    #[test]
    fn challenges_that_no_authority_can_ask_for_are_warned_of() {
        let check = |top: &str, site: &str, expected: &[&str]| {
            let resolved = from_text("", &format!("{top}\n{site} {{\n respond 204\n}}\n"), &Environment::default());
            let warned = resolved.unwrap_or_else(|report| panic!("{report}")).warnings.to_string();
            let seen: Vec<&str> = warned.lines().filter_map(|line| line.strip_prefix("warning: ")).collect();
            assert_eq!(seen, expected, "for {top} {site}");
        };
        let http =
            "http-01 cannot work: authorities come to port 80 (RFC 8555 section 8.3), and clients reach `http-port` at port 8080";
        let tls = "tls-alpn-01 cannot work: authorities come to port 443 (RFC 8737 section 3), and clients reach `https-port` at port \
                   8443";
        check("http-port 8080", "a.example.com", &[http]);
        check("http-port 8080\npublic-http-port 80", "a.example.com", &[]);
        check("public-http-port 8080\nhttps-port 8443", "a.example.com", &[http, tls]);
        check("public-https-port 8443", "a.example.com", &[tls]);
        check("http-port 8080\nhttps-port 8443", "localhost", &[]);
        check("http-port 8080\nhttps-port 8443", "http://a.example.com", &[]);
        check("http-port 8080\nacme {\n challenges tls-alpn-01\n}", "a.example.com", &[]);
        check("http-port 8080\nacme {\n dns-hook /bin/true\n}", "a.example.com", &[]);
        check("http-port 8080\nacme {\n directory https://localhost:14000/dir\n}", "a.example.com", &[]);
        // A port that a site names is reached as it stands.
        check("https-port 8443", "a.example.com:443", &[]);
    }

    #[test]
    fn where_a_value_stands_is_kept_and_is_no_part_of_what_it_means() {
        let text = "acme {\n    staging\n}\nexample.com {\n    tls a.pem a.key\n    /ws/* {\n        origin https://example.com\n        \
                    proxy 127.0.0.1:8000\n    }\n}\n";
        let resolved = |text: &str| from_text("a.conf", text, &Environment::default()).unwrap().settings;
        let places = |settings: &Settings| {
            let site = &settings.sites[0];
            let SiteTls::Files { at: files, .. } = &site.tls else { panic!("no files") };
            let origins = site.blocks[0].policy.origins.as_ref().unwrap();
            let all = [&settings.acme.at, files, &origins.at, &settings.upstreams[0].targets[0].at];
            all.map(ToString::to_string).join(" ")
        };
        let (first, moved) = (resolved(text), resolved(&format!("\n{text}")));
        assert_eq!(places(&first), "a.conf:2 a.conf:5 a.conf:7 a.conf:8");
        assert_eq!(places(&moved), "a.conf:3 a.conf:6 a.conf:8 a.conf:9");
        assert_eq!(first.upstreams, moved.upstreams);
        assert_eq!((&first.acme, &first.sites[0].tls), (&moved.acme, &moved.sites[0].tls));
    }

    #[test]
    fn all_problems_come_at_once_in_the_order_of_the_text() {
        let text = refused("drain soon\nexample.com {\n prxoy 3000\n}\nexample.com {\n proxy ap\n}\n");
        let titles: Vec<&str> = text.lines().filter(|line| line.starts_with("error")).collect();
        assert_eq!(
            titles,
            [
                "error: `soon` is not a length of time",
                "error: `prxoy` is not a word that can stand here",
                "error: example.com has a site already, so this one could never answer",
                "error: there is no upstream `ap`",
            ]
        );
    }
}
