//! Sheds load before memory runs out: while it is short, new connections are closed at once, and what is open goes on. What
//! counts is what the system would end us for: the limit of our control group, or the whole machine's memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::settings::MemoryLimit;
use crate::telemetry::metrics::Metrics;

/// Between two looks: a flood of handshakes takes seconds to fill what is left.
const EVERY: Duration = Duration::from_millis(500);
/// What the system says, in bytes. `None` where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reading {
    /// Of this process.
    own: Option<u64>,
    /// In use in the control group, without what the kernel would give back, and its limit.
    group: Option<(u64, u64)>,
    /// Still to be had on the machine, and all there is.
    machine: Option<(u64, u64)>,
}

/// Whether memory is short. What was short stays so until a little more is free, so that it does not flicker. Pure.
fn is_short(limit: MemoryLimit, reading: Reading, was: bool) -> bool {
    // Sixteenths of a limit: short from 15 of them on, and until it is below 14.
    let over = |used: u64, most: u64| used / 16 >= most / 256 * if was { 14 } else { 15 };
    match limit {
        MemoryLimit::Off => false,
        MemoryLimit::Bytes(most) => reading.own.is_some_and(|own| own >= if was { most.0 / 16 * 15 } else { most.0 }),
        MemoryLimit::Auto => {
            let group = reading.group.is_some_and(|(used, most)| over(used, most));
            group || reading.machine.is_some_and(|(free, all)| over(all.saturating_sub(free), all))
        }
    }
}

/// Looks for as long as it is polled, and keeps `memory_short` true to what it sees. `limit` tells the setting in force.
pub async fn watch(metrics: Arc<Metrics>, limit: impl Fn() -> Option<MemoryLimit>) {
    let group = group();
    let mut was = false;
    while let Some(limit) = limit() {
        let reading = read(limit, group.as_deref());
        let short = is_short(limit, reading, was);
        if short != was {
            metrics.proxy.memory_short.shift(u64::from(was), u64::from(short));
            tell(limit, reading, short, &metrics);
            was = short;
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn tell(limit: MemoryLimit, reading: Reading, short: bool, metrics: &Metrics) {
    let own = reading.own.unwrap_or(0);
    if short {
        let (connections, tunnels) = (metrics.proxy.connections.read(), metrics.proxy.tunnels.read());
        tracing::error!(
            event = "memory_short",
            own,
            connections,
            tunnels,
            limit = %limit,
            "memory is short: new connections are closed until there is more; what is open goes on. `limit memory` is the setting"
        );
    } else {
        tracing::warn!(event = "memory_enough", own, "there is memory again: new connections are taken");
    }
}

fn read(limit: MemoryLimit, group: Option<&Path>) -> Reading {
    let text = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    match limit {
        MemoryLimit::Off => Reading::default(),
        MemoryLimit::Bytes(_) => {
            Reading { own: kilobytes(&text(Path::new("/proc/self/status")), "VmRSS:"), ..Reading::default() }
        }
        MemoryLimit::Auto => Reading {
            own: kilobytes(&text(Path::new("/proc/self/status")), "VmRSS:"),
            group: group.and_then(|group| {
                let most = text(&group.join("memory.max")).trim().parse().ok()?;
                let used: u64 = text(&group.join("memory.current")).trim().parse().ok()?;
                let stat = text(&group.join("memory.stat"));
                let of = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0_u64);
                // Pages of files are given back when they are needed, those of memory's own file systems are not.
                let given_back = of("file ").saturating_sub(of("shmem "));
                Some((used.saturating_sub(given_back), most))
            }),
            machine: {
                let memory = text(Path::new("/proc/meminfo"));
                kilobytes(&memory, "MemAvailable:").zip(kilobytes(&memory, "MemTotal:"))
            },
        },
    }
}

/// The folder of our control group (version 2), where it has a limit.
fn group() -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folder = Path::new("/sys/fs/cgroup").join(path);
    folder.join("memory.max").exists().then_some(folder)
}

/// A line of the kernel's tables, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::size::ByteSize;

    const GIB: u64 = 1 << 30;

    #[test]
    fn memory_is_short_near_the_limit_of_who_would_end_us() {
        let check = |limit, reading, was, expected| assert_eq!(is_short(limit, reading, was), expected, "{reading:?} {was}");
        let group = |used: u64| Reading { group: Some((used, 16 * GIB)), ..Reading::default() };
        check(MemoryLimit::Auto, group(14 * GIB), false, false);
        check(MemoryLimit::Auto, group(15 * GIB), false, true);
        check(MemoryLimit::Auto, group(14 * GIB), true, true);
        check(MemoryLimit::Auto, group(13 * GIB), true, false);
        check(MemoryLimit::Off, group(16 * GIB), true, false);
        let machine = |free: u64| Reading { machine: Some((free, 16 * GIB)), ..Reading::default() };
        check(MemoryLimit::Auto, machine(2 * GIB), false, false);
        check(MemoryLimit::Auto, machine(GIB), false, true);
        check(MemoryLimit::Auto, Reading::default(), true, false);
        let own = |own: u64| Reading { own: Some(own), ..Reading::default() };
        let bytes = MemoryLimit::Bytes(ByteSize(GIB));
        check(bytes, own(GIB - 1), false, false);
        check(bytes, own(GIB), false, true);
        check(bytes, own(GIB - 1), true, true);
        check(bytes, own(GIB / 16 * 15 - 1), true, false);
    }

    #[test]
    fn the_kernels_tables_are_read() {
        assert_eq!(kilobytes("VmPeak:\t 9 kB\nVmRSS:\t    1024 kB\n", "VmRSS:"), Some(1 << 20));
        assert_eq!(kilobytes("", "VmRSS:"), None);
        let reading = read(MemoryLimit::Auto, None);
        assert!(reading.own.is_some_and(|own| own > 0) && reading.machine.is_some_and(|(free, all)| free <= all));
    }
}
