//! Who holds a port, as far as /proc tells. Reads only; finds nothing on systems without /proc.

use std::fmt;
use std::fs;
use std::path::Path;

/// The program behind a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortOwner {
    /// A process whose open files we may read.
    Process {
        /// Its process id.
        pid: u32,
        /// Its short name.
        name: String,
    },
    /// A process of another user, or none that could be found.
    Hidden,
}

impl fmt::Display for PortOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, name } => write!(f, "process {pid} ({name})"),
            Self::Hidden => f.write_str("another user's process (`sudo ss -ltunp` names it)"),
        }
    }
}

/// Finds the process that listens on TCP `port`.
pub fn of_port(port: u16) -> PortOwner {
    const LISTEN: &str = "0A";
    find(["/proc/net/tcp", "/proc/net/tcp6"], LISTEN, port)
}

/// Finds the process that receives on UDP `port`.
pub fn of_udp_port(port: u16) -> PortOwner {
    const UNCONNECTED: &str = "07";
    find(["/proc/net/udp", "/proc/net/udp6"], UNCONNECTED, port)
}

fn find(tables: [&str; 2], state: &str, port: u16) -> PortOwner {
    let tables = tables.map(|path| fs::read_to_string(path).unwrap_or_default());
    let inodes: Vec<String> =
        tables.iter().flat_map(|table| inodes_of(table, state, port)).map(|i| format!("socket:[{i}]")).collect();
    if inodes.is_empty() {
        return PortOwner::Hidden;
    }
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if holds_any(&process.path(), &inodes) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            // A process chooses its own name.
            return PortOwner::Process { pid, name: name.trim().escape_default().to_string() };
        }
    }
    PortOwner::Hidden
}

/// Inodes of the sockets in `state` on `port` in the text of /proc/net/tcp and its like (`proc(5)`).
fn inodes_of<'a>(table: &'a str, state: &str, port: u16) -> Vec<&'a str> {
    let ends = format!(":{port:04X}");
    let inode = |line| {
        let mut words = str::split_ascii_whitespace(line);
        let local = words.nth(1)?;
        let seen = words.nth(1)?;
        (local.ends_with(&ends) && seen == state).then(|| words.nth(5))?
    };
    table.lines().skip(1).filter_map(inode).collect()
}

fn holds_any(process: &Path, sockets: &[String]) -> bool {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|link| sockets.iter().any(|s| link.as_os_str() == s.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_told_from_connected_ones() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0\n   \
             1: 0100007F:01BB 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 20 4 30 10 -1\n";
        assert_eq!(inodes_of(table, "0A", 443), ["4242"]);
        assert_eq!(inodes_of(table, "0A", 80), Vec::<&str>::new());
    }
}
