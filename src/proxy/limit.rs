//! How much of something one client may have: requests in a time, and exchanges at once. What is counted lives here;
//! which clients of which block are counted, and what they are told, is the steps' concern.

pub mod bans;
pub mod bucket;
pub mod crowd;
pub mod kept;
pub mod rates;
pub mod turns;
