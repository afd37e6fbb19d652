//! Configuration: text → checked settings. Three floors, one direction: `raw` is what was typed, `settings` what it
//! means; what runs is `proxy`'s snapshot. Only `load` touches the disk.

pub mod settings;

pub mod problem;
pub mod source;
pub mod surroundings;

pub mod env_values;
pub mod expand;
pub mod lex;
pub mod tree;

pub mod foreign;
pub mod raw;
pub mod vocabulary;

pub mod defaults;
pub mod dns_services;
pub mod resolve;

pub mod diff;
pub mod fmt;
pub mod json;
pub mod load;
