//! Lines on their way to standard error: buffered up to a bound, and written by one thread, the only one that a reader who
//! does not read can block. Beyond the bound lines are dropped and counted, and the count is written when there is room again.
//!
//! A write to a full pipe blocks (pipe(7)), and a container's log driver that stands still leaves the pipe full: when each
//! thread wrote its events itself, every worker came to stand in a write. Rejected: making the descriptor non-blocking, which
//! would do so for every process that shares it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::access::Form;
use super::timestamp::Stamp;
use crate::base::mutex::lock;
use crate::base::time::SystemClock;

/// Bytes that wait for the writer: some five thousand events.
const MAX_WAITING: usize = 1 << 20;
/// What a burst leaves allocated.
const KEPT_CAPACITY: usize = 16 << 10;
/// For the lines that are left at the end of the process.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two tries at a descriptor that somebody made non-blocking and that is full.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Takes lines in. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Lines(Arc<Shared>);

/// Owns the thread that writes. Dropping it writes what is left, for at most 2 s.
#[derive(Debug)]
pub struct LineWriter(Lines);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Something changed: lines came, lines are written, or the end.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    dropped: u64,
    /// How the count of dropped lines is written.
    form: Option<Form>,
    /// Whether the thread is writing what it took.
    writing: bool,
    closed: bool,
}

impl LineWriter {
    /// Starts the writing thread on `out`. Fails when the system gives no thread.
    pub fn start(out: impl io::Write + Send + 'static) -> io::Result<Self> {
        let lines = Lines(Arc::default());
        let shared = Arc::clone(&lines.0);
        thread::Builder::new().name("log".into()).spawn(move || run(&shared, out))?;
        Ok(Self(lines))
    }

    /// Where lines are handed in.
    pub const fn lines(&self) -> &Lines {
        &self.0
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.0.flush(FLUSH_TIMEOUT);
        let mut state = self.0.0.lock();
        state.closed = true;
        self.0.0.changed.notify_all();
    }
}

impl Lines {
    /// How dropped lines are told from now on; human until it is said.
    pub fn set_form(&self, form: Form) {
        self.0.lock().form = Some(form);
    }

    /// Hands whole lines in, each with its line feed; never waits for the writer.
    pub fn push(&self, lines: &[u8]) {
        let mut state = self.0.lock();
        if state.waiting.len() + lines.len() > MAX_WAITING {
            state.dropped += count(lines);
            return;
        }
        state.waiting.extend_from_slice(lines);
        drop(state);
        self.0.changed.notify_all();
    }

    /// A text of whole lines for a person, without the last line feed.
    pub fn print(&self, text: &str) {
        self.push(format!("{text}\n").as_bytes());
    }

    /// Waits until all that was handed in is written, for at most `limit`.
    pub fn flush(&self, limit: Duration) {
        let busy = |state: &mut State| state.writing || !state.waiting.is_empty() || state.dropped > 0;
        drop(self.0.changed.wait_timeout_while(self.0.lock(), limit, busy));
    }
}

/// One event is one call, as the formatting layer of `tracing_subscriber` writes.
impl io::Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    /// Nothing in here is left half done by a panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn run(shared: &Shared, mut out: impl io::Write) {
    loop {
        let Some((page, dropped, form)) = next(shared) else { return };
        // What cannot be written is told by the count alone, and only with a line that comes later: a descriptor that
        // refuses would refuse the count at once, too.
        let lost = write(&mut out, &page) + if dropped == 0 { 0 } else { report(&mut out, dropped, form) };
        let mut state = shared.lock();
        if lost > 0 {
            while state.waiting.is_empty() && !state.closed {
                state.writing = false;
                shared.changed.notify_all();
                state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.closed {
                return;
            }
            state.dropped += lost;
        }
        state.writing = false;
        drop(state);
        shared.changed.notify_all();
    }
}

