//! Watches over the loop that renews certificates, from a thread of its own: what holds that loop up may hold up the whole
//! control thread. A loop that stands still is an error in the log, an alarm, and the end of what systemd's watchdog hears.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::Builder;

use crate::base::time::{Clock, SystemClock, Timestamp};
use crate::certs::alert::{self, AlertKind, AlertMessage, send};
use crate::certs::manager::StallMemory;
use crate::config::settings::Alert;
use crate::telemetry::metrics::Metrics;

/// Between two looks.
const CHECK_INTERVAL: Duration = Duration::from_secs(15);
/// Looks in a row that must find it standing still. A machine that wakes from sleep finds it so once or twice, because
/// only the wall clock went on.
const MAX_MISSED: u32 = 4;
/// For everything that sending one alarm takes.
const SENDING: Duration = Duration::from_secs(300);

/// A watch that was begun.
pub struct Watchdog {
    well: Arc<AtomicBool>,
    end: Sender<()>,
}

/// What was seen so far.
#[derive(Clone, Copy, Debug, Default)]
struct Heartbeat {
    still: u32,
    alarmed: Option<Timestamp>,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It turns, or has not stood still for long.
    Well,
    /// It stands still; that was said.
    Still,
    /// It stands still, and that is to be said.
    AlertMessage,
    /// It turns again.
    Recovered,
}

impl Heartbeat {
    fn look(&mut self, stalled: bool, now: Timestamp) -> Verdict {
        if !stalled {
            let told = self.alarmed.is_some();
            *self = Self::default();
            return if told { Verdict::Recovered } else { Verdict::Well };
        }
        self.still = self.still.saturating_add(1);
        match self.still >= MAX_MISSED {
            false => Verdict::Well,
            true if alert::is_due(self.alarmed, now) => {
                self.alarmed = Some(now);
                Verdict::AlertMessage
            }
            true => Verdict::Still,
        }
    }
}

impl Watchdog {
    /// Begins to watch; alarms go to whom `alert` names at the time.
    pub fn begin(metrics: &Arc<Metrics>, alert: &Arc<ArcSwapOption<Alert>>, memory: StallMemory) -> io::Result<Self> {
        let well = Arc::new(AtomicBool::new(true));
        let (end, ended) = mpsc::channel();
        let (metrics, alert, shown) = (Arc::clone(metrics), Arc::clone(alert), Arc::clone(&well));
        let watch = move || {
            let mut seen = Heartbeat { alarmed: memory.raised(), ..Heartbeat::default() };
            while ended.recv_timeout(CHECK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let now = SystemClock.now();
                let verdict = seen.look(metrics.certs.is_stalled(now), now);
                shown.store(matches!(verdict, Verdict::Well | Verdict::Recovered), Ordering::Relaxed);
                tell(verdict, &metrics, &alert, now);
                if matches!(verdict, Verdict::AlertMessage | Verdict::Recovered) {
                    keep_apart(memory.clone(), seen.alarmed);
                }
            }
        };
        thread::Builder::new().name("vigil".to_owned()).spawn(watch)?;
        Ok(Self { well, end })
    }

    /// Whether all is well, for systemd's watchdog.
    pub fn well(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.well)
    }

    /// Ends the watch.
    pub fn end(self) {
        // A watch that panicked has said so.
        let _ended = self.end.send(());
    }
}

fn tell(verdict: Verdict, metrics: &Metrics, alert: &ArcSwapOption<Alert>, now: Timestamp) {
    const WHY: &str = "the loop that renews them has not turned for minutes; what is held is served, and a restart helps";
    match verdict {
        Verdict::Well | Verdict::Still => (),
        Verdict::Recovered => tracing::info!(event = "renewal_recovered", "certificates are renewed again"),
        Verdict::AlertMessage => {
            tracing::error!(event = "renewal_stalled", "no certificate is renewed: {WHY}; please report it");
            metrics.certs.alarms.add_one();
            if let Some(alert) = alert.load_full() {
                send_now(&alert, &AlertMessage::new(AlertKind::RenewalStalled, &[], None, WHY, now));
            }
        }
    }
}

