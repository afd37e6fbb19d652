//! What the system says to us, and what we say to systemd.
//!
//! TERM and INT stop gracefully, a second one at once; HUP reloads. Told to systemd: ready, reloading, stopping, a line
//! of status, and that the control loop is alive.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// Tells systemd, when it listens (`sd_notify(3)`); elsewhere this does nothing.
pub fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(event = "notify_failed", error = %error, "systemd could not be told our state");
    }
}

/// Tells systemd that a reload begins; it wants to know when, to match it with the ready that follows.
pub fn tell_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(event = "notify_failed", error = %error, "no monotonic time for systemd"),
    }
}

/// Keeps systemd's watchdog (`WatchdogSec=`) from barking, for as long as the control thread turns and all is `well`.
pub async fn keep_watchdog(well: Arc<AtomicBool>) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let pace = (limit / 2).max(Duration::from_millis(100));
    loop {
        if well.load(Ordering::Relaxed) {
            tell(&[NotifyState::Watchdog]);
        }
        tokio::time::sleep(pace).await;
    }
}
