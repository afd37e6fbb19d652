//! Asks a ledger on a thread that may block.

use super::error::OrderCause;
use crate::base::task;
use crate::certs::issuer::order_store::LedgerError;

/// Asks a ledger on a thread that may block.
pub(in crate::certs::issuer) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, OrderCause> {
    Ok(task::blocking(what, work).await.ok_or(OrderCause::Panicked(what))??)
}
