//! One order from its beginning, or from where the last try ended, to a proved bundle (RFC 8555 section 7.4), over
//! instant-acme. It does not decide when to order, keeps no bundle, and paces nothing: its caller does.
//!
//! An order is a small machine over the authority's own state, so that a first run, a run after a crash and a run after
//! a lost answer are the same code: pending is proved, ready is finalized, processing is waited for, valid is fetched.

mod advice;
mod begin;
mod blocking;
mod choice;
mod error;
mod job;
mod obtain;
mod patience;
mod prove;
mod publish;
mod replaced;
mod request;
mod run;

pub(super) use blocking::blocking;
pub use error::{FailedProof, OrderCause, OrderError, RefusedBinding, Step};
pub use job::{Issued, OrderJob};
pub use request::new_key;
pub use run::order;

pub(super) use error::RefusedPart;
