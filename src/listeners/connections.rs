//! A worker's live connections: who is idle, slow or stuck is found once a second by a sweep over all of them, and each
//! can be asked to finish. A sweep costs less than a timer for each request would.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::config::settings::Timeouts;
use crate::proxy::client_io::{Activity, Seen, Ticks};

/// What a connection is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Finish what is open, take nothing new (HTTP/2: GOAWAY).
    Finish,
    /// Close now.
    Close,
}

/// All connections of one worker.
#[derive(Default)]
pub struct ConnectionRegistry {
    ticks: Arc<Ticks>,
    entries: RefCell<Vec<Rc<Entry>>>,
}

/// One connection's place in [`ConnectionRegistry`]; leaves it on drop.
pub struct ConnectionGuard {
    conns: Rc<ConnectionRegistry>,
    entry: Rc<Entry>,
}

struct Entry {
    at: Cell<usize>,
    activity: Arc<Activity>,
    order: Cell<Option<CloseReason>>,
    waker: RefCell<Option<Waker>>,
}

impl ConnectionRegistry {
    /// Enters a connection that was accepted now.
    pub fn enter(self: &Rc<Self>) -> ConnectionGuard {
        let mut entries = self.entries.borrow_mut();
        let entry = Rc::new(Entry {
            at: Cell::new(entries.len()),
            activity: Activity::new(Arc::clone(&self.ticks)),
            order: Cell::new(None),
            waker: RefCell::new(None),
        });
        entries.push(Rc::clone(&entry));
        ConnectionGuard { conns: Rc::clone(self), entry }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks every connection to finish or close.
    pub fn order_all(&self, order: CloseReason) {
        for entry in self.entries.borrow().iter() {
            entry.give(order);
        }
    }

    /// Moves the clock on and asks those over a limit to leave.
    pub fn sweep(&self, seconds: u32, timeouts: &Timeouts) {
        self.ticks.advance(seconds);
        let now = self.ticks.now();
        for entry in self.entries.borrow().iter() {
            if let Some(order) = verdict(entry.activity.seen(), timeouts, now) {
                entry.give(order);
            }
        }
    }
}

impl Entry {
    fn give(&self, order: CloseReason) {
        self.order.set(Some(order));
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}

impl ConnectionGuard {
    /// What the connection's stream notes its doings in.
    pub fn activity(&self) -> &Arc<Activity> {
        &self.entry.activity
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut entries = self.conns.entries.borrow_mut();
        let at = self.entry.at.get();
        entries.swap_remove(at);
        if let Some(moved) = entries.get(at) {
            moved.at.set(at);
        }
    }
}

/// Who must leave. A client that takes nothing off us, or sends its header in drops, is cut; a silent one is bid farewell.
fn verdict(seen: Seen, timeouts: &Timeouts, now: u32) -> Option<CloseReason> {
    let over = |since: u32, limit: Duration| since != 0 && u64::from(now.saturating_sub(since)) > limit.as_secs();
    if over(seen.blocked_since, timeouts.send) || over(seen.stuck_since, timeouts.send) {
        return Some(CloseReason::Close);
    }
    if seen.open > 0 {
        return None;
    }
    if over(seen.header_since, timeouts.header) {
        return Some(CloseReason::Close);
    }
    // Bytes that HTTP/2 still holds for windows that stay shut keep a farewell waiting for ever.
    if over(seen.quiet_since, timeouts.idle.saturating_add(timeouts.send)) {
        return Some(CloseReason::Close);
    }
    over(seen.quiet_since, timeouts.idle).then_some(CloseReason::Finish)
}

/// A protocol's connection that can be asked to finish.
pub trait Finish: Future {
    /// Finishes what is open and takes nothing new.
    fn finish(self: Pin<&mut Self>);
}

/// Drives `connection` to its end, obeying what its [`ConnectionGuard`] is asked to do. `None` when it was closed by order.
pub struct Driven<C> {
    connection: Pin<Box<C>>,
    member: ConnectionGuard,
}

impl<C: Finish> Driven<C> {
    /// Takes the connection and its place.
    pub fn new(connection: C, member: ConnectionGuard) -> Self {
        Self { connection: Box::pin(connection), member }
    }
}

impl<C: Finish> Future for Driven<C> {
    type Output = Option<C::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.member.entry.order.take() {
            Some(CloseReason::Close) => return Poll::Ready(None),
            Some(CloseReason::Finish) => self.connection.as_mut().finish(),
            None => (),
        }
        let poll = self.connection.as_mut().poll(cx).map(Some);
        let mut kept = self.member.entry.waker.borrow_mut();
        if poll.is_pending() && !kept.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *kept = Some(cx.waker().clone());
        }
        drop(kept);
        poll
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        handshake: Duration::from_secs(10),
        header: Duration::from_secs(60),
        body: Duration::from_secs(60),
        send: Duration::from_secs(60),
        idle: Duration::from_secs(300),
    };

    fn check(seen: Seen, now: u32, expected: Option<CloseReason>) {
        assert_eq!(verdict(seen, &TIMEOUTS, now), expected, "{seen:?} at {now}");
    }

    #[test]
    fn only_those_over_a_limit_must_leave() {
        let quiet = Seen { open: 0, quiet_since: 1, header_since: 0, blocked_since: 0, stuck_since: 0 };
        check(quiet, 301, None);
        check(quiet, 302, Some(CloseReason::Finish));
        check(Seen { header_since: 10, ..quiet }, 70, None);
        check(Seen { header_since: 10, ..quiet }, 71, Some(CloseReason::Close));
        check(quiet, 361, Some(CloseReason::Finish));
        check(quiet, 362, Some(CloseReason::Close));
        check(Seen { open: 1, ..quiet }, 100_000, None);
        check(Seen { open: 1, stuck_since: 40, ..quiet }, 100, None);
        check(Seen { open: 1, stuck_since: 40, ..quiet }, 101, Some(CloseReason::Close));
        check(Seen { open: 1, blocked_since: 40, ..quiet }, 101, Some(CloseReason::Close));
    }

    #[test]
    fn members_leave_in_any_order() {
        let conns = Rc::new(ConnectionRegistry::default());
        let (a, b, c) = (conns.enter(), conns.enter(), conns.enter());
        drop(a);
        drop(c);
        assert_eq!(conns.len(), 1);
        drop(b);
        assert!(conns.is_empty());
    }

    struct Forever(Rc<Cell<bool>>);

    impl Future for Forever {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if self.0.get() { Poll::Ready(()) } else { Poll::Pending }
        }
    }

    impl Finish for Forever {
        fn finish(self: Pin<&mut Self>) {
            self.0.set(true);
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_order_wakes_the_connection() {
        let conns = Rc::new(ConnectionRegistry::default());
        for (order, expected) in [(CloseReason::Finish, Some(())), (CloseReason::Close, None)] {
            let driven = Driven::new(Forever(Rc::default()), conns.enter());
            let (outcome, ()) = tokio::join!(driven, async { conns.order_all(order) });
            assert_eq!(outcome, expected);
        }
    }
}
