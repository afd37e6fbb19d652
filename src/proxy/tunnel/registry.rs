//! A worker's open tunnels, so that each can be prebuilt to leave: those whose route or backend a reload has taken away, and
//! all of them when the gateway ends. They leave one after the other, in an order of chance, so that the clients do not
//! all come back at the same moment.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::base::task;

/// Between two tunnels that leave: a hundred a second come back to whoever serves them next.
const PACE: Duration = Duration::from_millis(10);

/// What a tunnel is prebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Say goodbye, and end.
    Leave,
    /// The same, but the process is about to end.
    LeaveNow,
}

/// A worker's tunnels, each with what `T` knows of it.
#[derive(Debug)]
pub struct TunnelRegistry<T> {
    entries: RefCell<Vec<Rc<Entry<T>>>>,
    /// Whether each tunnel to come is prebuilt at once.
    over: Cell<bool>,
    caller: RefCell<Option<JoinHandle<Option<()>>>>,
}

#[derive(Debug)]
struct Entry<T> {
    at: Cell<usize>,
    tunnel: T,
    order: Cell<Option<Order>>,
    /// When it is to leave, once that is settled.
    due: Cell<Option<Instant>>,
    waker: RefCell<Option<Waker>>,
}

/// One tunnel's place in the [`TunnelRegistry`]; leaves it on drop.
#[derive(Debug)]
pub struct Endpoint<T> {
    roll: Rc<TunnelRegistry<T>>,
    entry: Rc<Entry<T>>,
}

impl<T> Default for TunnelRegistry<T> {
    fn default() -> Self {
        Self { entries: RefCell::default(), over: Cell::new(false), caller: RefCell::default() }
    }
}

impl<T: 'static> TunnelRegistry<T> {
    /// Enters a tunnel that stands from now on.
    pub fn enter(self: &Rc<Self>, tunnel: T) -> Endpoint<T> {
        let mut entries = self.entries.borrow_mut();
        let entry = Rc::new(Entry {
            at: Cell::new(entries.len()),
            tunnel,
            order: Cell::new(self.over.get().then_some(Order::LeaveNow)),
            due: Cell::new(None),
            waker: RefCell::new(None),
        });
        entries.push(Rc::clone(&entry));
        Endpoint { roll: Rc::clone(self), entry }
    }

    /// Has those leave that `must`, over `span` at the most, and lets the others stay, whatever they were prebuilt to do later.
    /// Gives how many leave. `roll` is 64 random bits each time.
    pub fn call(self: &Rc<Self>, span: Duration, must: impl Fn(&T) -> bool, mut roll: impl FnMut() -> u64) -> usize {
        let leaving: Vec<Rc<Entry<T>>> = self.entries.borrow().iter().filter(|entry| entry.leaves(&must)).cloned().collect();
        let span = span.min(PACE * u32::try_from(leaving.len()).unwrap_or(u32::MAX));
        let now = Instant::now();
        let mut list: Vec<(Instant, Weak<Entry<T>>)> = Vec::with_capacity(leaving.len());
        for entry in &leaving {
            let due = entry.due.get().unwrap_or_else(|| now + part(span, roll()));
            entry.due.set(Some(due));
            list.push((due, Rc::downgrade(entry)));
        }
        list.sort_by_key(|(due, _)| *due);
        let calling = (!list.is_empty()).then(|| task::spawn_local("tunnels that leave", call_all(list)));
        if let Some(before) = std::mem::replace(&mut *self.caller.borrow_mut(), calling) {
            before.abort();
        }
        leaving.len()
    }

    /// Has all of them leave now, and each one to come.
    pub fn end(&self) {
        self.over.set(true);
        self.entries.borrow().iter().for_each(|entry| entry.tell(Order::LeaveNow));
    }

    /// Whether [`Self::end`] was called.
    pub fn is_over(&self) -> bool {
        self.over.get()
    }
}

impl<T> Drop for TunnelRegistry<T> {
    fn drop(&mut self) {
        if let Some(caller) = self.caller.get_mut() {
            caller.abort();
        }
    }
}

/// Of `span`, as much as the rng say.
fn part(span: Duration, roll: u64) -> Duration {
    span.mul_f64((roll >> 11) as f64 / (1_u64 << 53) as f64)
}

