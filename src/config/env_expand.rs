//! `{$NAME}` and `{$NAME:default}` from the environment, inside words that are cut already: what a variable holds can
//! never become a brace or a comment, and becomes a second word only as the hosts of a site: a variable that stands there
//! alone may hold several, with blanks or commas between them. `{$$` is a literal `{$`.

use super::diagnostic::{Diagnostic, Diagnostics, quote};
use super::env_values::EnvValues;
use super::tree::{Node, Word};

/// Looks a variable up.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Puts the environment into every word of a tree, and takes down in `values` what came from it.
pub fn expand(nodes: &mut [Node], environment: Lookup<'_>, values: &mut EnvValues, findings: &mut Diagnostics) {
    for node in nodes {
        if node.block.is_some() {
            node.words = node.words.drain(..).flat_map(|word| expand_host(word, environment, values, findings)).collect();
        } else {
            expand_words(node, environment, values, findings);
        }
        expand_below(node, environment, values, findings);
    }
}

fn expand_below(node: &mut Node, environment: Lookup<'_>, values: &mut EnvValues, findings: &mut Diagnostics) {
    for node in node.block.iter_mut().flatten() {
        expand_words(node, environment, values, findings);
        expand_below(node, environment, values, findings);
    }
}

fn expand_words(node: &mut Node, environment: Lookup<'_>, values: &mut EnvValues, findings: &mut Diagnostics) {
    for word in &mut node.words {
        expand_word(word, environment, values, findings);
    }
}

/// A word before the braces of a block outside of all others, which is a host of a site.
fn expand_host(mut word: Word, environment: Lookup<'_>, values: &mut EnvValues, findings: &mut Diagnostics) -> Vec<Word> {
    let stands_alone = !word.quoted && is_one_variable(&word.text);
    expand_word(&mut word, environment, values, findings);
    let parts = || word.text.split(|c: char| c.is_whitespace() || c == ',').filter(|part| !part.is_empty());
    if !stands_alone || parts().count() < 2 {
        return vec![word];
    }
    parts().map(|part| Word { text: part.to_owned(), variable: None, ..word.clone() }).collect()
}

/// With a default or without.
fn is_one_variable(text: &str) -> bool {
    let inside = text.strip_prefix("{$").and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| !inside.starts_with('$') && !inside.contains(['{', '}']))
}

fn expand_word(word: &mut Word, environment: Lookup<'_>, values: &mut EnvValues, findings: &mut Diagnostics) {
    refuse_placeholder(word, findings);
    if !word.text.contains("{$") {
        return;
    }
    word.variable = whole(&word.text).map(str::to_owned);
    let mut text = String::with_capacity(word.text.len());
    let mut rest = word.text.as_str();
    let mut is_from_environment = false;
    while let Some(start) = rest.find("{$") {
        text.push_str(&rest[..start]);
        rest = &rest[start + 2..];
        if let Some(literal) = rest.strip_prefix('$') {
            text.push_str("{$");
            rest = literal;
            continue;
        }
        let Some((inside, behind)) = rest.split_once('}') else {
            findings.push(
                Diagnostic::at(word.span, "this `{$` has no `}`").hint("write `{$NAME}`, or `{$$` for the characters themselves"),
            );
            break;
        };
        match value(inside, environment) {
            Ok(Value::Set { name, value }) => {
                is_from_environment = true;
                values.note_variable(name, &value);
                text.push_str(&value);
            }
            Ok(Value::Default(default)) => text.push_str(default),
            Err(name) => findings.push(
                Diagnostic::at(word.span, format!("the environment has no variable {}", quote(name)))
                    .hint(format!("set it, or write a default: `{{${name}:default}}`")),
            ),
        }
        rest = behind;
    }
    text.push_str(rest);
    refuse_control(&text, word, findings);
    if is_from_environment {
        values.note_word(&word.text, &text);
    }
    word.text = text;
}

/// The variable a word consists of, if it is nothing else and has no default.
fn whole(text: &str) -> Option<&str> {
    let name = text.strip_prefix("{$")?.strip_suffix('}')?;
    (!name.is_empty() && !name.starts_with('$') && !name.contains(['{', '}', ':'])).then_some(name)
}

