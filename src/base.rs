//! Words everyone shares. Knows nothing of gateways, awaits nothing but programs, and only `time` may look at a clock.

pub mod addr;
pub mod backoff;
pub mod chain;
pub mod client_fact;
pub mod dice;
pub mod escape;
pub mod file_watch;
pub mod hex;
pub mod issuable;
pub mod loopback;
pub mod machine;
pub mod mutex;
pub mod name;
pub mod password;
pub mod program;
pub mod proxy_header;
pub mod regular_file;
pub mod secret;
pub mod size;
pub mod span;
pub mod task;
pub mod time;
