//! HTTP/3 as bytes (RFC 9114, and RFC 9204 for its header compression): what a client's streams say, and what ours do.
//! Pure; the streams themselves are [`super::quic`]'s.
//!
//! Chosen: a codec of our own. Everything it holds is bounded by the limit on header sections, a message that is cut off
//! is never taken for a whole one, and a header becomes an `http::Request` without a step between. Rejected: the crate
//! `h3` 0.0.8, which keeps whatever a frame's length announces (its issue 308), takes a body that ends inside a DATA
//! frame for complete, and panics when trailers are asked for behind such a body. The tests use it as the client.

pub mod code;
pub mod control;
pub mod date;
pub mod frames;
pub mod message;
pub mod qpack;
pub mod varint;
