//! Sockets, TLS and protocol versions: from a client's connection to a call of `proxy`.
//!
//! Each worker thread accepts on sockets of its own (SO_REUSEPORT), so a connection never changes threads.

pub mod bind;
pub mod port_owner;

pub mod accept;
pub mod cleartext;
pub mod connections;
mod context;
pub mod field;
pub mod flood_guard;
mod header_room;
pub mod http;
pub mod http01_responder;
pub mod http1;
pub mod http2;
pub mod http3;
pub mod inherited;
pub mod listener_config;
pub mod open;
pub mod proxy_protocol;
pub mod quic;
pub mod tls;
mod untrusted;
pub mod write_coalescer;
