//! Assembles the parts, reloads, supervises and drains them.

pub mod checkups;
pub mod drains;
pub mod gateway;
pub mod in_service;
pub mod kept;
pub mod logs;
mod lookups;
pub mod memory;
pub mod process;
pub mod reload;
mod reload_on_change;
pub mod signals;
pub mod sockets;
pub mod source;
pub mod supervise;
pub mod vigil;
pub mod watch;
pub mod workers;
