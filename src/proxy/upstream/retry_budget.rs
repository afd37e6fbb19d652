//! How many of a cluster's requests may be tried again: a share of them over the last ten seconds, so that backends which
//! cannot bear their load do not get a multiple of it.
//!
//! The decision is `Window`'s and pure. [`RetryBudget`] keeps it in relaxed atomics: a request costs one addition, and the
//! clock is looked at only when something is tried again. Two workers that begin a window at the same moment may each see
//! the other's half of it, once.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// Milliseconds over which the share is measured.
const SPAN: u32 = 10_000;
/// Tries within [`SPAN`] that are free, or a quiet site could never try again: ten in a second.
const FREE: u64 = 100;

/// See the module.
#[derive(Debug)]
pub struct RetryBudget {
    born: Instant,
    /// Requests since the window began.
    requests: AtomicU64,
    /// Requests in the span before it.
    earlier: AtomicU64,
    /// [`Window`], packed.
    window: AtomicU64,
}

impl Default for RetryBudget {
    fn default() -> Self {
        let (requests, earlier, window) = Default::default();
        Self { born: Instant::now(), requests, earlier, window }
    }
}

impl RetryBudget {
    /// A request came.
    pub fn earn(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether one more may be tried again at `now`, which is then counted; `percent` is the share of requests.
    pub fn spend(&self, now: Instant, percent: u32) -> bool {
        // Truncated: ages are reckoned modulo 49 days.
        #[expect(clippy::cast_possible_truncation, reason = "see above")]
        let now = now.saturating_duration_since(self.born).as_millis() as u32;
        self.begin(now);
        let seen = Seen { requests: self.requests.load(Ordering::Relaxed), earlier: self.earlier.load(Ordering::Relaxed) };
        let spend = |packed| Some(Window::unpacked(packed).spent(now, seen, percent)?.packed());
        self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }

    /// Begins another window when this one is over.
    fn begin(&self, now: u32) {
        let packed = self.window.load(Ordering::Relaxed);
        let window = Window::unpacked(packed);
        let Some(next) = window.next(now) else { return };
        // Who is first clears up.
        if self.window.compare_exchange(packed, next.packed(), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let requests = self.requests.swap(0, Ordering::Relaxed);
            self.earlier.store(requests.saturating_mul(u64::from(SPAN)) / u64::from(window.age(now)), Ordering::Relaxed);
        }
    }
}

/// Requests by which tries are measured.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// In the window.
    requests: u64,
    /// In the span before it.
    earlier: u64,
}

/// Tries in a span of time, and in the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Window {
    /// When it began, in milliseconds modulo 2^32.
    start: u32,
    /// Tries in the span before.
    before: u16,
    /// Tries since it began; no budget is larger than this number.
    here: u16,
}

impl Window {
    const fn age(self, now: u32) -> u32 {
        // Another worker's clock may have been read a little later than ours.
        let age = now.wrapping_sub(self.start);
        if age > u32::MAX - SPAN { 0 } else { age }
    }

    /// The window that follows at `now`, once this one is over.
    fn next(self, now: u32) -> Option<Self> {
        let age = self.age(now);
        let before = if age < 2 * SPAN { self.here } else { 0 };
        (age >= SPAN).then_some(Self { start: now, before, here: 0 })
    }

    /// After one more try, where the budget has room for it. What lies before the window counts for as much of it as the
    /// last [`SPAN`] still reaches into.
    fn spent(self, now: u32, seen: Seen, percent: u32) -> Option<Self> {
        let left = u64::from(SPAN.saturating_sub(self.age(now)));
        let earlier = |count: u64| count.saturating_mul(left).div_ceil(u64::from(SPAN));
        let requests = seen.requests.saturating_add(earlier(seen.earlier));
        let most = (requests.saturating_mul(u64::from(percent)) / 100).max(FREE);
        let spent = earlier(u64::from(self.before)) + u64::from(self.here);
        let here = self.here.checked_add(1)?;
        (spent < most).then_some(Self { here, ..self })
    }

    fn packed(self) -> u64 {
        u64::from(self.start) << 32 | u64::from(self.before) << 16 | u64::from(self.here)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each part is cut out")]
    const fn unpacked(number: u64) -> Self {
        Self { start: (number >> 32) as u32, before: (number >> 16) as u16, here: number as u16 }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How many of `wanted` may be tried at `now`.
    fn granted(budget: &RetryBudget, now: u64, wanted: usize, percent: u32) -> usize {
        let now = budget.born + Duration::from_millis(now);
        (0..wanted).filter(|_| budget.spend(now, percent)).count()
    }

    fn earn(budget: &RetryBudget, requests: usize) {
        (0..requests).for_each(|_| budget.earn());
    }

    #[test]
    fn a_busy_cluster_tries_its_share_again_and_no_more() {
        let budget = RetryBudget::default();
        earn(&budget, 2000);
        assert_eq!(granted(&budget, 5000, 1000, 20), 400);
        assert_eq!(granted(&budget, 9999, 1000, 20), 0, "time alone earns nothing within the span");
        earn(&budget, 500);
        assert_eq!(granted(&budget, 9999, 1000, 20), 100);
        earn(&budget, 10);
        assert_eq!(granted(&budget, 9999, 5000, 100), 2010, "the share is the caller's");
    }

    #[test]
    fn a_quiet_cluster_may_try_ten_a_second_again() {
        let budget = RetryBudget::default();
        earn(&budget, 1);
        assert_eq!(granted(&budget, 0, 1000, 20), 100);
        assert_eq!(granted(&budget, 15_000, 1000, 20), 0, "the last span is not over yet");
        assert_eq!(granted(&budget, 20_000, 1000, 20), 50);
        assert_eq!(granted(&budget, 60_000, 1000, 20), 100, "all of it is long ago");
    }

    #[test]
    fn requests_of_long_ago_are_no_credit() {
        let budget = RetryBudget::default();
        earn(&budget, 36_000);
        // 100 requests in a second for six minutes are 1000 in ten seconds.
        assert_eq!(granted(&budget, 360_000, 5000, 20), 200);
    }

    #[test]
    fn a_window_reads_back_and_bears_a_clock_that_wraps() {
        let window = Window { start: u32::MAX - 10, before: 7, here: u16::MAX };
        assert_eq!(Window::unpacked(window.packed()), window);
        assert_eq!((window.age(9), window.age(u32::MAX - 11)), (20, 0));
        assert_eq!(window.spent(9, Seen { requests: u64::MAX, earlier: u64::MAX }, 100), None, "it counts no further");
    }
}
