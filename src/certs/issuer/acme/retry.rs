//! How often a call is repeated and how long a step may take. Waiting uses the monotonic clock.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::error::OrderCause;
use crate::base::backoff::Backoff;
use crate::base::rng::Rng;
use crate::base::time::Timestamp;

/// Whether a call may be repeated when its answer was lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It only asks, or doing it twice is the same as once.
    Freely,
    /// Once more, even when the authority may have acted: twice is a waste, but buys nothing.
    Once,
    /// Only when the authority cannot have seen it: twice would buy twice.
    IfUnsent,
}

/// Longest time for one call with all its repetitions.
const CALL: Duration = Duration::from_secs(120);

/// Repetitions after something passing.
const MAX_TRANSIENT: u32 = 3;

/// Rounds of refused nonces; instant-acme makes three tries in each. At 30 % refusals one call in 14 million fails.
const MAX_NONCE_ROUNDS: u32 = 4;

/// Makes a call, repeating what is worth it, within [`CALL`].
pub(super) async fn call<T, E: Into<OrderCause>>(
    repeat: Repeat,
    work: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, OrderCause> {
    timeout(CALL, insist(repeat, work)).await.unwrap_or(Err(OrderCause::Slow { after: CALL }))
}

async fn insist<T, E: Into<OrderCause>>(repeat: Repeat, mut work: impl AsyncFnMut() -> Result<T, E>) -> Result<T, OrderCause> {
    let mut rng = Rng::from_os();
    let (mut passing, mut nonces) = (0, 0);
    loop {
        let cause = match work().await {
            Ok(value) => return Ok(value),
            Err(error) => error.into(),
        };
        if cause.acme_type() == Some("badNonce") && nonces < MAX_NONCE_ROUNDS {
            nonces += 1;
            continue;
        }
        let may = match repeat {
            Repeat::Freely => true,
            Repeat::Once => passing == 0 || cause.was_not_sent(),
            Repeat::IfUnsent => cause.was_not_sent(),
        };
        if !(may && cause.is_passing() && passing < MAX_TRANSIENT) {
            return Err(cause);
        }
        passing += 1;
        sleep(Backoff::NEARBY.delay(passing, &mut rng)).await;
    }
}

/// The rhythm of asking for an order's state: quick at first, because prompt authorities are done in a moment, then
/// slower, and not before the authority's own `Retry-After` (RFC 8555 section 7.5.1). A `Retry-After` beyond the time that
/// is left is no rhythm (ZeroSSL sends a day for what it does in seconds): then our own slow one is kept.
pub(super) struct PollInterval {
    begun: Instant,
    budget: Duration,
    next: Duration,
}

/// Budget of a step for which the authority asks for time.
const STRETCHED: Duration = Duration::from_secs(600);

impl PollInterval {
    pub(super) fn new(budget: Duration) -> Self {
        Self { begun: Instant::now(), budget, next: Duration::from_millis(25) }
    }

    /// A busy authority's `Retry-After` (429, 503), if it can be kept within the budget: unlike that of a good answer it is
    /// no advice, and nothing is asked before it.
    pub(super) fn within(&mut self, until: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        self.budget = self.budget.max(STRETCHED);
        until.filter(|until| until.since(now) < self.budget.saturating_sub(self.begun.elapsed()))
    }

    /// Waits for the next question, which comes no sooner than `retry_after`; an error when the budget is used up.
    pub(super) async fn beat(&mut self, retry_after: Option<Timestamp>, now: Timestamp) -> Result<(), OrderCause> {
        const MAX_POLL_INTERVAL: Duration = Duration::from_secs(10);
        if retry_after.is_some() {
            self.budget = self.budget.max(STRETCHED);
        }
        let left = self.budget.saturating_sub(self.begun.elapsed());
        if left.is_zero() {
            return Err(OrderCause::Slow { after: self.budget });
        }
        let asked = retry_after.map_or(Duration::ZERO, |at| at.since(now));
        let wait = if asked > left { self.next } else { self.next.max(asked) };
        sleep(wait.min(left)).await;
        self.next = self.next.mul_f64(1.5).min(MAX_POLL_INTERVAL);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use instant_acme::Error;

    use super::*;
    use crate::certs::issuer::http::HttpFailure;
    use crate::net::http_client::{HttpError, Stage};

    fn slow(stage: Stage) -> Error {
        Error::Other(Box::new(HttpFailure::from(HttpError::Slow { host: "ca".into(), stage, after: CALL })))
    }

    fn problem(kind: &str) -> Error {
        Error::Api(serde_json::from_str(&format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}"}}"#)).unwrap())
    }

    /// How often work that always fails like this is tried.
    async fn tries(repeat: Repeat, error: impl Fn() -> Error) -> u32 {
        let tried = Cell::new(0);
        let result = call(repeat, async || {
            tried.set(tried.get() + 1);
            Err::<(), _>(error())
        });
        result.await.unwrap_err();
        tried.get()
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_bought_something_is_not_repeated() {
        assert_eq!(tries(Repeat::Freely, || slow(Stage::Answer)).await, 4);
        assert_eq!(tries(Repeat::Once, || slow(Stage::Answer)).await, 2);
        assert_eq!(tries(Repeat::Once, || slow(Stage::Connect)).await, 4);
        assert_eq!(tries(Repeat::IfUnsent, || slow(Stage::Connect)).await, 4);
        assert_eq!(tries(Repeat::IfUnsent, || slow(Stage::Answer)).await, 1);
        assert_eq!(tries(Repeat::Freely, || problem("caa")).await, 1);
        assert_eq!(tries(Repeat::IfUnsent, || problem("badNonce")).await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_even_if_its_work_does_not() {
        let result = call(Repeat::Freely, async || std::future::pending::<Result<(), Error>>().await).await;
        assert!(matches!(result, Err(OrderCause::Slow { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn questions_come_slower_and_never_before_they_are_wanted() {
        let now = Timestamp::from_unix(0);
        let mut rhythm = PollInterval::new(Duration::from_secs(60));
        let start = Instant::now();
        rhythm.beat(None, now).await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(200));
        rhythm.beat(Some(now + Duration::from_secs(5)), now).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(5));
    }

    /// How long a step that never ends is waited for, and how often it is asked for meanwhile.
    async fn waited(retry_after: Option<u64>) -> (u64, usize) {
        let now = Timestamp::from_unix(1_795_219_200);
        let (mut rhythm, start) = (PollInterval::new(Duration::from_secs(60)), Instant::now());
        let mut asked = 0;
        let retry_after = retry_after.map(|seconds| now + Duration::from_secs(seconds));
        while rhythm.beat(retry_after, now).await.is_ok() {
            asked += 1;
        }
        (start.elapsed().as_secs(), asked)
    }

    #[tokio::test(start_paused = true)]
    async fn an_absurd_wait_neither_ends_the_step_nor_silences_it() {
        let (seconds, asked) = waited(None).await;
        assert_eq!(seconds, 60);
        assert!((10..40).contains(&asked), "{asked}");
        for absurd in [86_400, 604_800, 601] {
            let (seconds, asked) = waited(Some(absurd)).await;
            assert!(seconds == 600 && asked > 50, "{absurd}: {seconds} s, asked {asked} times");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_within_the_budget_is_kept_and_stretches_it() {
        let (seconds, asked) = waited(Some(120)).await;
        assert_eq!((seconds, asked), (600, 5));
        let (seconds, asked) = waited(Some(1)).await;
        assert!(seconds == 600 && asked < 100, "slower by itself: {asked}");
    }
}
