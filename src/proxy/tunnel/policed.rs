//! Tunnels of sites that ask for limits on messages or for pings: their frames are walked, never rewritten.

pub mod limits;
pub mod own;
pub mod relay;
pub mod walker;
