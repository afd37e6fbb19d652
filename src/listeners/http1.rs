//! HTTP/1.1 and HTTP/1.0 towards clients (RFC 9112), over httparse.
//!
//! Chosen: a server of our own, as the client towards backends is. Rejected: hyper's, which answers what it cannot parse with
//! an empty page and without a word to anybody, closes connections with unread data so that answers are lost, and spells all
//! names in lower case.
//!
//! A connection is one state machine in one task ([`connection`]): it reads a head ([`head`]), has it answered, writes the
//! answer ([`answer`]), and reads on or closes in stages (`linger`). The request's body reads from the same
//! connection while it is asked for (`wire`).

pub mod answer;
pub mod connection;
pub mod head;
mod linger;
mod unreadable;
mod wire;
