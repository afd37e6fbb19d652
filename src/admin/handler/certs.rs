//! Accounts, revocations and tries, in the words of the socket.

use crate::admin::api::{self, AccountLine, AccountsReport, Refusal, RevokeReport, TestReport};
use crate::certs::issuer::account::AccountShown;
use crate::certs::issuer::revoke::Reason;
use crate::certs::manager::{AccountRequest, CertManagerHandle, ErrandError};

/// Has the certificate of `name` revoked.
pub(super) async fn revoke(certs: &CertManagerHandle, name: &str, reason: &str) -> Result<RevokeReport, Refusal> {
    let known = Reason::ALL.map(Reason::as_str).join(", ");
    let reason = Reason::parse(reason)
        .ok_or_else(|| Refusal::question(format!("`{reason}` is no reason of a revocation; there are {known}")))?;
    let revoked = certs.revoke(name, reason).await.map_err(refusal)?;
    let (successor_at, successor_why) = revoked.successor.unzip();
    Ok(RevokeReport { name: name.to_owned(), serial: revoked.serial, successor_at, successor_why })
}

/// Tries an order.
pub(super) async fn test(certs: &CertManagerHandle, name: &str, directory: Option<&str>) -> Result<TestReport, Refusal> {
    let trial = certs.try_order(name, directory).await.map_err(refusal)?;
    Ok(TestReport { names: trial.names, directory: trial.directory, proved_by: trial.proved_by, failed: trial.failed })
}

/// Tells of every account.
pub(super) async fn accounts(certs: &CertManagerHandle) -> AccountsReport {
    let line = |shown: AccountShown| AccountLine {
        directory: shown.directory,
        url: shown.url,
        thumbprint: shown.thumbprint,
        status: shown.status,
        contacts: shown.contacts,
        error: shown.error,
    };
    AccountsReport { accounts: certs.accounts().await.into_iter().map(line).collect() }
}

/// Does something with an account.
pub(super) async fn account(
    certs: &CertManagerHandle,
    wish: api::AccountRequest,
    issuer: Option<&str>,
) -> Result<api::AccountDone, Refusal> {
    let wish = match wish {
        api::AccountRequest::RollKey => AccountRequest::RollKey,
        api::AccountRequest::Deactivate => AccountRequest::Deactivate,
    };
    let done = certs.account(wish, issuer).await.map_err(refusal)?;
    Ok(api::AccountDone { directory: done.directory, thumbprint: done.thumbprint, note: done.note })
}

fn refusal(error: ErrandError) -> Refusal {
    match error {
        ErrandError::Failed { .. } | ErrandError::Busy { .. } | ErrandError::Stopping => Refusal::gateway(error.to_string()),
        ErrandError::Unknown(_)
        | ErrandError::Local(_)
        | ErrandError::NotRevocable { .. }
        | ErrandError::NothingHeld(_)
        | ErrandError::NoTestDirectory(_)
        | ErrandError::NotATest(_)
        | ErrandError::NoAuthority
        | ErrandError::Which(_)
        | ErrandError::NoSuchIssuer { .. } => Refusal::question(error.to_string()),
    }
}
