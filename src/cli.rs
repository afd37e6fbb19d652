//! The command line: one file for each command, and what they share.

pub mod args;
pub mod ask;
pub mod banner;
pub mod certs;
pub mod check;
pub mod configuration;
pub mod exit;
pub mod home;
pub mod reload;
pub mod say;
pub mod trust;
pub mod written;
