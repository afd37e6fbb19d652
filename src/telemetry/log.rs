//! Where events go: to standard error, human on a terminal and JSON otherwise, so that standard output holds nothing but
//! access records. Sets up the process's one subscriber and its panic hook; decides nothing. No caller waits for the write
//! itself ([`super::lines`]).

use std::fmt;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::{Layer, Registry};

use super::access::Form;
use super::lines::Lines;
use super::timestamp::Stamp;
use crate::base::time::SystemClock;

/// Names of events, for who filters logs by them. An event's other fields may grow, its name stays.
pub mod events {
    /// An operator asked for something over the admin socket.
    pub const ADMIN_REQUEST: &str = "admin_request";
    /// A conversation on the admin socket failed.
    pub const ADMIN_FAILED: &str = "admin_failed";
    /// The gateway listens; one event a start.
    pub const STARTED: &str = "started";
    /// One URL that answers, with its certificate.
    pub const SERVING: &str = "serving";
    /// A request for a tunnel did not become one.
    pub const UPGRADE_FAILED: &str = "upgrade_failed";
    /// Tunnels are told to leave: their route or backend is gone, or the gateway ends.
    pub const TUNNELS_LEAVE: &str = "tunnels_leave";
    /// A request was over a limit of the gateway or its site.
    pub const OVER_LIMIT: &str = "over_limit";
    /// A field of a request was dropped, because its name could pass for another one.
    pub const FIELD_DROPPED: &str = "field_dropped";
    /// A WebSocket was refused because of the page that asked.
    pub const ORIGIN_REFUSED: &str = "origin_refused";
    /// A client asked more often than its site allows.
    pub const RATE_LIMITED: &str = "rate_limited";
    /// A client has more open than its site allows.
    pub const TOO_MANY_CONNECTIONS: &str = "too_many_connections";
    /// A client sent larger, more, or other messages than its site allows.
    pub const MESSAGE_LIMIT: &str = "message_limit";
    /// A client was refused too often and is shut out for a while.
    pub const CLIENT_BANNED: &str = "client_banned";
    /// A client could not prove who it is.
    pub const AUTH_FAILED: &str = "auth_failed";
    /// A service that is asked who may pass gave no answer.
    pub const AUTH_SERVICE_FAILED: &str = "auth_service_failed";
    /// Keys of token issuers could not be fetched.
    pub const KEYS_NOT_FETCHED: &str = "keys_not_fetched";
    /// A balancer did not say by the PROXY protocol whose connection it is.
    pub const PROXY_HEADER_REFUSED: &str = "proxy_header_refused";
    /// A backend is to be used no longer.
    pub const TARGET_DOWN: &str = "target_down";
    /// A backend may be used again.
    pub const TARGET_UP: &str = "target_up";
    /// A name has other addresses than before, and its group other targets.
    pub const ADDRESSES_CHANGED: &str = "addresses_changed";
    /// A name could not be looked up.
    pub const LOOKUP_FAILED: &str = "lookup_failed";
    /// It could again.
    pub const LOOKUP_WORKS: &str = "lookup_works";
    /// Nothing is sent to a target for a while, since too much of it failed.
    pub const CIRCUIT_OPEN: &str = "circuit_open";
    /// Requests go to it again.
    pub const CIRCUIT_CLOSED: &str = "circuit_closed";
    /// A request found no backend that it could go to.
    pub const NO_BACKEND: &str = "no_backend";
    /// A request for a WebSocket came without the fields that ask for it.
    pub const UPGRADE_FIELDS_LOST: &str = "upgrade_fields_lost";
    /// A backend redirects to the URL that was asked for.
    pub const REDIRECT_TO_ITSELF: &str = "redirect_to_itself";
    /// A backend finds too large what the gateway let through.
    pub const BACKEND_SIZE_LIMIT: &str = "backend_size_limit";
    /// A target that is written as plain HTTP speaks TLS.
    pub const BACKEND_SPEAKS_TLS: &str = "backend_speaks_tls";
    /// Clients do not trust the issuer of a certificate that is served.
    pub const CERTIFICATE_NOT_TRUSTED: &str = "certificate_not_trusted";
    /// Something in us broke a promise of its own.
    pub const PANICKED: &str = "panicked";
}

/// Overrides the level of the configuration, in the language of `tracing_subscriber::filter::Targets`: `debug`, or `doorward::certs=trace,info`.
pub const OVERRIDE: &str = "DOORWARD_LOG";

