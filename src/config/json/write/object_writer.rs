//! An object of the document as it grows, and the values that several parts of the document share.

use std::path::Path;
use std::time::Duration;

use crate::base::duration;
use crate::config::env_values::escaped;
use crate::config::json::print::Json;
use crate::config::settings::{REDACTED, SecretSource};

/// An object as it grows.
#[derive(Default)]
pub(super) struct ObjectWriter(Vec<(String, Json)>);

impl ObjectWriter {
    pub(super) fn add(&mut self, name: &str, value: impl Into<Json>) {
        self.0.push((escaped(name), value.into()));
    }

    pub(super) fn some(&mut self, name: &str, value: Option<impl Into<Json>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// A list, unless it is empty.
    pub(super) fn filled<T: Into<Json>>(&mut self, name: &str, values: impl Iterator<Item = T>) {
        let values: Vec<Json> = values.map(Into::into).collect();
        if !values.is_empty() {
            self.add(name, Json::List(values));
        }
    }

    pub(super) fn flag(&mut self, name: &str, set: bool) {
        if set {
            self.add(name, Json::True);
        }
    }

    /// An object of parts, unless it is empty.
    pub(super) fn parts(&mut self, name: &str, parts: Self) {
        if !parts.0.is_empty() {
            self.add(name, parts.object());
        }
    }

    pub(super) fn object(self) -> Json {
        Json::Object(self.0)
    }
}

pub(super) fn list<T: Into<Json>>(values: impl IntoIterator<Item = T>) -> Json {
    Json::List(values.into_iter().map(Into::into).collect())
}

pub(super) fn path(path: &Path) -> Json {
    path.to_string_lossy().into_owned().into()
}

pub(super) fn duration_of(duration_of: Duration) -> Json {
    duration::print(duration_of).into()
}

pub(super) fn switch(on: bool) -> Json {
    if on { "on".into() } else { "off".into() }
}

/// The values that stand for a secret: where it is, never what it is.
pub(super) fn secret(from: &SecretSource) -> Vec<Json> {
    match from {
        SecretSource::File(file) => vec!["file".into(), path(file)],
        SecretSource::Variable(name) => vec![variable(name)],
        SecretSource::InPlace => vec![REDACTED.into()],
    }
}

/// A reference to the environment, which is not escaped.
pub(super) fn variable(name: &str) -> Json {
    Json::Text(format!("{{${name}}}"))
}
