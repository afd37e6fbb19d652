//! The system's name servers.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::DnsError;
use crate::base::regular_file;
use crate::base::task::BlockingSlot;

/// Where the system's name servers are written.
pub(super) const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The port of name servers.
pub(super) const PORT: u16 = 53;
/// As many search domains as the C library once took.
const MAX_DOMAINS: usize = 6;
/// As many as the C library takes (resolv.conf(5)).
const MAX_SERVERS: usize = 3;

/// For reading a small file, which may lie where nothing answers.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Larger files are none of name servers.
const MAX_SIZE: u64 = 64 << 10;

/// What the system's file of name servers says.
#[derive(Debug)]
pub struct SystemDns {
    file: PathBuf,
    text: String,
}

impl SystemDns {
    /// Reads it anew, on a thread that may block: at most one of them at a time for each `slot`. A file that is not there names
    /// nobody.
    pub async fn read(slot: &BlockingSlot) -> Result<Self, DnsError> {
        Self::read_file(slot, Path::new(RESOLV_CONF)).await
    }

    async fn read_file(slot: &BlockingSlot, file: &Path) -> Result<Self, DnsError> {
        let path = file.to_owned();
        let read = move || regular_file::read(&path, MAX_SIZE);
        let bytes = slot.run("resolv-conf-read", READ_TIMEOUT, read).await;
        let bytes = bytes.map_err(|_no_result| DnsError::Unanswered { file: file.to_owned(), after: READ_TIMEOUT })?;
        let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
        Ok(Self { file: file.to_owned(), text })
    }

    /// The servers it names; never empty.
    pub fn servers(&self) -> Result<Vec<SocketAddr>, DnsError> {
        let servers = named(&self.text);
        match servers.is_empty() {
            true => Err(DnsError::NoServers { file: self.file.clone() }),
            false => Ok(servers),
        }
    }

    /// The whole names that `name` may stand for on this machine, in the order in which they are asked for (resolv.conf(5)); never
    /// empty.
    pub fn spellings(&self, name: &str) -> Vec<String> {
        spelled(&self.text, name)
    }
}

fn named(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()).flatten()
    });
    // A link-local address with its interface behind `%` is left out: it needs a number only the system knows.
    lines.filter_map(|word| word.parse::<IpAddr>().ok()).map(|ip| SocketAddr::new(ip, PORT)).take(MAX_SERVERS).collect()
}

fn spelled(text: &str, name: &str) -> Vec<String> {
    let (mut domains, mut dots) = (Vec::new(), 1);
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("search" | "domain") => domains = words.take(MAX_DOMAINS).collect(),
            Some("options") => {
                dots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).next_back().unwrap_or(dots);
            }
            _ => (),
        }
    }
    let searched = domains.into_iter().map(|domain| format!("{name}.{}", domain.trim_matches('.')));
    let whole = std::iter::once(name.to_owned());
    if name.matches('.').count() >= dots { whole.chain(searched).collect() } else { searched.chain(whole).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_as_the_c_library_reads_them() {
        let text = "# nameserver 9.9.9.9\nsearch example\n nameserver\t192.0.2.1 \nnameserver 2001:db8::1 # near\nnameserver\n\
                    nameserver fe80::1%eth0\nnameserver x\noptions edns0\n";
        let expected: Vec<SocketAddr> = vec!["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
        assert_eq!(named(text), expected);
        assert_eq!(named(&"nameserver 192.0.2.1\n".repeat(9)).len(), MAX_SERVERS);
    }

    #[test]
    fn search_domains_come_first_for_names_with_few_dots() {
        let kubernetes = "search shop.svc.cluster.local svc.cluster.local cluster.local.\noptions ndots:5 edns0\n";
        let check = |text: &str, name: &str, expected: &[&str]| assert_eq!(spelled(text, name), expected, "{name} in {text:?}");
        check("", "app", &["app"]);
        check("options ndots:0\n", "app", &["app"]);
        check("domain a.example\nsearch b.example\n", "app", &["app.b.example", "app"]);
        check("search b.example\n", "app.internal", &["app.internal", "app.internal.b.example"]);
        check(
            kubernetes,
            "app.shop",
            &["app.shop.shop.svc.cluster.local", "app.shop.svc.cluster.local", "app.shop.cluster.local", "app.shop"],
        );
    }

    #[tokio::test]
    async fn a_machine_without_name_servers_is_told_what_to_write() {
        let none = SystemDns::read_file(&BlockingSlot::default(), Path::new("/nonexistent/resolv.conf")).await.unwrap();
        let error = none.servers().unwrap_err();
        assert_eq!(error.to_string(), "/nonexistent/resolv.conf names no name server; name some by `resolvers`");
    }

    #[tokio::test]
    async fn a_file_that_is_a_pipe_or_whose_disk_hangs_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("resolv.conf");
        #[expect(clippy::disallowed_methods, reason = "the standard library makes no named pipe")]
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let slot = BlockingSlot::default();
        assert!(matches!(SystemDns::read_file(&slot, &pipe).await.unwrap().servers(), Err(DnsError::NoServers { .. })));
        let (end, ended) = std::sync::mpsc::channel::<()>();
        assert!(slot.run("test", Duration::from_millis(20), move || ended.recv().is_err()).await.is_err());
        let error = SystemDns::read_file(&slot, &pipe).await.unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("was not read within 5 s; see whether its file system answers, or name name servers by `resolvers`"),
            "{error}"
        );
        drop(end);
    }
}
