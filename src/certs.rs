//! Has a valid certificate for every name: needs → plan → order → bundle → catalog.

pub mod bundle;
pub mod challenge;
pub mod issuer;
