//! From the workers to the log's file without making anybody wait: each worker formats into a lane of its own, and one
//! thread empties all lanes. Under load that thread wakes by itself fifty times a second, so a request costs no system
//! call; when nothing was written for one round it sleeps until the next record wakes it.
//!
//! Rejected: a channel of lines, which costs an allocation and, on an idle writer, a wake-up for each request.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::AccessRecord;
use super::line::{self, Form};
use super::redact::Redactor;
use crate::base::mutex::lock;
use crate::base::time::SystemClock;
use crate::telemetry::lines;
use crate::telemetry::timestamp::Stamp;

/// What one worker may have waiting; beyond it lines are dropped and counted. A second of hard load.
const LANE_LIMIT: usize = 4 << 20;
/// What a lane keeps of its memory once a burst is over.
const LANE_KEEP: usize = 64 << 10;
/// Between two rounds of a busy writer: short for a reader's eye, long for a processor.
const ROUND: Duration = Duration::from_millis(20);
/// How long the end waits for a log's reader that does not read.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The lines of one worker that wait for the writer; locked for the length of one line, or of one swap.
type Lane = Arc<Mutex<Vec<u8>>>;

/// Where requests are logged. Each worker holds a clone, which is a lane of its own.
#[derive(Debug)]
pub struct AccessLog {
    lane: Lane,
    shared: Arc<Shared>,
}

/// What all lanes have in common.
#[derive(Debug)]
struct Shared {
    rules: ArcSwap<Rules>,
    /// Every lane that is in use or not yet empty; the lock is held to add one or to list them, never while writing.
    lanes: Mutex<Vec<Lane>>,
    dropped: AtomicU64,
    /// Whether the writer will look again without being woken.
    awake: AtomicBool,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

/// What may change while the gateway runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether requests are logged at all.
    pub enabled: bool,
    /// How lines look.
    pub form: Form,
    /// Whose values are hidden.
    pub hide: Redactor,
}

/// The thread that writes, owned by whoever started it. Dropping it writes what is left, within a bound.
#[derive(Debug)]
pub struct AccessWriter {
    shared: Arc<Shared>,
    done: Receiver<()>,
}

impl AccessLog {
    /// Starts the writing thread on `out`. Fails when the system gives no thread.
    pub fn start(rules: Rules, out: impl io::Write + Send + 'static) -> io::Result<(Self, AccessWriter)> {
        let shared = Arc::new(Shared::new(rules));
        let (at_end, done) = sync_channel(1);
        let writer = Arc::clone(&shared);
        let thread = thread::Builder::new().name("access-log".into()).spawn(move || {
            run(&writer, out);
            // Nobody listens any more when the owner gave up on a reader that does not read.
            let _ = at_end.send(());
        })?;
        shared.thread.set(thread.thread().clone()).expect("the thread is set once");
        Ok((Self { lane: shared.new_lane(), shared: Arc::clone(&shared) }, AccessWriter { shared, done }))
    }

    /// A log that is never enabled and needs no thread.
    pub fn off() -> Self {
        let rules = Rules { enabled: false, form: Form::Json, hide: Redactor::new([]) };
        let shared = Arc::new(Shared::new(rules));
        Self { lane: shared.new_lane(), shared }
    }

    /// Whether records are wanted; when not, nobody needs to gather one.
    pub fn enabled(&self) -> bool {
        self.shared.rules.load().enabled
    }

    /// Logs one finished exchange, or counts it as dropped when the log's reader is too slow. Never waits for it.
    pub fn write(&self, record: &AccessRecord<'_>) {
        let rules = self.shared.rules.load();
        if !rules.enabled {
            return;
        }
        let mut lane = lock(&self.lane);
        if lane.len() >= LANE_LIMIT {
            drop(lane);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        line::push(rules.form, Stamp(SystemClock.millis()), record, &rules.hide, &mut lane);
        drop(lane);
        self.shared.wake();
    }

    /// Lines dropped so far and not yet reported in the log itself.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Clone for AccessLog {
    /// A lane of its own on the same log.
    fn clone(&self) -> Self {
        Self { lane: self.shared.new_lane(), shared: Arc::clone(&self.shared) }
    }
}

impl AccessWriter {
    /// New rules for every record from now on.
    pub fn change(&self, rules: Rules) {
        self.shared.rules.store(Arc::new(rules));
    }
}

impl Drop for AccessWriter {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.unpark();
        let _ = self.done.recv_timeout(LAST_WORDS);
    }
}

