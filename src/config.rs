//! Configuration: text → checked settings. Three floors, one direction: `raw` is what was typed, `settings` what it
//! means; what runs is `proxy`'s snapshot. Only `load` touches the disk.

pub mod settings;
