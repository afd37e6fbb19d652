//! The end of a connection whose client may still be sending (RFC 9112 section 9.6). To close a socket that has unread data
//! resets it, and the reset can destroy the answer before the client has read it. So the connection says that it
//! writes nothing more and reads on, discarding what comes, for a bounded time and size, as nginx does (`lingering_close`).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How long what comes is discarded in all, and how long nothing may come.
const LINGER_TIMEOUT: Duration = Duration::from_secs(30);
const LINGER_IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that are discarded before the connection is closed all the same: a large upload, at the speed of a fast network.
pub(super) const MAX_LINGER: u64 = 1 << 30;
/// Bytes of a body that are read to its end so that another request can follow; a new connection costs less than more.
pub(super) const MAX_DRAIN: u64 = 256 * 1024;

/// Bytes and time that are left for what has no further use.
pub(super) struct Allowance {
    left: u64,
    end: Instant,
    moved: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Allowance {
    /// Of `bytes`, from now on.
    pub(super) fn new(bytes: u64) -> Self {
        let now = Instant::now();
        let timer = Box::pin(tokio::time::sleep(LINGER_IDLE_TIMEOUT));
        Self { left: bytes, end: now + LINGER_TIMEOUT, moved: now, timer }
    }

    /// Takes `bytes` off it. Whether there was enough.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        self.moved = Instant::now();
        match self.left.checked_sub(u64::try_from(bytes).unwrap_or(u64::MAX)) {
            Some(left) => {
                self.left = left;
                self.moved < self.end
            }
            None => false,
        }
    }

    /// Ready when the time is over.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let over = (self.moved + LINGER_IDLE_TIMEOUT).min(self.end);
            if Instant::now() >= over {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(over);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_by_silence_by_time_and_by_size() {
        let over = async |allowance: &mut Allowance| {
            let begin = Instant::now();
            std::future::poll_fn(|cx| allowance.poll_over(cx)).await;
            begin.elapsed().as_secs()
        };
        assert_eq!(over(&mut Allowance::new(10)).await, 5);
        let mut busy = Allowance::new(10_000);
        for _ in 0..9 {
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert!(busy.spend(1_000));
        }
        assert_eq!(over(&mut busy).await, 3);
        let mut large = Allowance::new(10);
        assert!(large.spend(10) && !large.spend(1));
    }
}
