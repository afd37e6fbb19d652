//! Has a valid certificate for every name: needs → plan → order → bundle → catalog.

pub mod need;
pub mod pace;
pub mod plan;
pub mod preflight;
pub mod record;

pub mod alarm;
mod attic;
pub mod bundle;
pub mod catalog;
pub mod challenge;
pub mod demand;
pub mod export;
pub mod file_messages;
pub mod import;
pub mod issued_by;
pub mod issuer;
pub mod keeper;
pub mod resolver;
mod shelf;
pub mod status;
mod worker;

#[cfg(test)]
mod fixtures;
