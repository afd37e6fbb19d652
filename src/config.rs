//! Configuration: text → checked settings. Three floors, one direction: `raw` is what was typed, `settings` what it
//! means; what runs is `proxy`'s snapshot. Only `load` touches the disk.

pub mod settings;

pub mod diagnostic;
pub mod environment;
pub mod source;

pub mod env_expand;
pub mod env_values;
pub mod lex;
pub mod tree;

pub mod directives;
pub mod migration_hints;
pub mod raw;

pub mod defaults;
pub mod dns_providers;
pub mod resolve;

pub mod diff;
pub mod fmt;
pub mod json;
pub mod load;