impl Shared {
    fn new(rules: Rules) -> Self {
        Self {
            rules: ArcSwap::from_pointee(rules),
            lanes: Mutex::default(),
            dropped: AtomicU64::new(0),
            awake: AtomicBool::new(true),
            stop: AtomicBool::new(false),
            thread: OnceLock::new(),
        }
    }

    fn new_lane(&self) -> Lane {
        let lane = Lane::default();
        lock(&self.lanes).push(Arc::clone(&lane));
        lane
    }

    fn wake(&self) {
        // Only who finds the writer asleep pays for waking it.
        if !self.awake.load(Ordering::SeqCst) && !self.awake.swap(true, Ordering::SeqCst) {
            self.unpark();
        }
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Moves what waits in every lane to `page`, and forgets the lanes of clones that are gone and empty.
    fn gather(&self, page: &mut Vec<u8>) {
        let lanes = lock(&self.lanes).clone();
        for lane in &lanes {
            let mut lane = lock(lane);
            page.append(&mut lane);
            if lane.capacity() > LANE_KEEP {
                lane.shrink_to(LANE_KEEP);
            }
        }
        drop(lanes);
        lock(&self.lanes).retain(|lane| Arc::strong_count(lane) > 1 || !lock(lane).is_empty());
    }

    /// Whether all of a page is written; what is not is counted.
    fn write(&self, out: &mut impl io::Write, page: &[u8]) -> bool {
        let lost = lines::write(out, page);
        self.dropped.fetch_add(lost, Ordering::Relaxed);
        lost == 0
    }

    /// Writes how many lines are not in the log; false when that could not be written either.
    fn report_dropped(&self, out: &mut impl io::Write) -> bool {
        let lost = self.dropped.swap(0, Ordering::Relaxed);
        if lost == 0 {
            return true;
        }
        let (at, form) = (Stamp(SystemClock.millis()), self.rules.load().form);
        let words = "requests were not logged because the reader of this log is too slow";
        let line = match form {
            Form::Human => format!("{at}  {lost} {words}\n"),
            Form::Json => {
                format!(
                    "{{\"timestamp\":\"{at}\",\"level\":\"WARN\",\"event\":\"access_dropped\",\"lost\":{lost},\"message\":\"{words}\"}}\n"
                )
            }
        };
        let written = lines::write(out, line.as_bytes()) == 0;
        if !written {
            self.dropped.fetch_add(lost, Ordering::Relaxed);
        }
        written
    }
}

/// The writing thread's life.
fn run(shared: &Shared, mut out: impl io::Write) {
    let mut page = Vec::new();
    // Whether the last page could not be written; the count of what was lost waits then for the next one that can.
    let mut refused = false;
    loop {
        let last = shared.stop.load(Ordering::SeqCst);
        shared.gather(&mut page);
        if page.is_empty() && (refused || shared.dropped.load(Ordering::Relaxed) == 0) {
            if last {
                return;
            }
            sleep_until_woken(shared);
            continue;
        }
        refused = !shared.write(&mut out, &page) || !shared.report_dropped(&mut out);
        page.clear();
        page.shrink_to(LANE_KEEP);
        if !last {
            thread::park_timeout(ROUND);
        }
    }
}

/// Says that it sleeps, looks once more for what came in between, and sleeps.
fn sleep_until_woken(shared: &Shared) {
    shared.awake.store(false, Ordering::SeqCst);
    let waiting = lock(&shared.lanes).iter().any(|lane| !lock(lane).is_empty());
    while !waiting && !shared.awake.load(Ordering::SeqCst) && !shared.stop.load(Ordering::SeqCst) {
        thread::park();
    }
    shared.awake.store(true, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Takes pages, one for each permission.
    struct Page {
        permissions: Receiver<()>,
        written: Sender<String>,
    }

    impl io::Write for Page {
        fn write(&mut self, page: &[u8]) -> io::Result<usize> {
            let _ = self.permissions.recv();
            self.written.send(String::from_utf8_lossy(page).into_owned()).map_err(io::Error::other)?;
            Ok(page.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn record(id: &str) -> AccessRecord<'_> {
        AccessRecord {
            id,
            client: Ipv4Addr::LOCALHOST.into(),
            method: "GET",
            scheme: "https",
            host: "localhost",
            target: "/",
            version: "HTTP/1.1",
            status: 200,
            bytes_in: 0,
            bytes_out: 0,
            duration: Duration::ZERO,
            upstream: None,
            connect: None,
            first_byte: None,
            by: "backend",
            reason: "",
            close_code: None,
            referer: None,
            user_agent: None,
        }
    }

    fn rules() -> Rules {
        Rules { enabled: true, form: Form::Json, hide: Redactor::new([]) }
    }

    fn start() -> (AccessLog, AccessWriter, Sender<()>, Receiver<String>) {
        let ((permit, permissions), (written, pages)) = (channel(), channel());
        let (log, writer) = AccessLog::start(rules(), Page { permissions, written }).unwrap();
        (log, writer, permit, pages)
    }

    #[test]
    fn every_lane_reaches_the_page_and_the_end_loses_nothing() {
        let (log, writer, permit, pages) = start();
        drop(permit);
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let log = log.clone();
                thread::spawn(move || (0..500).for_each(|n| log.write(&record(&format!("{worker}-{n}")))))
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        drop(writer);
        let text: String = pages.iter().collect();
        assert_eq!(text.lines().count(), 2_000);
        assert!(text.contains(r#""id":"3-499""#));
    }

    #[test]
    fn an_idle_writer_wakes_for_the_next_record() {
        let (log, _writer, permit, pages) = start();
        for id in ["a", "b", "c"] {
            while log.shared.awake.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            log.write(&record(id));
            permit.send(()).unwrap();
            assert!(pages.recv_timeout(Duration::from_secs(60)).unwrap().contains(id));
        }
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines_and_never_time() {
        let (log, writer, permit, pages) = start();
        let long = "x".repeat(200);
        let sent = 100_000;
        (0..sent).for_each(|_| log.write(&record(&long)));
        let lost = log.dropped();
        assert!(lost > 0);
        drop(permit);
        drop(writer);
        let text: String = pages.iter().collect();
        assert!(text.contains(&format!(r#""event":"access_dropped","lost":{lost}"#)), "{lost} lost");
        assert_eq!(text.lines().count() as u64, sent - lost + 1);
    }

    /// A disk that is full refuses, and takes lines again later.
    #[test]
    fn lines_that_cannot_be_written_are_counted_in_the_next_that_can() {
        struct Full(Arc<AtomicBool>, Sender<String>);
        impl io::Write for Full {
            fn write(&mut self, page: &[u8]) -> io::Result<usize> {
                let full = self.0.load(Ordering::SeqCst);
                let page = if full { "refused".to_owned() } else { String::from_utf8_lossy(page).into_owned() };
                let length = page.len();
                self.1.send(page).map_err(io::Error::other)?;
                if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(length) }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (full, (written, pages)) = (Arc::new(AtomicBool::new(true)), channel());
        let (log, writer) = AccessLog::start(rules(), Full(Arc::clone(&full), written)).unwrap();
        log.write(&record("lost"));
        assert_eq!(pages.recv_timeout(Duration::from_secs(60)).unwrap(), "refused");
        full.store(false, Ordering::SeqCst);
        log.write(&record("kept"));
        drop(writer);
        let text: String = pages.iter().collect();
        assert!(text.contains(r#""id":"kept""#) && text.contains(r#""event":"access_dropped","lost":1,"#), "{text}");
    }

    #[test]
    fn rules_change_while_it_runs() {
        let (log, writer, permit, pages) = start();
        drop(permit);
        writer.change(Rules { enabled: false, ..rules() });
        assert!(!log.enabled() && !AccessLog::off().enabled());
        log.write(&record("unseen"));
        writer.change(Rules { form: Form::Human, ..rules() });
        log.write(&record("seen"));
        drop(writer);
        let text: String = pages.iter().collect();
        assert!(text.contains("https://localhost/ 200") && text.lines().count() == 1, "{text}");
    }
}
