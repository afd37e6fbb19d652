//! Log lines that strangers cause are counted, and written down only so many a second.

use std::cell::Cell;

/// Lets `most` lines a second through and counts the others.
pub struct LogRateLimit {
    most: u32,
    second: Cell<u64>,
    said: Cell<u32>,
    withheld: Cell<u64>,
}

impl LogRateLimit {
    /// At most `most` lines a second.
    pub const fn new(most: u32) -> Self {
        Self { most, second: Cell::new(0), said: Cell::new(0), withheld: Cell::new(0) }
    }

    /// Whether a line may be written in this `second`, with how many were withheld since the last one.
    pub fn admit(&self, second: u64) -> Option<u64> {
        if self.second.replace(second) != second {
            self.said.set(0);
        }
        if self.said.get() >= self.most {
            self.withheld.set(self.withheld.get() + 1);
            return None;
        }
        self.said.set(self.said.get() + 1);
        Some(self.withheld.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_not_written() {
        let throttle = LogRateLimit::new(2);
        let seen: Vec<_> = [5, 5, 5, 5, 6].map(|second| throttle.admit(second)).into();
        assert_eq!(seen, [Some(0), Some(0), None, None, Some(2)]);
    }
}
