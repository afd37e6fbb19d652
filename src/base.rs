//! Words everyone shares. Knows nothing of gateways, awaits nothing but programs, and only `time` may look at a clock.

pub mod addr;
pub mod backoff;
pub mod client_fact;
pub mod duration;
pub mod error_chain;
pub mod escape;
pub mod file_watch;
pub mod hex;
pub mod hostinfo;
pub mod issuable;
pub mod loopback;
pub mod mutex;
pub mod name;
pub mod password;
pub mod proxy_header;
pub mod regular_file;
pub mod rng;
pub mod secret;
pub mod size;
pub mod subprocess;
pub mod task;
pub mod time;