/// How long a thread that panics waits for its event to be written.
const PANIC_FLUSH_TIMEOUT: Duration = Duration::from_millis(100);

/// Changes the level while the process runs.
#[derive(Clone)]
pub struct LogLevel {
    filter: reload::Handle<Targets, Registry>,
    overridden: bool,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum StartLogError {
    /// `DOORWARD_LOG` is not in the language of filters.
    #[error("{OVERRIDE} is `{text}`, which is no log filter; write a level such as `debug`, or `doorward::certs=trace,info`")]
    Override {
        /// What it holds.
        text: String,
        /// What the filter's parser says.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody set a subscriber before.
    #[error("logging is already set up in this process")]
    Twice(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// The form for a stream: human where a person looks, JSON where a program reads.
pub fn form_for(stream: &impl IsTerminal) -> Form {
    if stream.is_terminal() { Form::Human } else { Form::Json }
}

/// Sets up the subscriber and the panic hook of this process, both writing to `lines`; `overriding` is the value of
/// [`OVERRIDE`].
pub fn start(form: Form, level: Level, overriding: Option<&str>, lines: &Lines) -> Result<LogLevel, StartLogError> {
    let first = match overriding {
        Some(text) => text.parse::<Targets>().map_err(|source| StartLogError::Override { text: text.to_owned(), source })?,
        None => filter(level),
    };
    let (first, handle) = reload::Layer::new(first);
    lines.set_form(form);
    let panics = lines.clone();
    let lines = tracing_subscriber::fmt::layer().with_writer(Arc::new(lines.clone())).with_timer(Now);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match form {
        Form::Human => lines.with_target(false).with_ansi(false).with_filter(first).boxed(),
        Form::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).with_filter(first).boxed(),
    };
    tracing::subscriber::set_global_default(Registry::default().with(layer))?;
    std::panic::set_hook(Box::new(move |info| {
        report_panic(info);
        // A second panic while unwinding ends the process at once.
        panics.flush(PANIC_FLUSH_TIMEOUT);
    }));
    Ok(LogLevel { filter: handle, overridden: overriding.is_some() })
}

impl LogLevel {
    /// Takes the level of a new configuration, unless the environment overrides it.
    pub fn set(&self, level: Level) {
        if !self.overridden {
            // Fails only when the subscriber is gone, and then nothing is logged anyway.
            let _ = self.filter.reload(filter(level));
        }
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLevel").field("overridden", &self.overridden).finish_non_exhaustive()
    }
}

/// Our own events at `level`, those of the libraries only from `warn` on: they tell what strangers do, at length.
fn filter(level: Level) -> Targets {
    Targets::new().with_default(level.min(Level::WARN)).with_target("doorward", level)
}

/// The stamp of access records, so that both logs sort together.
struct Now;

impl FormatTime for Now {
    fn format_time(&self, out: &mut Writer<'_>) -> fmt::Result {
        write!(out, "{}", Stamp(SystemClock.millis()))
    }
}

/// A panic is one event like every other, with its backtrace where `RUST_BACKTRACE` asks for one.
fn report_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let words = info.payload_as_str().unwrap_or("(no words)");
    let thread = std::thread::current();
    let backtrace = std::backtrace::Backtrace::capture();
    let name = thread.name().unwrap_or("unnamed");
    match backtrace.status() {
        std::backtrace::BacktraceStatus::Captured => {
            tracing::error!(event = events::PANICKED, thread = name, place, %backtrace, "doorward broke a promise of its own: {words}");
        }
        _ => tracing::error!(event = events::PANICKED, thread = name, place, "doorward broke a promise of its own: {words}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::lines::LineWriter;

    #[test]
    fn our_events_follow_the_level_and_those_of_libraries_are_rarer() {
        assert_eq!(filter(Level::DEBUG).to_string(), "doorward=debug,warn");
        assert_eq!(filter(Level::ERROR).to_string(), "doorward=error,error");
    }

    #[test]
    fn a_wrong_override_names_itself() {
        let writer = LineWriter::start(std::io::sink()).unwrap();
        let error = start(Form::Json, Level::INFO, Some("doorward=loud"), writer.lines()).unwrap_err();
        assert!(error.to_string().starts_with("DOORWARD_LOG is `doorward=loud`"), "{error}");
    }
}
