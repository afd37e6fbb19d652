//! Turns one request into one response, or into a tunnel.

pub mod client_io;

pub mod serve;

mod batched_metrics;
pub mod connection;
pub mod exchange;
pub mod snapshot;
pub mod worker;

pub mod https_redirect;
pub mod route;
pub mod step;
pub mod target;
pub mod validate;

mod accept_encoding;
mod backend_response;
pub mod body;
mod content;
mod cookie;
mod dropped;
pub mod early_hints;
mod entity_tag;
pub mod error_pages;
pub mod files;
pub mod forward;
pub mod h1;
pub mod h2_stream;
pub mod handover;
pub mod limit;
pub mod retry;
mod target_selection;
pub mod upstream;
pub mod upstream_request;

pub mod client_cert;
mod join;
pub mod tunnel;
pub mod upgrade;

mod anomaly;
pub mod messages;
mod security_event;

pub mod error_response;
pub mod redirect;
pub mod refusal;
pub mod refuse;
