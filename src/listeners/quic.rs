//! QUIC (RFC 9000), over quinn: endpoints, handshakes and streams of HTTP/3, on each worker its own. What the streams say
//! is [`super::http3`]'s affair, what a request means `proxy`'s.

pub mod keys;
pub mod runtime;
pub mod steer;

pub mod front;
pub mod listener;

mod asked;
mod connection;
mod incoming;
mod outgoing;
mod patience;
mod request;
mod session;
mod uni;
