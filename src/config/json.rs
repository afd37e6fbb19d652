//! The machine form: the same words in JSON. Reading gives the same tree as the block language, so that every check and
//! every message is shared; printing gives a document that reads back to the same settings, with every default filled in.
//!
//! A word with one value is `"drain": "30s"`, with several `"bind": ["::", "127.0.0.1"]`; braces are an object, behind
//! values the last element: `"tls": ["acme", { "profile": "shortlived" }]`; a word on several lines is an array of arrays:
//! `"headers": [["set", "X-A", "1"], ["remove", "Server"]]`; a word without a value is `true`. Sites are
//! `"sites": [{ "hosts": [...], "paths": { "/ws/*": { ... } } }]`, upstreams `"upstreams": { "app": { ... } }`.
//! `{$NAME}` is put in as in the block language. Secrets are printed as their file, as their variable, or as a marker
//! that is refused when it is read.

mod parse;
mod print;
mod read;
mod write;

pub use write::document;

pub(super) use read::tree;

/// Whether a text is the machine form: by its file's ending, or by its first characters, which no text of the block
/// language can have.
pub(super) fn is_json(name: &str, text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let inside = text.strip_prefix('{').map(str::trim_start);
    name.ends_with(".json") || inside.is_some_and(|inside| inside.starts_with(['"', '}']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::Diagnostics;
    use crate::config::environment::Environment;
    use crate::config::resolve::{self, Resolved};
    use crate::config::source::Sources;

    /// Every word of the language, those that wait for their part of the gateway too.
    const EVERYTHING: &str = include_str!("json/everything.conf");

    const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuJdTJgYb8G3fbVVOKkWbQF7tw0QEwQpG";

    fn resolve(name: &str, text: &str) -> Resolved {
        let environment = [("EAB_KEY", "Zm9v"), ("HASH", HASH), ("TSIG", "c2VjcmV0"), ("TOKEN", "hunter2!"), ("PIN", "1234")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let surroundings = Environment { environment, folder: "/etc/doorward".into(), ..Environment::default() };
        let (mut findings, mut sources) = (Diagnostics::default(), Sources::default());
        let tree = resolve::read(name, text, "/etc/doorward".into(), &mut sources, &surroundings, &mut findings);
        let secret = |path: &std::path::Path| Ok(if path.ends_with("bob.hash") { HASH } else { "kid-1 Zm9v" }.to_owned());
        resolve::finish(tree, sources, &surroundings, &secret, findings).unwrap_or_else(|report| panic!("{report}"))
    }

    #[test]
    fn what_is_printed_reads_back_to_equal_settings() {
        let settings = resolve("a.conf", EVERYTHING).settings;
        let printed = document(&settings);
        let again = resolve("b.json", &printed).settings;
        assert_eq!(again, settings, "{printed}");
        assert_eq!(document(&again), printed);
    }

    #[test]
    fn secrets_are_not_printed() {
        let printed = document(&resolve("a.conf", EVERYTHING).settings);
        assert!(!printed.contains("Zm9v") && !printed.contains("$2b$"), "{printed}");
    }

    #[test]
    fn what_came_from_the_environment_is_printed_as_its_variable() {
        let text = "acme {\n alert https://hooks.example/{$TOKEN}?x=1\n}\na.example {\n request-headers {\n  \
                    set authorization \"Bearer {$TOKEN}\"\n  set x-pin {$PIN}\n }\n respond 200 \"a hunter2! b\"\n}\n";
        let settings = resolve("a.conf", text).settings;
        let printed = document(&settings);
        assert!(!printed.contains("hunter2!") && !printed.contains("1234"), "{printed}");
        for written in ["https://hooks.example/{$TOKEN}?x=1", "Bearer {$TOKEN}", "\"{$PIN}\""] {
            assert!(printed.contains(written), "{written} in {printed}");
        }
        let again = resolve("b.json", &printed).settings;
        assert_eq!(again, settings, "{printed}");
        assert_eq!(document(&again), printed);
    }

    #[test]
    fn a_secret_that_was_left_out_is_refused_with_its_path() {
        let text = r#"{ "acme": { "eab": ["kid-1", "(redacted)"] } }"#;
        let problems = resolve::from_text("a.json", text, &Environment::default()).unwrap_err().to_string();
        assert!(problems.contains("this secret was left out when the configuration was printed"), "{problems}");
        assert!(problems.contains("note: it is `acme.eab[1]`"), "{problems}");
    }

    #[test]
    fn the_machine_form_is_known_by_its_name_or_its_beginning() {
        for (name, text, json) in [
            ("a.json", "", true),
            ("a.conf", " {\n \"sites\": []}", true),
            ("a.conf", "{}", true),
            ("a.conf", "{\n email x\n}", false),
            ("a.conf", "a.example {\n}", false),
        ] {
            assert_eq!(is_json(name, text), json, "for {name} with {text}");
        }
    }
}
