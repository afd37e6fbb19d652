//! Turns one request into one response, or into a tunnel.

pub mod client_io;

pub mod serve;

pub mod connection;
pub mod exchange;
pub mod snapshot;
mod tally;
pub mod worker;

pub mod arrive;
pub mod plain;
pub mod route;
pub mod step;
pub mod target;

mod accept_encoding;
pub mod attempt;
mod backend_response;
pub mod body;
pub mod cluster;
mod content;
mod cookie;
mod dropped;
mod entity_tag;
pub mod files;
pub mod forward;
pub mod h1;
pub mod h2_stream;
pub mod handover;
pub mod hints;
pub mod limit;
pub mod pages;
pub mod retry;
mod search;

mod join;
pub mod tunnel;
pub mod upgrade;
pub mod visitors;

mod anomaly;
mod event;
pub mod messages;

pub mod answer;
pub mod redirect;
pub mod refusal;
pub mod refuse;
