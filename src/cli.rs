//! The command line: one file for each command, and what they share.

pub mod args;
pub mod command;
pub mod exit;
pub mod output;

pub mod configuration;
pub mod state_dir;
pub mod synth_config;

pub mod banner;
pub mod demo;
pub mod run;

pub mod account;
pub mod admin_call;
mod backends;
pub mod bans;
pub mod certs;
pub mod check;
pub mod doctor;
pub mod drain;
pub mod explain;
pub mod probe;
pub mod reload;
pub mod status;

pub mod maintenance;
pub mod password;
pub mod self_signed;
pub mod trust;
