//! Values that a configuration took from the environment. A variable may hold a password, a token or a URL with a key in
//! it, so what is printed of a configuration (JSON, problems, `explain`) names the variable instead. A text in which that
//! is done reads back to the same settings, because `{$NAME}` is put in everywhere.

use std::borrow::Cow;

use crate::base::secret::Secret;

/// Least length of a value that is looked for inside longer texts. A shorter one is no secret, and `1` or `on` stands in
/// texts that have nothing to do with it. A word that is nothing but a value is found whatever its length.
const MIN_INSIDE: usize = 6;

/// See the module. Two are always equal: where a value came from is no part of what it means.
#[derive(Clone, Debug, Default)]
pub struct EnvValues {
    /// Words as they are written, and with their values.
    words: Vec<(String, Secret<String>)>,
    /// Names of variables and their values, the longest first.
    variables: Vec<(String, Secret<String>)>,
}

impl PartialEq for EnvValues {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl EnvValues {
    /// Takes down a word in which variables stand, and what it is with their values.
    pub fn note_word(&mut self, written: &str, meant: &str) {
        if !meant.is_empty() && !self.words.iter().any(|(known, _)| known == written) {
            self.words.push((written.to_owned(), Secret::new(meant.to_owned())));
        }
    }

    /// Takes down a variable and its value.
    pub fn note_variable(&mut self, name: &str, value: &str) {
        if value.len() >= MIN_INSIDE && !self.variables.iter().any(|(known, _)| known == name) {
            self.variables.push((name.to_owned(), Secret::new(value.to_owned())));
            self.variables.sort_by_key(|(_, value)| std::cmp::Reverse(value.expose().len()));
        }
    }

    /// `text` without any value from the environment.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.hide_as(text, str::to_owned)
    }

    /// As [`hide`](Self::hide), for a text in which `{$` is escaped.
    pub fn hide_in_escaped<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.hide_as(text, escaped)
    }

    /// As [`hide`](Self::hide), for a message that repeats words as `quote` shows them: cut short, perhaps.
    pub fn hide_quoted(&self, text: &str, quote: impl Fn(&str) -> String) -> String {
        let mut hidden = text.to_owned();
        for (written, meant) in &self.words {
            let shown = quote(meant.expose());
            if hidden.contains(&shown) {
                hidden = hidden.replace(&shown, &quote(written));
            }
        }
        self.hide(&hidden).into_owned()
    }

    fn hide_as<'t>(&self, text: &'t str, form: fn(&str) -> String) -> Cow<'t, str> {
        if let Some((written, _)) = self.words.iter().find(|(_, meant)| form(meant.expose()) == text) {
            return Cow::Owned(written.clone());
        }
        let mut hidden = Cow::Borrowed(text);
        for (name, value) in &self.variables {
            let value = form(value.expose());
            if hidden.contains(&value) {
                hidden = Cow::Owned(hidden.replace(&value, &format!("{{${name}}}")));
            }
        }
        hidden
    }
}

/// A text or a name as it is written so that no variable is seen in it.
pub fn escaped(text: &str) -> String {
    text.replace("{$", "{$$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_give_way_to_their_variables() {
        let mut values = EnvValues::default();
        values.note_variable("TOKEN", "hunter2!");
        values.note_variable("LONG", "hunter2!hunter2!");
        values.note_variable("MODE", "on");
        values.note_word("Bearer {$TOKEN}", "Bearer hunter2!");
        values.note_word("{$MODE}", "on");
        let check = |text: &str, expected: &str| assert_eq!(values.hide(text), expected, "for {text}");
        check("Bearer hunter2!", "Bearer {$TOKEN}");
        check("on", "{$MODE}");
        check("configuration", "configuration");
        check("https://x/hunter2!hunter2!?a", "https://x/{$LONG}?a");
        assert_eq!(format!("{values:?}").matches("hunter2!").count(), 0);
    }

    #[test]
    fn in_an_escaped_text_values_are_found_as_they_are_escaped() {
        let mut values = EnvValues::default();
        values.note_variable("TOKEN", "{$secret");
        assert_eq!(values.hide_in_escaped("a {$$secret"), "a {$TOKEN}");
    }
}
