//! The command line.

pub mod args;
pub mod exit;
pub mod say;
pub mod trust;
