//! The operator's socket: one question a connection, one true answer. What is asked for is done by whoever implements
//! [`api::Operator`]; this layer knows words and sockets only.

pub mod api;
pub mod client;
pub mod local;
pub mod socket;