/// Remembers on a thread of its own: the disk may be what the loop waits for, and systemd's watchdog waits for this one.
fn keep_apart(memory: StallMemory, raised: Option<Timestamp>) {
    let kept = thread::Builder::new().name("vigil-note".to_owned()).spawn(move || memory.keep(raised));
    if let Err(error) = kept {
        tracing::debug!(event = "journal_behind", %error, "the system gave no thread to note the alarm");
    }
}

/// Sends on a runtime of its own, since the others may be what stands still.
fn send_now(alert: &Alert, alarm: &AlertMessage) {
    run_apart(SENDING, send::send(alert, alarm));
}

/// Does not wait for what still blocks after `limit`, such as the start of a program whose disk hangs.
fn run_apart(limit: Duration, work: impl Future<Output = ()>) {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        tracing::error!(event = "alert_failed", "the system gave no means to send the alarm");
        return;
    };
    let _late = runtime.block_on(async { tokio::time::timeout(limit, work).await });
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::task;
    use crate::state::store::Store;

    fn check(looks: &[(bool, i64)], expected: &[Verdict]) {
        let mut seen = Heartbeat::default();
        let found: Vec<Verdict> =
            looks.iter().map(|(stalled, at)| seen.look(*stalled, Timestamp::from_unix(1_800_000_000 + at))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_loop_that_stands_still_is_told_of_once_a_day_until_it_turns() {
        use Verdict::{AlertMessage, Recovered, Still, Well};
        let looks = [(true, 0), (true, 15), (true, 30), (true, 45), (true, 60), (true, 86_445), (false, 86_460), (false, 86_475)];
        check(&looks, &[Well, Well, Well, AlertMessage, Still, AlertMessage, Recovered, Well]);
    }

    #[test]
    fn a_stall_that_was_told_of_before_a_restart_is_not_told_of_again_that_day() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::from_unix(1_800_000_000);
        let open = || Arc::new(Store::open(dir.path(), Duration::from_secs(5), now).unwrap().0);
        let store = open();
        let memory = StallMemory::new(&store);
        assert_eq!(memory.raised(), None);
        memory.keep(Some(now));
        drop(store);
        let store = open();
        let memory = StallMemory::new(&store);
        let mut seen = Heartbeat { alarmed: memory.raised(), ..Heartbeat::default() };
        let looks = [1, 2, 3, 4].map(|look| seen.look(true, now + CHECK_INTERVAL * look));
        assert_eq!(looks, [Verdict::Well, Verdict::Well, Verdict::Well, Verdict::Still]);
        assert_eq!(seen.look(false, now + CHECK_INTERVAL * 5), Verdict::Recovered);
        memory.keep(seen.alarmed);
        assert_eq!(memory.raised(), None);
    }

    #[test]
    fn what_still_blocks_when_its_time_is_over_does_not_hold_up_the_watch() {
        let (end, ended) = mpsc::channel::<()>();
        run_apart(Duration::from_millis(20), async {
            task::blocking("test", move || ended.recv().is_err()).await;
        });
        drop(end);
    }

    #[test]
    fn a_machine_that_woke_up_alarms_nobody() {
        check(&[(true, 0), (true, 15), (false, 30), (true, 45), (true, 60)], &[Verdict::Well; 5]);
    }

    #[test]
    fn a_stall_is_sent_though_no_runtime_turns() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let alert = Alert::Url(format!("http://{}/", listener.local_addr().unwrap()));
        let (metrics, target) = (Metrics::default(), ArcSwapOption::from_pointee(alert));
        thread::scope(|scope| {
            scope.spawn(|| tell(Verdict::AlertMessage, &metrics, &target, Timestamp::from_unix(1_800_000_000)));
            let (mut socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let (mut came, mut piece) = (String::new(), [0; 1_024]);
            while !came.ends_with('}') {
                let length = socket.read(&mut piece).unwrap();
                came.push_str(std::str::from_utf8(&piece[..length]).unwrap());
            }
            assert!(came.contains("\"renewal_stalled\""), "{came}");
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        });
        assert_eq!(metrics.certs.alarms.read(), 1);
    }
}
