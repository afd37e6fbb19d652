//! The command line's words as the configuration file that means the same, so that both go one way. Pure.

use std::fmt::Write as _;

use super::args::{ProxyArgs, TopArgs};

/// What `doorward proxy` means.
pub fn proxy(args: &ProxyArgs) -> String {
    let mut top = top(&args.top);
    if let Some(email) = &args.email {
        directive(&mut top, "email", email);
    }
    site(top, &args.domain, &args.target)
}

/// One site in front of one target, below the directives in `top`.
pub fn site(mut top: String, head: &str, target: &str) -> String {
    if !top.is_empty() {
        top.push('\n');
    }
    // Writing into a String cannot fail.
    let _ = writeln!(top, "{} {{\n    proxy {}\n}}", word(head), word(target));
    top
}

/// The top of the file, a directive a line.
pub fn top(args: &TopArgs) -> String {
    let mut text = String::new();
    if let Some(state) = &args.state {
        directive(&mut text, "state", &state.display().to_string());
    }
    for (name, port) in [("http-port", args.http_port), ("https-port", args.https_port)] {
        if let Some(port) = port {
            directive(&mut text, name, &port.to_string());
        }
    }
    if !args.bind.is_empty() {
        let addresses: Vec<String> = args.bind.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "bind {}", addresses.join(" "));
    }
    text
}

fn directive(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name} {}", word(value));
}

/// A word as the language reads it back: in quotes where it would not be one otherwise.
fn word(text: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '{' | '}' | '"' | '#' | '\\');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Environment;
    use crate::config::resolve::from_text;
    use crate::config::settings::Settings;

    fn args(domain: &str, target: &str) -> ProxyArgs {
        ProxyArgs {
            domain: domain.into(),
            target: target.into(),
            top: TopArgs::default(),
            email: None,
            staging: false,
            print: false,
        }
    }

    fn settings(text: &str) -> Result<Settings, String> {
        from_text("", text, &Environment::default()).map(|resolved| resolved.settings).map_err(|report| report.to_string())
    }

    #[test]
    fn a_command_line_is_three_lines_of_a_file() {
        assert_eq!(proxy(&args("chat.example.com", "127.0.0.1:8000")), "chat.example.com {\n    proxy 127.0.0.1:8000\n}\n");
        assert_eq!(settings(&proxy(&args("localhost", "3000"))).unwrap().sites.len(), 1);
    }

    #[test]
    fn every_switch_has_its_line() {
        let top = TopArgs {
            state: Some("/srv/my state".into()),
            https_port: Some(8443),
            http_port: Some(8080),
            bind: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        };
        let text = proxy(&ProxyArgs { top, email: Some("ops@example.com".into()), ..args("localhost", "3000") });
        assert_eq!(
            text,
            "state \"/srv/my state\"\nhttp-port 8080\nhttps-port 8443\nbind 127.0.0.1 ::1\nemail ops@example.com\n\n\
             localhost {\n    proxy 3000\n}\n"
        );
        let settings = settings(&text).unwrap();
        assert_eq!((settings.https_port, settings.state.to_str().unwrap()), (8443, "/srv/my state"));
    }

    #[test]
    fn a_word_cannot_become_a_directive_of_its_own() {
        let refusal = settings(&proxy(&args("localhost {\n respond 200 hi\n}\nx", "3000"))).unwrap_err();
        assert!(refusal.contains("localhost"), "{refusal}");
        assert!(settings(&proxy(&args("localhost", "3000\n}\nemail a@b"))).is_err());
    }
}
