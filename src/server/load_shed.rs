//! Sheds load before memory runs out: while it is short, new connections are closed at once, and what is open goes on. What
//! counts is what is left for us before the system would end us: below the limits of our control groups, and on the machine.
//!
//! Bytes that are left, and not a share: of 256 GiB a sixteenth is more than a gateway ever needs, and memory that others
//! hold (huge pages, the cache of ZFS) is no reason to turn clients away while gigabytes are available.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::settings::MemoryLimit;
use crate::telemetry::metrics::Metrics;

/// Between two looks: a flood of handshakes takes seconds to fill what is left. The kernel's own tables are read, which does
/// not wait for a disk.
const EVERY: Duration = Duration::from_millis(500);
/// Memory is short when less than this is left, or less than a sixteenth where all there is is small.
const MIN_LEFT: u64 = 256 << 20;
const MIN_SHARE: u64 = 16;
/// From this on the kernel writes "no limit" in version 1 of control groups.
const NO_LIMIT: u64 = 1 << 60;

/// What the system says, in bytes. `None` where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reading {
    /// Of this process.
    own: Option<u64>,
    /// The control group with the least left.
    group: Option<Room>,
    /// The whole machine.
    machine: Option<Room>,
}

/// What is left of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    left: u64,
    all: u64,
}

/// How far memory is beyond its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Excess {
    /// Bytes; negative where there is enough.
    bytes: i64,
    /// A shortage ends this many bytes below the bound, so that it does not flicker.
    margin: i64,
}

impl Room {
    /// Beyond the bound when little is left; a shortage ends when twice as much is left.
    fn excess(self) -> Excess {
        let least = (self.all / MIN_SHARE).min(MIN_LEFT);
        Excess { bytes: signed(least) - signed(self.left), margin: signed(least) }
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX / 2)
}

/// Whether new connections are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shedding {
    /// There is enough memory.
    Off,
    /// Memory is short since this many connections were open.
    Short { connections: u64 },
    /// Connections were closed, and new ones are given the memory that they held. The process has it still: the allocator
    /// returns freed memory to the system when a thread allocates next, and a thread without connections does not.
    Reusing { excess: [Option<Excess>; 2] },
}

impl Shedding {
    /// What follows from `reading` while `connections` are open. Pure.
    fn next(self, limit: MemoryLimit, reading: Reading, connections: u64) -> Self {
        let excess = match limit {
            MemoryLimit::Off => [None, None],
            MemoryLimit::Bytes(most) => {
                let margin = signed(most.0 / MIN_SHARE);
                [reading.own.map(|own| Excess { bytes: signed(own) - signed(most.0), margin }), None]
            }
            MemoryLimit::Auto => [reading.group, reading.machine].map(|room| room.map(Room::excess)),
        };
        let all = || excess.iter().flatten();
        match self {
            Self::Off | Self::Reusing { .. } if all().all(|excess| excess.bytes < -excess.margin) => Self::Off,
            Self::Off if all().all(|excess| excess.bytes < 0) => Self::Off,
            Self::Off => Self::Short { connections },
            Self::Short { .. } if all().all(|excess| excess.bytes < -excess.margin) => Self::Off,
            Self::Short { connections: then } if then > 0 && connections <= then / 2 => Self::Reusing { excess },
            Self::Short { connections } => Self::Short { connections },
            // Memory that is used again does not add to what the system counts; an eighth of the margin is other use.
            Self::Reusing { excess: then } => {
                let grows = |(now, then): (&Option<Excess>, &Option<Excess>)| {
                    now.is_some_and(|now| now.bytes >= then.map_or(0, |then| then.bytes + then.margin / 8).max(0))
                };
                if excess.iter().zip(&then).any(grows) { Self::Short { connections } } else { self }
            }
        }
    }

    const fn is_short(self) -> bool {
        matches!(self, Self::Short { .. })
    }
}

