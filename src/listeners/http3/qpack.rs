//! Header compression (RFC 9204) without a dynamic table: nothing is remembered from one header to the next, so nothing
//! can be filled up, and no request waits for another one's header.

pub mod decode;
pub mod encode;
pub(in crate::listeners) mod huffman;
pub(in crate::listeners) mod integer;
mod table;
