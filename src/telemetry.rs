//! What the gateway tells about itself: counters, log lines, access records. Nothing here decides anything.

pub mod access;
pub mod digits;
pub mod lines;
pub mod log;
pub mod log_rate_limit;
pub mod metrics;
pub mod remarks;
pub mod timestamp;
