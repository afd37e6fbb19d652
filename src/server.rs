//! Assembles the parts, reloads, supervises and drains them.

pub mod signals;
pub mod watch;