/// Waits for what is to be written; `None` at the end.
fn next(shared: &Shared) -> Option<(Vec<u8>, u64, Form)> {
    let mut state = shared.lock();
    while state.waiting.is_empty() && state.dropped == 0 {
        if state.closed {
            return None;
        }
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    let page = std::mem::take(&mut state.waiting);
    state.waiting.reserve(page.len().min(KEPT_CAPACITY));
    state.writing = true;
    Some((page, std::mem::take(&mut state.dropped), state.form.unwrap_or(Form::Human)))
}

/// Writes how many lines were dropped; gives how many are lost if that fails.
fn report(out: &mut impl io::Write, dropped: u64, form: Form) -> u64 {
    let at = Stamp(SystemClock.millis());
    let words = "log lines were dropped because nothing read standard error";
    let line = match form {
        Form::Human => format!("{at}  WARN {dropped} {words}\n"),
        Form::Json => {
            format!(
                "{{\"timestamp\":\"{at}\",\"level\":\"WARN\",\"event\":\"log_dropped\",\"lost\":{dropped},\"message\":\"{words}\"}}\n"
            )
        }
    };
    if write(out, line.as_bytes()) == 0 { 0 } else { dropped }
}

/// Writes a page of whole lines, and gives how many of them could not be written. A descriptor that is non-blocking and full
/// is tried again for as long as it takes; the caller is a thread that may wait.
pub(super) fn write(out: &mut impl io::Write, mut page: &[u8]) -> u64 {
    while !page.is_empty() {
        match out.write(page) {
            Ok(0) => return count(page),
            Ok(written) => page = &page[written.min(page.len())..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::park_timeout(RETRY_INTERVAL),
            Err(_) => return count(page),
        }
    }
    // Standard output buffers lines; standard error does not.
    let flushed = loop {
        match out.flush() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::park_timeout(RETRY_INTERVAL),
            result => break result,
        }
    };
    u64::from(flushed.is_err())
}

/// How many lines, the last one with or without its line feed.
fn count(page: &[u8]) -> u64 {
    let feeds = page.iter().filter(|byte| **byte == b'\n').count() as u64;
    feeds + u64::from(!page.ends_with(b"\n"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Does with each page what it is sent: writes it, refuses it, or waits for ever where nothing is sent.
    struct Out {
        orders: Receiver<io::Result<()>>,
        written: Sender<String>,
    }

    impl io::Write for Out {
        fn write(&mut self, page: &[u8]) -> io::Result<usize> {
            self.orders.recv().unwrap_or(Ok(()))?;
            self.written.send(String::from_utf8_lossy(page).into_owned()).map_err(io::Error::other)?;
            Ok(page.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start() -> (LineWriter, Sender<io::Result<()>>, Receiver<String>) {
        let ((order, orders), (written, pages)) = (channel(), channel());
        (LineWriter::start(Out { orders, written }).unwrap(), order, pages)
    }

    const SOON: Duration = Duration::from_secs(60);

    #[test]
    fn lines_are_written_in_order_and_without_delay() {
        let (writer, order, pages) = start();
        for line in ["a", "b", "c"] {
            writer.lines().print(line);
            order.send(Ok(())).unwrap();
            assert_eq!(pages.recv_timeout(SOON).unwrap(), format!("{line}\n"));
        }
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines_and_blocks_no_caller() {
        let (writer, order, pages) = start();
        writer.lines().set_form(Form::Json);
        let line = "x".repeat(999);
        // The first page is in the writer's hands, one bound's worth waits, the rest is dropped.
        (0..5_000).for_each(|_| writer.lines().print(&line));
        drop(order);
        writer.lines().flush(SOON);
        drop(writer);
        let text: String = pages.iter().collect();
        let lost_in = |line: &str| line.split("\"lost\":").nth(1)?.split(',').next()?.parse::<usize>().ok();
        let (told, kept): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.contains("log_dropped"));
        let lost: usize = told.iter().filter_map(|line| lost_in(line)).sum();
        assert!(lost > 900, "{told:?}");
        assert_eq!(kept.len() + lost, 5_000);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_in_the_next_that_can() {
        let (writer, order, pages) = start();
        order.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        writer.lines().print("lost\nlost");
        writer.lines().flush(SOON);
        (0..2).for_each(|_| order.send(Ok(())).unwrap());
        writer.lines().print("kept");
        assert_eq!(pages.recv_timeout(SOON).unwrap(), "kept\n");
        assert!(pages.recv_timeout(SOON).unwrap().contains(" 2 log lines were dropped"));
    }

    #[test]
    fn a_full_descriptor_that_does_not_block_is_tried_again() {
        let (writer, order, pages) = start();
        (0..3).for_each(|_| order.send(Err(io::ErrorKind::WouldBlock.into())).unwrap());
        order.send(Ok(())).unwrap();
        writer.lines().print("kept");
        assert_eq!(pages.recv_timeout(SOON).unwrap(), "kept\n");
    }

    #[test]
    fn the_end_waits_for_a_bounded_time() {
        let (writer, _order, _pages) = start();
        writer.lines().print("never written");
        // Returns although the writer never does.
        drop(writer);
    }
}
