//! Certificates of a state folder as files.

use std::path::Path;

use crate::base::name::{HostNameError, Identifier};
use crate::base::time::Timestamp;
use crate::certs::export::{self, ExportError};
use crate::state::pem_store::PemStore;

pub use crate::certs::export::Exported;

/// Nothing, or not all, was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportFailed {
    /// A name is none.
    #[error("`{text}` is no name that a certificate could cover")]
    Name {
        /// As given.
        text: String,
        /// Why.
        #[source]
        source: HostNameError,
    },
    /// It did not work.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// Writes the certificate for `name`, or every one, into `folder`.
pub fn export(state: &Path, name: Option<&str>, folder: &Path, now: Timestamp) -> Result<Vec<Exported>, ExportFailed> {
    let wanted = name.map(|text| Identifier::parse(text).map_err(|source| ExportFailed::Name { text: text.to_owned(), source }));
    Ok(export::export(&PemStore::new(state.to_owned()), wanted.transpose()?.as_ref(), folder, now)?)
}
