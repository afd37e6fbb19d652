//! `maintenance`: nothing is answered but when to come again. Closed by the configuration, or by the operator's command,
//! which holds until the command takes it back or the process ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::proxy::refusal::Refusal;

/// What the operator's command says of one site; a reload keeps it.
#[derive(Debug, Default)]
pub struct Switch(AtomicU64);

impl Switch {
    /// Closes the site, or opens it with `None`; client_certs are prebuilt to wait so many seconds.
    pub fn set(&self, after: Option<u64>) {
        self.0.store(after.map_or(0, |after| after.max(1)), Ordering::Relaxed);
    }

    /// Seconds to wait; `None` while the site is open.
    pub fn after(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|after| *after != 0)
    }
}

/// One block's.
#[derive(Clone, Debug)]
pub struct Maintenance {
    /// By the configuration, with the seconds to wait.
    pub(super) always: Option<u64>,
    /// By command.
    pub(super) switch: Arc<Switch>,
}

impl Maintenance {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        match self.switch.after().or(self.always) {
            Some(after) => Err(Refusal::Maintenance { after }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_closes_and_opens_and_the_configuration_stays() {
        let check = |always, by_command, expected: Result<(), u64>| {
            let maintenance = Maintenance { always, switch: Arc::default() };
            maintenance.switch.set(by_command);
            assert_eq!(maintenance.check(), expected.map_err(|after| Refusal::Maintenance { after }));
        };
        check(None, None, Ok(()));
        check(None, Some(30), Err(30));
        check(None, Some(0), Err(1));
        check(Some(60), None, Err(60));
        check(Some(60), Some(30), Err(30));
    }
}
