//! Has a valid certificate for every name: needs → plan → order → bundle → catalog.

pub mod desired;
pub mod inventory;
pub mod plan;
pub mod preflight;
pub mod rate_limit;

pub mod alert;
pub mod bundle;
pub mod catalog;
mod cert_cache;
pub mod challenge;
mod cleanup;
pub mod export;
pub mod file_messages;
pub mod import;
pub mod issued_by;
pub mod issuer;
pub mod manager;
pub mod on_demand;
mod order_task;
pub mod resolver;
pub mod status;

#[cfg(test)]
mod fixtures;
