//! The one HTTP client towards authorities. Everything it does is bounded in time and size, its TLS is verified before
//! a byte of a request leaves, and an error keeps what the authority said: status, problem, `Retry-After`.
//!
//! It follows no redirects and speaks HTTP/1.1 only: an order is a dozen small messages.

mod answer;
mod client;
mod conversation;
mod directory;
mod failure;
mod pauses;
pub(super) mod problem;

pub use client::{AcmeHttp, HttpLimits};
pub use directory::Directory;
pub use failure::{HttpFailure, Refusal};
pub use pauses::{Kind, Pauses};

pub(super) use answer::Answer;
pub(super) use conversation::Notes;
