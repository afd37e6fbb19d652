//! Attacks, by clients that speak by hand: requests smuggled within others, floods, and the slow. What holds in each: the
//! backend hears nothing that can be read in two ways, others are served meanwhile, and memory stays bounded.

mod downgrade;
mod floods;
mod property;
mod quic;
mod siege;
mod slow;
mod smuggling;
