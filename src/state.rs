//! What survives a restart: PEM files that are the truth, and a journal beside them that can be rebuilt.
//! Everything here is synchronous; async callers go through the blocking pool.

pub mod slug;

pub mod atomic_file;
pub mod disk_watch;
pub mod pem_store;

pub mod history;
pub mod schema;

pub mod journal;

pub mod finding;
pub mod lock;
pub mod quarantine;
pub mod store;
