//! Turns one request into one response, or into a tunnel.

pub mod client_io;

pub mod body;
