//! The two logs of a running gateway, as its settings want them.

use std::io;

use tracing::Level as Least;

use crate::config::settings::{Level, Log, LogFormat};
use crate::telemetry::access::{AccessLog, AccessWriter, Form, Redactor, Rules};
use crate::telemetry::log::{LogLevel, form_for};

/// The level of events and the rules of access records, both changeable while we run.
pub struct Logs {
    level: LogLevel,
    access: AccessWriter,
}

impl Logs {
    /// Starts the access log on standard output, as `log` wants it.
    pub fn start(log: &Log, level: LogLevel) -> io::Result<(AccessLog, Self)> {
        let (access_log, access) = AccessLog::start(rules(log), io::stdout())?;
        Ok((access_log, Self { level, access }))
    }

    /// Takes over what `log` wants now. The form of events stays; it was chosen at the start.
    pub fn adopt(&self, log: &Log) {
        self.level.set(least(log.level));
        self.access.change(rules(log));
    }
}

/// The form that `format` means on `stream`.
pub fn form(format: LogFormat, stream: &impl io::IsTerminal) -> Form {
    match format {
        LogFormat::Auto => form_for(stream),
        LogFormat::Human => Form::Human,
        LogFormat::Json => Form::Json,
    }
}

/// The logger's word for a level.
pub const fn least(level: Level) -> Least {
    match level {
        Level::Error => Least::ERROR,
        Level::Warn => Least::WARN,
        Level::Info => Least::INFO,
        Level::Debug => Least::DEBUG,
        Level::Trace => Least::TRACE,
    }
}

fn rules(log: &Log) -> Rules {
    Rules { enabled: log.access, form: form(log.format, &io::stdout()), hide: Redactor::new(log.hide.iter().map(String::as_str)) }
}
