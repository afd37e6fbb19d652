//! Has a valid certificate for every name: needs → plan → order → bundle → catalog.

pub mod need;
pub mod pace;
pub mod plan;
pub mod record;

pub mod bundle;
pub mod challenge;
pub mod issuer;

#[cfg(test)]
mod fixtures;
