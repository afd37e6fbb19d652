//! What one client may send through one tunnel: the size of its messages, how many in a time, and how many frames that
//! carry nothing. Pure.

use std::time::Duration;

use super::walker::Violation;
use crate::config::settings::MessageLimit;
use crate::proxy::limit::bucket::{Bucket, Rate};

/// Pings, pongs and empty fragments: more than any library sends, and far fewer than hurt. They cost both ends a wake-up
/// each and no limit on size sees them.
const CONTROL: (u32, Duration, u32) = (50, Duration::from_secs(1), 500);

/// The limits of one tunnel and what is used of them.
#[derive(Debug)]
pub struct MessageLimits {
    size: u64,
    messages: Option<Bucket>,
    control: Bucket,
}

impl MessageLimits {
    /// Nothing used yet. As many messages may come at once as may come in the whole time.
    pub fn new(limit: MessageLimit) -> Self {
        let bucket = |(count, per): (u32, Duration)| Bucket::full(Rate::new(count, per, count.saturating_sub(1)));
        let (count, per, burst) = CONTROL;
        Self { size: limit.size.0, messages: limit.rate.map(bucket), control: Bucket::full(Rate::new(count, per, burst)) }
    }

    /// A data frame; see [`super::walker::Judge::data`]. `now` is nanoseconds since any fixed moment.
    pub fn data(&mut self, payload: u64, message: u64, first: bool, now: u64) -> Result<(), Violation> {
        if message > self.size {
            return Err(Violation::TooLarge);
        }
        match &mut self.messages {
            Some(messages) if first => messages.take(now).map_err(|_| Violation::TooMany),
            _ if payload == 0 && !first => self.control(now),
            _ => Ok(()),
        }
    }

    /// A control frame.
    pub fn control(&mut self, now: u64) -> Result<(), Violation> {
        self.control.take(now).map_err(|_| Violation::Flood)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::size::ByteSize;

    const SECOND: u64 = 1_000_000_000;

    fn limits(size: u64, rate: Option<(u32, u64)>) -> MessageLimits {
        let rate = rate.map(|(count, seconds)| (count, Duration::from_secs(seconds)));
        MessageLimits::new(MessageLimit { size: ByteSize(size), rate })
    }

    #[test]
    fn a_message_may_be_as_large_as_the_limit_and_no_larger() {
        let mut limits = limits(100, None);
        assert_eq!(limits.data(100, 100, true, 0), Ok(()));
        assert_eq!(limits.data(101, 101, true, 0), Err(Violation::TooLarge));
        assert_eq!(limits.data(1, 101, false, 0), Err(Violation::TooLarge));
    }

    #[test]
    fn a_hundred_messages_a_minute_may_come_at_once_and_fragments_count_once() {
        let mut limits = limits(100, Some((100, 60)));
        for _ in 0..100 {
            assert_eq!(limits.data(1, 1, true, SECOND), Ok(()));
            assert_eq!(limits.data(1, 2, false, SECOND), Ok(()));
        }
        assert_eq!(limits.data(1, 1, true, SECOND), Err(Violation::TooMany));
        assert_eq!(limits.data(1, 1, true, 2 * SECOND), Ok(()));
    }

    #[test]
    fn empty_fragments_and_pings_are_bounded_together() {
        let mut limits = limits(100, None);
        for _ in 0..250 {
            assert_eq!(limits.control(SECOND), Ok(()));
            assert_eq!(limits.data(0, 0, false, SECOND), Ok(()));
        }
        assert_eq!(limits.control(SECOND), Ok(()));
        assert_eq!(limits.data(0, 0, false, SECOND), Err(Violation::Flood));
        assert_eq!(limits.control(SECOND), Err(Violation::Flood));
        assert_eq!(limits.control(2 * SECOND), Ok(()));
    }
}
