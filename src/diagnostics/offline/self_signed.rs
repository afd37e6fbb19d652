//! A self-signed certificate with the names of this machine, as two files.

use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::hostinfo;
use crate::base::name::{HostName, HostNameError, Identifier};
use crate::base::time::Timestamp;
use crate::certs::issuer::local_ca::LocalCaError;
use crate::certs::issuer::self_signed;
use crate::state::atomic_file::{self, FileError};

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its names.
    pub names: Vec<String>,
    /// The certificate, readable by everybody.
    pub cert: PathBuf,
    /// Its key, readable by its owner.
    pub key: PathBuf,
}

/// Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum SelfSignedError {
    /// A name is none.
    #[error("`{text}` cannot stand in a certificate")]
    Name {
        /// As given.
        text: String,
        /// Why.
        #[source]
        source: HostNameError,
    },
    /// A file is there.
    #[error("{} is there already; say `--force` to replace it, or name another folder by `--out`", .0.display())]
    Exists(PathBuf),
    /// It could not be made.
    #[error(transparent)]
    Make(#[from] LocalCaError),
    /// It could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Writes `cert.pem` and `key.pem` for this machine's own names and `more` into `folder`.
pub fn write(more: &[String], folder: &Path, life: Duration, force: bool, now: Timestamp) -> Result<Written, SelfSignedError> {
    let given =
        more.iter().map(|text| Identifier::parse(text).map_err(|source| SelfSignedError::Name { text: text.clone(), source }));
    let names = all_names(given.collect::<Result<_, _>>()?, hostinfo::name(), hostinfo::addresses());
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    if let Some(there) = [&cert, &key].into_iter().find(|path| path.exists() && !force) {
        return Err(SelfSignedError::Exists(there.clone()));
    }
    let (pem, key_pem) = self_signed::make(&names, life, now)?;
    atomic_file::write(&key, key_pem.expose().as_bytes())?;
    atomic_file::write(&cert, pem.as_bytes())?;
    // It is for everybody to see.
    fs::set_permissions(&cert, Permissions::from_mode(0o644)).map_err(FileError::of("open", &cert))?;
    Ok(Written { names: names.iter().map(ToString::to_string).collect(), cert, key })
}

/// Those that were asked for first, each once.
fn all_names(given: Vec<Identifier>, host: Option<HostName>, addresses: impl IntoIterator<Item = IpAddr>) -> Vec<Identifier> {
    let fixed = ["localhost", "127.0.0.1", "::1"].into_iter().filter_map(|name| Identifier::parse(name).ok());
    let host = host.filter(|host| host.as_str() != "localhost");
    let in_the_lan = host.as_ref().filter(|host| !host.as_str().contains('.'));
    let in_the_lan = in_the_lan.and_then(|host| HostName::parse(&format!("{host}.local")).ok());
    let loopback = |address: &IpAddr| *address == Ipv4Addr::LOCALHOST || *address == Ipv6Addr::LOCALHOST;
    let addresses = addresses.into_iter().filter(|address| !loopback(address)).map(Identifier::Ip);
    let mut names: Vec<Identifier> = Vec::new();
    for name in given.into_iter().chain(fixed).chain(host.into_iter().chain(in_the_lan).map(Identifier::Dns)).chain(addresses) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machines_names_and_addresses_are_in_it_once_each() {
        let names = |given: &[&str], host: &str| {
            let given = given.iter().map(|name| Identifier::parse(name).unwrap()).collect();
            let lan = ["192.168.1.7".parse().unwrap(), "127.0.0.1".parse().unwrap(), "fd00::7".parse().unwrap()];
            let names = all_names(given, HostName::parse(host).ok(), lan);
            names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&["app.test"], "box"), "app.test localhost 127.0.0.1 ::1 box box.local 192.168.1.7 fd00::7");
        assert_eq!(names(&["localhost"], "box.example.com"), "localhost 127.0.0.1 ::1 box.example.com 192.168.1.7 fd00::7");
        assert_eq!(names(&[], "localhost"), "localhost 127.0.0.1 ::1 192.168.1.7 fd00::7");
    }

    #[test]
    fn files_that_are_there_are_replaced_only_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::from_unix(1_795_219_200);
        let write = |names: &[&str], force| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            write(&names, &dir.path().join("out"), Duration::from_secs(86_400), force, now)
        };
        let written = write(&["app.test"], false).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&written.cert), mode(&written.key)), (0o644, 0o600));
        assert!(matches!(write(&[], false).unwrap_err(), SelfSignedError::Exists(path) if path == written.cert));
        let before = fs::read(&written.key).unwrap();
        write(&[], true).unwrap();
        assert_ne!(fs::read(&written.key).unwrap(), before);
        assert!(matches!(write(&["not a name"], true).unwrap_err(), SelfSignedError::Name { .. }));
    }
}
