//! How long an answer is waited for: from the last byte of the request that the backend took. While the client has to
//! send more of its body, time does not run: that is a wait for the client.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::SendError;
use super::upload_progress::{Facts, Sending};

/// See the module.
pub(super) struct Patience {
    limit: Duration,
    /// When it ends, and the progress seen when that was reckoned.
    until: Option<(Instant, u32)>,
}

impl Patience {
    pub(super) const fn new(limit: Duration) -> Self {
        Self { limit, until: None }
    }

    pub(super) fn poll_over(
        &mut self,
        facts: &Facts,
        timer: &mut Option<Pin<Box<Sleep>>>,
        cx: &mut Context<'_>,
    ) -> Poll<SendError> {
        if facts.sending.get() == Sending::WaitsForClient {
            self.until = None;
            return Poll::Pending;
        }
        let progress = facts.progress.get();
        let deadline = match self.until {
            Some((deadline, seen)) if seen == progress => deadline,
            _ => Instant::now() + self.limit,
        };
        self.until = Some((deadline, progress));
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx).map(|()| SendError::FirstByteTimeout(self.limit))
    }
}