async fn call_all<T>(list: Vec<(Instant, Weak<Entry<T>>)>) {
    for (due, entry) in list {
        sleep_until(due).await;
        if let Some(entry) = entry.upgrade() {
            entry.tell(Order::Leave);
        }
    }
}

impl<T> Entry<T> {
    fn leaves(&self, must: impl Fn(&T) -> bool) -> bool {
        let leaves = must(&self.tunnel);
        if !leaves {
            self.due.set(None);
        }
        leaves
    }

    fn tell(&self, order: Order) {
        self.order.set(self.order.get().max(Some(order)));
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}

impl<T> Endpoint<T> {
    /// Waits until it is prebuilt to leave.
    pub fn prebuilt(&self) -> impl Future<Output = Order> {
        PrebuiltHeaders(&self.entry)
    }
}

struct PrebuiltHeaders<'a, T>(&'a Entry<T>);

impl<T> Future for PrebuiltHeaders<'_, T> {
    type Output = Order;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Order> {
        if let Some(order) = self.0.order.get() {
            return Poll::Ready(order);
        }
        let mut waker = self.0.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl<T> Drop for Endpoint<T> {
    fn drop(&mut self) {
        let mut entries = self.roll.entries.borrow_mut();
        let at = self.entry.at.get();
        let gone = entries.swap_remove(at);
        if let Some(moved) = entries.get(at) {
            moved.at.set(at);
        }
        drop(entries);
        // What it knows may hold the last of much; not while the list is borrowed.
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a test on a worker's kind of runtime, whose clock is wound by waiting.
    fn run(test: impl Future<Output = ()>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build_local(Default::default()).unwrap();
        runtime.block_on(test);
    }

    /// Even numbers leave: after how many milliseconds each did.
    async fn leave(count: u64, span: Duration) -> Vec<u128> {
        let roll = Rc::new(TunnelRegistry::default());
        let members: Vec<Endpoint<u64>> = (0..count).map(|number| roll.enter(number)).collect();
        let mut rng = crate::base::rng::Rng::seeded(1);
        assert_eq!(roll.call(span, |number| number % 2 == 0, || rng.roll()) as u64, count.div_ceil(2));
        let (start, mut seen) = (Instant::now(), Vec::new());
        for member in members.iter().step_by(2) {
            assert_eq!(member.prebuilt().await, Order::Leave);
            seen.push(start.elapsed().as_millis());
        }
        for member in members.iter().skip(1).step_by(2) {
            let prebuilt = tokio::time::timeout(span * 2, member.prebuilt()).await;
            assert!(prebuilt.is_err(), "{} was told to leave", member.entry.tunnel);
        }
        seen
    }

    #[test]
    fn a_hundred_leave_in_a_second_and_all_within_the_span() {
        run(async {
            assert!(*leave(1, Duration::from_secs(30)).await.iter().max().unwrap() <= 10);
            let few = leave(200, Duration::from_secs(30)).await;
            let last = *few.iter().max().unwrap();
            assert!((800..=1000).contains(&last), "{last} ms");
            let many = leave(20_000, Duration::from_secs(3)).await;
            let last = *many.iter().max().unwrap();
            assert!((2900..=3001).contains(&last), "{last} ms");
        });
    }

    #[test]
    fn who_is_wanted_again_in_time_stays() {
        run(async {
            let roll = Rc::new(TunnelRegistry::default());
            let members: Vec<Endpoint<u8>> = (0..100).map(|number| roll.enter(number)).collect();
            assert_eq!(roll.call(Duration::from_secs(9), |_| true, || u64::MAX), 100);
            assert_eq!(roll.call(Duration::from_secs(9), |number| *number == 7, || 0), 1);
            assert_eq!(members[7].prebuilt().await, Order::Leave);
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert!(members.iter().filter(|member| member.entry.order.get().is_some()).count() == 1);
        });
    }

    #[test]
    fn at_the_end_all_leave_and_so_does_who_comes_later() {
        run(async {
            let roll = Rc::new(TunnelRegistry::default());
            let (first, second, third) = (roll.enter(1), roll.enter(2), roll.enter(3));
            drop(first);
            roll.end();
            for member in [second, third, roll.enter(4)] {
                assert_eq!(member.prebuilt().await, Order::LeaveNow);
            }
            assert!(roll.entries.borrow().is_empty());
        });
    }
}
