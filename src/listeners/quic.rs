//! QUIC (RFC 9000), over quinn: endpoints, handshakes and streams of HTTP/3, on each worker its own. What the streams say
//! is [`super::http3`]'s affair, what a request means `proxy`'s.

pub mod cid_routing;
pub mod keys;
pub mod runtime;

pub mod config;
pub mod listener;

mod connection;
mod handshake_hooks;
mod request;
mod request_body;
mod response_stream;
mod session;
mod timeout;
mod uni;
