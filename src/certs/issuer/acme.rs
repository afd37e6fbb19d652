//! One order from its beginning, or from where the last try ended, to a proved bundle (RFC 8555 section 7.4), over
//! instant-acme. It does not decide when to order, keeps no bundle, and paces nothing: its caller does.
//!
//! An order is a small machine over the authority's own state, so that a first run, a run after a crash and a run after
//! a lost answer are the same code: pending is proved, ready is finalized, processing is waited for, valid is fetched.

mod authorize;
mod blocking;
mod csr;
mod dns_records;
mod error;
mod finalize;
mod job;
mod new_order;
mod remedy;
mod replaced;
mod retry;
mod run;
mod select_challenge;

pub(super) use blocking::blocking;
pub use csr::new_key;
pub use error::{FailedProof, OrderCause, OrderError, RefusedBinding, Step};
pub use job::{Issued, OrderJob};
pub use run::order;

pub(super) use error::RefusedPart;