/// Looks for as long as it is polled, and keeps `memory_short` true to what it sees. `limit` tells the setting in force.
pub async fn watch(metrics: Arc<Metrics>, limit: impl Fn() -> Option<MemoryLimit>) {
    let groups = groups();
    let (mut shedding, mut is_warned) = (Shedding::Off, false);
    while let Some(limit) = limit() {
        let reading = read(limit, &groups);
        if !is_warned && unseen(limit, reading) {
            is_warned = true;
            tracing::warn!(
                event = "memory_unseen",
                limit = %limit,
                "how much memory is left cannot be read from /proc and /sys/fs/cgroup, so `limit memory` has no effect; \
                 ProcSubset=pid in a systemd unit hides it"
            );
        }
        let next = shedding.next(limit, reading, metrics.proxy.connections.read());
        let (was, short) = (shedding.is_short(), next.is_short());
        shedding = next;
        if short != was {
            metrics.proxy.memory_short.shift(u64::from(was), u64::from(short));
            log_change(limit, reading, short, &metrics);
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Whether the limit cannot be kept, because the system shows nothing to keep it by.
const fn unseen(limit: MemoryLimit, reading: Reading) -> bool {
    match limit {
        MemoryLimit::Off => false,
        MemoryLimit::Bytes(_) => reading.own.is_none(),
        MemoryLimit::Auto => reading.group.is_none() && reading.machine.is_none(),
    }
}

fn log_change(limit: MemoryLimit, reading: Reading, short: bool, metrics: &Metrics) {
    let own = reading.own.unwrap_or(0);
    if short {
        let left = [reading.group, reading.machine].iter().flatten().map(|room| room.left).min();
        let (connections, tunnels) = (metrics.proxy.connections.read(), metrics.proxy.tunnels.read());
        tracing::error!(
            event = "memory_short",
            own,
            left,
            connections,
            tunnels,
            limit = %limit,
            "memory is short: new connections are closed until there is more; what is open goes on. `limit memory` is the setting"
        );
    } else {
        tracing::warn!(event = "memory_enough", own, "there is memory again: new connections are taken");
    }
}

fn read(limit: MemoryLimit, groups: &[Group]) -> Reading {
    let own = || kilobytes(&text(Path::new("/proc/self/status")), "VmRSS:");
    match limit {
        MemoryLimit::Off => Reading::default(),
        MemoryLimit::Bytes(_) => Reading { own: own(), ..Reading::default() },
        MemoryLimit::Auto => Reading {
            own: own(),
            group: groups.iter().filter_map(Group::room).min_by_key(|room| room.left),
            machine: machine(&text(Path::new("/proc/meminfo"))),
        },
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn machine(table: &str) -> Option<Room> {
    Some(Room { left: kilobytes(table, "MemAvailable:")?, all: kilobytes(table, "MemTotal:")? })
}

/// The files in which a control group has its limit, its use, and what the use is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    limit: PathBuf,
    used: PathBuf,
    parts: PathBuf,
    /// What the kernel gives back when it is needed: pages of files, without those of memory's own file systems.
    files: &'static str,
    memory_files: &'static str,
}

impl Group {
    /// Version 2: cgroup-v2.rst, "Memory Interface Files".
    fn unified(folder: &Path) -> Self {
        let [limit, used, parts] = ["memory.max", "memory.current", "memory.stat"].map(|name| folder.join(name));
        Self { limit, used, parts, files: "file ", memory_files: "shmem " }
    }

    /// Version 1: cgroup-v1/memory.rst.
    fn of_memory(folder: &Path) -> Self {
        let [limit, used, parts] =
            ["memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"].map(|name| folder.join(name));
        Self { limit, used, parts, files: "total_cache ", memory_files: "total_shmem " }
    }

    /// `None` where it has no limit.
    fn room(&self) -> Option<Room> {
        let all: u64 = text(&self.limit).trim().parse().ok().filter(|all| *all < NO_LIMIT)?;
        let used: u64 = text(&self.used).trim().parse().ok()?;
        let parts = text(&self.parts);
        let of = |name: &str| parts.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0_u64);
        let given_back = of(self.files).saturating_sub(of(self.memory_files));
        Some(Room { left: all.saturating_sub(used.saturating_sub(given_back)), all })
    }
}

/// Our control groups: the one we are in, and those around it, whose limits count as well.
fn groups() -> Vec<Group> {
    let exists = |group: &Group| group.used.exists();
    groups_of(&text(Path::new("/proc/self/cgroup")), Path::new("/sys/fs/cgroup")).into_iter().filter(exists).collect()
}

/// Of the lines `0::/a/b` (version 2) and `4:memory:/a/b` (version 1). A container may see its own group as the root of the
/// mount while the line has the path on the host; the root is always among them.
fn groups_of(lines: &str, mount: &Path) -> Vec<Group> {
    let mut groups = Vec::new();
    for line in lines.lines() {
        let mut words = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (words.next(), words.next(), words.next()) else { continue };
        let (root, group): (PathBuf, fn(&Path) -> Group) = match controllers {
            "" => (mount.to_owned(), Group::unified),
            some if some.split(',').any(|name| name == "memory") => (mount.join("memory"), Group::of_memory),
            _ => continue,
        };
        let inner = root.join(path.trim_start_matches('/'));
        groups.extend(inner.ancestors().take_while(|folder| folder.starts_with(&root)).map(group));
    }
    groups
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
    fn memory_is_short_when_little_is_left_before_the_system_would_end_us() {
        let is_short = |limit, reading, was| {
            let state = if was { Shedding::Short { connections: 8 } } else { Shedding::Off };
            state.next(limit, reading, 8).is_short()
        };
        let check = |limit, reading, was, expected| assert_eq!(is_short(limit, reading, was), expected, "{reading:?} {was}");
        let group: fn(u64, u64) -> Reading = |left, all| Reading { group: Some(Room { left, all }), ..Reading::default() };
        let machine: fn(u64, u64) -> Reading = |left, all| Reading { machine: Some(Room { left, all }), ..Reading::default() };
        for of in [group, machine] {
            check(MemoryLimit::Auto, of(GIB, 16 * GIB), false, false);
            check(MemoryLimit::Auto, of(GIB / 4, 16 * GIB), false, true);
            check(MemoryLimit::Auto, of(GIB / 2, 16 * GIB), true, true);
            check(MemoryLimit::Auto, of(GIB / 2 + 1, 16 * GIB), true, false);
            // Little of a large machine is much.
            check(MemoryLimit::Auto, of(31 * GIB / 2, 256 * GIB), false, false);
            // A small one is not short of memory from the start.
            check(MemoryLimit::Auto, of(GIB / 16, GIB / 4), false, false);
            check(MemoryLimit::Auto, of(GIB / 64, GIB / 4), false, true);
            check(MemoryLimit::Off, of(0, 16 * GIB), true, false);
        }
        check(MemoryLimit::Auto, Reading::default(), true, false);
        let bytes = MemoryLimit::Bytes(ByteSize(GIB));
        check(bytes, own(GIB - 1), false, false);
        check(bytes, own(GIB), false, true);
        check(bytes, own(GIB - 1), true, true);
        check(bytes, own(GIB / 16 * 15 - 1), true, false);
    }

    fn own(own: u64) -> Reading {
        Reading { own: Some(own), ..Reading::default() }
    }

    #[test]
    fn the_memory_of_closed_connections_is_given_to_new_ones() {
        let bytes = MemoryLimit::Bytes(ByteSize(GIB));
        let next = |state: Shedding, own_bytes, connections| state.next(bytes, own(own_bytes), connections);
        let short = next(Shedding::Off, GIB + 100, 1_000);
        assert_eq!(short, Shedding::Short { connections: 1_000 });
        assert_eq!(next(short, GIB + 100, 501), short, "most of them are open");
        let reusing = next(short, GIB + 100, 500);
        assert!(!reusing.is_short());
        assert_eq!(next(reusing, GIB + 100, 900), reusing, "the process does not grow");
        assert_eq!(next(reusing, GIB + 100 + GIB / 128, 900), Shedding::Short { connections: 900 }, "it grows");
        assert_eq!(next(reusing, GIB / 2, 900), Shedding::Off);
        // No connection holds what others use.
        assert!(next(Shedding::Short { connections: 0 }, GIB, 0).is_short());
    }

    #[test]
    fn what_cannot_be_seen_is_known() {
        let room = Some(Room { left: 1, all: 2 });
        assert!(unseen(MemoryLimit::Auto, Reading { own: Some(1), ..Reading::default() }));
        assert!(!unseen(MemoryLimit::Auto, Reading { machine: room, ..Reading::default() }));
        assert!(!unseen(MemoryLimit::Auto, Reading { group: room, ..Reading::default() }));
        assert!(unseen(MemoryLimit::Bytes(ByteSize(GIB)), Reading { machine: room, ..Reading::default() }));
        assert!(!unseen(MemoryLimit::Off, Reading::default()));
    }

    #[test]
    fn the_kernels_tables_are_read() {
        assert_eq!(kilobytes("VmPeak:\t 9 kB\nVmRSS:\t    1024 kB\n", "VmRSS:"), Some(1 << 20));
        assert_eq!(kilobytes("", "VmRSS:"), None);
        let reading = read(MemoryLimit::Auto, &[]);
        assert!(reading.own.is_some_and(|own| own > 0) && reading.machine.is_some_and(|room| room.left <= room.all));
        assert_eq!(machine("MemTotal: 8 kB\nMemAvailable: 4 kB\n"), Some(Room { left: 4096, all: 8192 }));
        assert_eq!(machine("MemTotal: 8 kB\n"), None);
    }

    #[test]
    fn the_limit_of_every_group_around_us_counts_in_both_versions() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("pod/memory.max", "1000\n");
        write("pod/memory.current", "900\n");
        write("pod/memory.stat", "anon 1\nfile 300\nshmem 100\n");
        write("pod/web/memory.max", "max\n");
        write("pod/web/memory.current", "800\n");
        write("memory/job/memory.limit_in_bytes", "2000\n");
        write("memory/job/memory.usage_in_bytes", "1500\n");
        write("memory/job/memory.stat", "cache 9\ntotal_cache 200\ntotal_shmem 0\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/memory.usage_in_bytes", "1\n");
        let rooms = |lines: &str| -> Vec<Room> { groups_of(lines, folder.path()).iter().filter_map(Group::room).collect() };
        assert_eq!(rooms("0::/pod/web\n"), [Room { left: 300, all: 1000 }]);
        assert_eq!(rooms("12:cpu:/x\n4:memory:/job\n1:name=systemd:/y\n"), [Room { left: 700, all: 2000 }]);
        assert_eq!(rooms("0::/\n\nnonsense\n"), []);
    }
}
