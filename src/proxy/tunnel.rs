//! What an upgraded connection becomes: bytes both ways, or frames where the site asks for limits or pings.

pub mod policed;
