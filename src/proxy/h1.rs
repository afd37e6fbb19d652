//! What HTTP/1.1 (RFC 9112) is towards clients as well as towards backends: the framing of bodies, read and written, and how
//! the names of fields are spelled.

pub mod chunked;
pub mod framing;
pub mod length;
pub mod outlet;
pub mod reason;
pub mod spelling;
