//! What an operator finds out with or without a running gateway: which block answers a request and why, whether everything
//! that certificates and backends need is there, and what a client sees. None of it needs the operator's socket; what a
//! running gateway says is passed in.

pub mod doctor;
pub mod explain;
pub mod offline;
pub mod probe;
