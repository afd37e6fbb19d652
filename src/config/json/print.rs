//! JSON as text: members in the order they were added, short arrays on one line.

use std::fmt;

use crate::config::env_values::{EnvValues, escaped};

/// A value to print.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Text(String),
    Number(u64),
    True,
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl From<u32> for Json {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Json {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// A text that reads back as itself: `{$` would be taken for a variable.
impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(escaped(text))
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, 0)
    }
}

impl Json {
    /// Puts variables in the place of what came from the environment, in names and in texts.
    pub(super) fn hide(&mut self, values: &EnvValues) {
        let hide = |text: &mut String| {
            if let std::borrow::Cow::Owned(hidden) = values.hide_in_escaped(text) {
                *text = hidden;
            }
        };
        match self {
            Self::Text(text) => hide(text),
            Self::Number(_) | Self::True => (),
            Self::List(list) => list.iter_mut().for_each(|value| value.hide(values)),
            Self::Object(members) => members.iter_mut().for_each(|(name, value)| {
                hide(name);
                value.hide(values);
            }),
        }
    }

    fn print(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?),
            Self::Number(number) => write!(f, "{number}"),
            Self::True => f.write_str("true"),
            Self::List(list) if list.iter().all(Self::is_flat) => {
                f.write_str("[")?;
                for (n, value) in list.iter().enumerate() {
                    f.write_str(if n == 0 { "" } else { ", " })?;
                    value.print(f, depth)?;
                }
                f.write_str("]")
            }
            Self::List(list) => Self::lines(f, depth, ('[', ']'), list, |f, value| value.print(f, depth + 1)),
            Self::Object(members) => Self::lines(f, depth, ('{', '}'), members, |f, (name, value)| {
                write!(f, "{}: ", serde_json::to_string(name).map_err(|_| fmt::Error)?)?;
                value.print(f, depth + 1)
            }),
        }
    }

    fn lines<T>(
        f: &mut fmt::Formatter<'_>,
        depth: usize,
        (open, close): (char, char),
        list: &[T],
        print: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
    ) -> fmt::Result {
        if list.is_empty() {
            return write!(f, "{open}{close}");
        }
        writeln!(f, "{open}")?;
        for (n, element) in list.iter().enumerate() {
            write!(f, "{:1$}", "", 2 * (depth + 1))?;
            print(f, element)?;
            f.write_str(if n + 1 == list.len() { "\n" } else { ",\n" })?;
        }
        write!(f, "{:1$}{close}", "", 2 * depth)
    }

    const fn is_flat(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Number(_) | Self::True)
    }
}
