//! Where and how is logged.

/// Where and how is logged.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Human lines or JSON; `Auto` is human on a terminal.
    pub format: LogFormat,
    /// Whether requests are logged.
    pub access: bool,
    /// Least level of other events: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Level,
    /// Query keys hidden besides the built-in patterns; `*` matches any run of characters.
    pub hide: Vec<String>,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// One readable line.
    Human,
    /// One JSON object a line.
    Json,
}

/// Least level of events that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}
