//! A certificate chain with its key, proved to belong together. Whoever holds a [`CertBundle`] may serve it.
//! It does not ask whether clients trust the chain's root, and it does not look at revocation.

mod cert_bundle;
mod chain;
mod error;
mod leaf;
mod pem;
mod read;
mod signature;

pub use cert_bundle::CertBundle;
pub use error::{BundleError, Piece};

#[cfg(test)]
mod tests;
