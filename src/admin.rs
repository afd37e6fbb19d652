//! The operator's socket: one question a connection, one true answer. The words, the socket's two halves, and the desk
//! where the running gateway does what is asked.

pub mod api;
mod backends;
pub mod certs;
pub mod client;
pub mod handler;
pub mod socket;
