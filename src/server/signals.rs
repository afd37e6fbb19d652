//! What the system says to us, and what we say to systemd.
//!
//! TERM and INT stop gracefully, a second one at once; HUP reloads. Told to systemd: ready, reloading, stopping, a line
//! of status, and that the control loop is alive.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Finish what is open, then end.
    Stop,
    /// Read the configuration again.
    Reload,
}

/// The signals we answer to.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on these signals no longer end the process by themselves.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

/// Messages that systemd has not taken yet; those beyond are dropped. It reads its socket at once, unless it hangs itself.
const MAX_WAITING: usize = 64;

/// Sends the state of the service to systemd, where it listens (`sd_notify(3)`), from a thread of its own: a manager that does
/// not read its socket blocks who writes to it. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Notifier(SyncSender<String>);

impl Notifier {
    /// Starts the thread; it ends with the last clone.
    pub fn start() -> io::Result<Self> {
        Self::sending(|message| {
            if let Err(error) = sd_notify::notify(&[NotifyState::Custom(message)]) {
                tracing::warn!(event = "notify_failed", error = %error, "systemd could not be told our state");
            }
        })
    }

    fn sending(send: impl Fn(&str) + Send + 'static) -> io::Result<Self> {
        let (sender, messages) = sync_channel::<String>(MAX_WAITING);
        thread::Builder::new().name("notify".to_owned()).spawn(move || messages.iter().for_each(|message| send(&message)))?;
        Ok(Self(sender))
    }

    /// Sends these in one message. Does not block.
    pub fn send(&self, states: &[NotifyState<'_>]) {
        let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
        if self.0.try_send(lines.join("\n")).is_err() {
            tracing::debug!(event = "notify_failed", "systemd does not read what it is sent");
        }
    }

    /// Sends that a reload begins; systemd wants to know when, to match it with the ready that follows.
    pub fn send_reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(event = "notify_failed", error = %error, "no monotonic time for systemd"),
        }
    }

    /// Keeps systemd's watchdog (`WatchdogSec=`) from barking, for as long as the control thread turns and all is `well`.
    pub async fn keep_watchdog(self, well: Arc<AtomicBool>) {
        let Some(limit) = sd_notify::watchdog_enabled() else { return };
        let pace = (limit / 2).max(Duration::from_millis(100));
        loop {
            if well.load(Ordering::Relaxed) {
                self.send(&[NotifyState::Watchdog]);
            }
            tokio::time::sleep(pace).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_system_manager_that_reads_nothing_holds_up_nobody() {
        let (end, ended) = channel::<()>();
        let (seen, all) = channel();
        let ended = Mutex::new(ended);
        let notifier = Notifier::sending(move |message| {
            let _ended = ended.lock().unwrap().recv();
            seen.send(message.to_owned()).unwrap();
        })
        .unwrap();
        notifier.send(&[NotifyState::Ready, NotifyState::Status("serving 1 site")]);
        (0..10 * MAX_WAITING).for_each(|_| notifier.send(&[NotifyState::Watchdog]));
        drop((end, notifier));
        let all: Vec<String> = all.iter().collect();
        assert_eq!(all[0], "READY=1\nSTATUS=serving 1 site");
        assert!(all.len() <= MAX_WAITING + 2 && all[1] == "WATCHDOG=1", "{}", all.len());
    }
}
