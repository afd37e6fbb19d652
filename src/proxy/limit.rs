//! How much of something one client may have: requests in a time, and exchanges at once. What is counted lives here;
//! which clients of which block are counted, and what they are prebuilt, is the steps' concern.

pub mod bans;
pub mod bounded_semaphore;
pub mod bucket;
pub mod concurrency;
pub mod keyed;
pub mod registry;
