//! Sockets, TLS and protocol versions: from a client's connection to a call of `proxy`.
//!
//! Each worker thread accepts on sockets of its own (SO_REUSEPORT), so a connection never changes threads.

pub mod bind;
pub mod holder;

pub mod accept;
pub mod calm;
pub mod cleartext;
pub mod conns;
mod context;
pub mod field;
pub mod front;
pub mod gather;
pub mod handed;
mod header_room;
pub mod http;
pub mod http1;
pub mod http2;
pub mod http3;
pub mod open;
pub mod plain;
pub mod proxy_protocol;
pub mod quic;
pub mod tls;
mod untrusted;