/// What is put in for a variable.
enum Value<'a> {
    Set { name: &'a str, value: String },
    Default(&'a str),
}

fn value<'a>(inside: &'a str, environment: Lookup<'_>) -> Result<Value<'a>, &'a str> {
    let (name, default) = match inside.split_once(':') {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    match (environment(name), default) {
        // As in a shell's `${NAME:-default}`: set but empty takes the default too.
        (Some(value), Some(default)) if value.is_empty() => Ok(Value::Default(default)),
        (Some(value), _) => Ok(Value::Set { name, value }),
        (None, Some(default)) => Ok(Value::Default(default)),
        (None, None) => Err(name),
    }
}

/// What the lexer refuses in a text must not come in through the environment.
fn refuse_control(text: &str, word: &Word, findings: &mut Diagnostics) {
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        findings.push(
            Diagnostic::at(word.span, "the environment puts a control character into this word")
                .hint("set the variable without it"),
        );
    }
}

/// `{host}` and the like are the Caddyfile's; a person who writes one expects it to be replaced.
fn refuse_placeholder(word: &Word, findings: &mut Diagnostics) {
    if word.quoted {
        return;
    }
    let mut rest = word.text.as_str();
    while let Some((_, behind)) = rest.split_once('{') {
        rest = behind;
        let Some((name, _)) = behind.split_once('}') else { return };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !name.is_empty() && name.chars().all(plain) {
            let what = format!("`{{{name}}}` is a placeholder, and this language has none");
            let hint =
                "a redirect to a bare origin keeps path and query by itself; put the word in quotes if you mean the braces";
            findings.push(Diagnostic::at(word.span, what).hint(hint));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Environment;
    use crate::config::resolve::from_text;
    use crate::config::source::Span;

    fn check(text: &str, expected: &str) {
        let mut findings = Diagnostics::default();
        let mut word = Word::plain(text, Span { file: 0, start: 0, end: 0 });
        let environment = |name: &str| match name {
            "PORT" => Some("8000".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICK" => Some("{$PORT} { # \"".to_owned()),
            _ => None,
        };
        expand_word(&mut word, &environment, &mut EnvValues::default(), &mut findings);
        let mut shown = vec![word.text];
        shown.extend(word.variable.map(|name| format!("whole {name}")));
        shown.extend(findings.problems.into_iter().map(|p| p.what));
        assert_eq!(shown.join(" ! "), expected, "for {text:?}");
    }

    #[test]
    fn variables_and_defaults_are_put_in() {
        check("{$PORT}", "8000 ! whole PORT");
        check("127.0.0.1:{$PORT}", "127.0.0.1:8000");
        check("{$NONE:a:b}", "a:b");
        check("{$EMPTY:x}{$PORT}", "x8000");
        check("{$EMPTY}", " ! whole EMPTY");
        check("{$$PORT}", "{$PORT}");
    }

    #[test]
    fn a_variable_may_hold_several_hosts_of_a_site_and_several_words_of_nothing_else() {
        let surroundings = Environment {
            environment: [("HOSTS", "a.example, b.example\tc.example"), ("TEXT", "two words"), ("ONE", "d.example")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Environment::default()
        };
        let hosts = |head: &str| {
            let text = format!("{head} {{\n respond 200 {{$TEXT}}\n}}\n");
            let settings = from_text("", &text, &surroundings).map_err(|report| report.to_string())?.settings;
            let hosts = settings.sites[0].hosts.iter().map(|host| host.pattern.to_string()).collect::<Vec<_>>();
            Ok::<_, String>(hosts.join(" "))
        };
        assert_eq!(hosts("{$HOSTS}").unwrap(), "a.example b.example c.example");
        assert_eq!(hosts("{$NONE:x.example,y.example}").unwrap(), "x.example y.example");
        assert_eq!(hosts("{$ONE} {$HOSTS}").unwrap(), "d.example a.example b.example c.example");
        assert!(hosts("\"{$HOSTS}\"").is_err(), "in quotes it is one word");
        assert!(hosts("www.{$HOSTS}").is_err(), "a part of a word is one word");
    }

    #[test]
    fn what_a_variable_holds_is_not_read_again() {
        check("{$TRICK}", "{$PORT} { # \" ! whole TRICK");
    }

    #[test]
    fn missing_variables_and_placeholders_are_problems() {
        check("{$NONE}", " ! whole NONE ! the environment has no variable `NONE`");
        check("a{$NONE", "aNONE ! this `{$` has no `}`");
        check("https://x{uri}", "https://x{uri} ! `{uri}` is a placeholder, and this language has none");
    }
}
