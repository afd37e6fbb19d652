//! Assembles the parts, reloads, supervises and drains them.

pub mod config_source;
mod dns_refresh;
pub mod drained_targets;
pub mod gateway;
pub mod health_tasks;
pub mod load_shed;
pub mod logs;
pub mod persistent_keys;
pub mod process;
pub mod reload;
mod reload_on_change;
pub mod signals;
pub mod sockets;
pub mod supervise;
pub mod verify_served;
pub mod watch;
pub mod watchdog;
pub mod workers;
