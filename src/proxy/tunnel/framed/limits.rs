//! What a client may send through its tunnels: the size of each message, how many messages in a time over all of its
//! tunnels, and in each tunnel how many frames that carry nothing. Reads no clock.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::parser::Violation;
use crate::base::addr::client_prefix;
use crate::config::settings::MessageLimit;
use crate::proxy::limit::bucket::{Bucket, Rate, nanos};
use crate::proxy::limit::keyed::KeyedRateLimiter;

/// Pings, pongs and empty fragments: more than any library sends, and far fewer than hurt. They cost both ends a wake-up
/// each and no limit on size sees them.
const CONTROL: (u32, Duration, u32) = (50, Duration::from_secs(1), 500);

/// The messages that a client may still send, counted over all of its tunnels to a site. Clients are counted as for
/// `limit requests`: IPv6 by /64.
#[derive(Clone, Debug)]
pub struct MessageBudget {
    rates: Arc<KeyedRateLimiter>,
    client: IpAddr,
}

impl MessageBudget {
    /// The part of `client` in the counts of a site.
    pub fn new(rates: Arc<KeyedRateLimiter>, client: IpAddr) -> Self {
        Self { rates, client: client_prefix(client) }
    }

    /// As many messages may come at once as may come in the whole time.
    pub fn rate((count, per): (u32, Duration)) -> Rate {
        Rate::new(count, per, count.saturating_sub(1))
    }

    fn take(&self, now: Instant) -> Result<(), Violation> {
        self.rates.take(self.client, now).map_err(|_| Violation::TooMany)
    }
}

/// The limits of one tunnel and what is used of them.
#[derive(Debug)]
pub struct MessageLimits {
    size: u64,
    messages: Option<MessageBudget>,
    control: Bucket,
    start: Instant,
}

impl MessageLimits {
    /// Limits of a tunnel that stands since `start`. Messages are not counted without a budget.
    pub fn new(limit: MessageLimit, messages: Option<MessageBudget>, start: Instant) -> Self {
        let (count, per, burst) = CONTROL;
        Self { size: limit.size.0, messages, control: Bucket::full(Rate::new(count, per, burst)), start }
    }

    /// A data frame; see [`super::parser::FrameVisitor::data`].
    pub fn data(&mut self, payload: u64, message: u64, first: bool, now: Instant) -> Result<(), Violation> {
        if message > self.size {
            return Err(Violation::TooLarge);
        }
        match &self.messages {
            Some(messages) if first => messages.take(now),
            _ if payload == 0 && !first => self.control(now),
            _ => Ok(()),
        }
    }

    /// A control frame.
    pub fn control(&mut self, now: Instant) -> Result<(), Violation> {
        self.control.take(nanos(now.saturating_duration_since(self.start))).map_err(|_| Violation::Flood)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::size::ByteSize;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits(size: u64, messages: Option<MessageBudget>, start: Instant) -> MessageLimits {
        MessageLimits::new(MessageLimit { size: ByteSize(size), rate: None }, messages, start)
    }

    fn counts(count: u32, per: Duration, start: Instant) -> Arc<KeyedRateLimiter> {
        Arc::new(KeyedRateLimiter::new(MessageBudget::rate((count, per)), start))
    }

    fn budget(counts: &Arc<KeyedRateLimiter>, client: &str) -> Option<MessageBudget> {
        Some(MessageBudget::new(Arc::clone(counts), client.parse().unwrap()))
    }

    #[test]
    fn a_message_may_be_as_large_as_the_limit_and_no_larger() {
        let now = Instant::now();
        let mut limits = limits(100, None, now);
        assert_eq!(limits.data(100, 100, true, now), Ok(()));
        assert_eq!(limits.data(101, 101, true, now), Err(Violation::TooLarge));
        assert_eq!(limits.data(1, 101, false, now), Err(Violation::TooLarge));
    }

    #[test]
    fn the_messages_of_a_client_are_counted_over_all_of_its_tunnels() {
        let now = Instant::now();
        let counts = counts(3, 60 * SECOND, now);
        let tunnel = |client: &str| limits(100, budget(&counts, client), now);
        let (mut first, mut second) = (tunnel("2001:db8::1"), tunnel("2001:db8::2"));
        assert_eq!(first.data(1, 1, true, now), Ok(()));
        assert_eq!(second.data(1, 1, true, now), Ok(()));
        assert_eq!(first.data(1, 1, true, now), Ok(()));
        assert_eq!(first.data(1, 1, true, now), Err(Violation::TooMany));
        assert_eq!(second.data(1, 1, true, now), Err(Violation::TooMany), "both tunnels are of one /64");
        assert_eq!(tunnel("2001:db8::3").data(1, 1, true, now), Err(Violation::TooMany), "a new tunnel brings no new count");
        assert_eq!(tunnel("192.0.2.1").data(1, 1, true, now), Ok(()), "another client is counted apart");
    }

    #[test]
    fn a_hundred_messages_a_minute_may_come_at_once_and_fragments_count_once() {
        let now = Instant::now();
        let counts = counts(100, 60 * SECOND, now);
        let mut limits = limits(100, budget(&counts, "192.0.2.1"), now);
        for _ in 0..100 {
            assert_eq!(limits.data(1, 1, true, now), Ok(()));
            assert_eq!(limits.data(1, 2, false, now), Ok(()));
        }
        assert_eq!(limits.data(1, 1, true, now), Err(Violation::TooMany));
        assert_eq!(limits.data(1, 1, true, now + SECOND), Ok(()));
    }

    #[test]
    fn empty_fragments_and_pings_are_bounded_together() {
        let start = Instant::now();
        let now = start + SECOND;
        let mut limits = limits(100, None, start);
        for _ in 0..250 {
            assert_eq!(limits.control(now), Ok(()));
            assert_eq!(limits.data(0, 0, false, now), Ok(()));
        }
        assert_eq!(limits.control(now), Ok(()));
        assert_eq!(limits.data(0, 0, false, now), Err(Violation::Flood));
        assert_eq!(limits.control(now), Err(Violation::Flood));
        assert_eq!(limits.control(now + SECOND), Ok(()));
    }
}
