//! doorward, an edge gateway.

pub mod base;
pub mod config;
pub mod telemetry;

pub mod state;

pub mod certs;
pub mod proxy;

pub mod listeners;

pub mod server;

pub mod admin;
pub mod cli;
