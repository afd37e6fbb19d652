//! doorward, an edge gateway.

pub mod base;
