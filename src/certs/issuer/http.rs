//! The one HTTP client towards authorities. Everything it does is bounded in time and size, its TLS is verified before
//! a byte of a request leaves, and an error keeps what the authority said: status, problem, `Retry-After`.
//!
//! It follows no redirects and speaks HTTP/1.1 only: an order is a dozen small messages.

mod answer;
mod client;
mod connection;
mod conversation;
mod directory;
mod error;
mod failure;
mod pauses;
pub mod post;
pub(super) mod problem;
mod request;
mod roots;
mod tls;

pub use client::{AcmeHttp, HttpLimits};
pub use directory::Directory;
pub use error::{HttpError, Stage};
pub use failure::{HttpFailure, Refusal};
pub use pauses::{Kind, Pauses};
pub use roots::RootsError;

pub(super) use answer::Answer;
pub(super) use conversation::Notes;
