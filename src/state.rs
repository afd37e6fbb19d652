//! What survives a restart: PEM files that are the truth, and a journal beside them that can be rebuilt.
//! Everything here is synchronous; async callers go through the blocking pool.

pub mod slug;

pub mod disk_watch;
pub mod durable;
pub mod vault;

pub mod history;
pub mod schema;

pub mod journal;

pub mod finding;
pub mod heal;
pub mod lock;
pub mod store;
