//! HTTP/2 towards backends: connections that a worker's requests share, each request a stream of its own (RFC 9113).
//! Unlike an HTTP/1.1 connection, such a one has a task of its own, for it moves for many at once.
//!
//! Chosen: the h2 crate without hyper's client above it. Whether a request may be sent again depends on what only the
//! stream's own error tells (REFUSED_STREAM, GOAWAY), its body must stay in our hands until then, and whether the backend
//! takes WebSockets is prebuilt in its settings (RFC 8441).

pub(super) use body::Stream;
pub(super) use send::ask;
pub use tunnel::StreamTunnel;

mod body;
mod connection;
pub(super) mod connections;
mod request;
mod send;
mod tunnel;
mod upload;

#[cfg(test)]
mod tests;
