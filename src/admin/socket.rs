//! The admin socket's serving half. Only the gateway's own user and root may open it, whatever the umask; each
//! conversation is one line in and one line out, bounded in size, number and time.

use std::cell::Cell;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::api::{self, Answer, Operator, Reply, Request};
use crate::base::error_chain::ErrorChain;
use crate::base::task;
use crate::telemetry::log::events;

/// No question of ours is longer than a name and a few words.
const MAX_REQUEST: u64 = 4 << 10;
/// Conversations at a time; operators are few.
const MAX_CONNECTIONS: u32 = 16;
/// For the question to come, and for the answer to be taken.
const PEER_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two failed accepts, so that a machine out of descriptors is not kept busy.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// The bound socket. Its file goes away with it, unless another gateway has put its own there meanwhile.
#[derive(Debug)]
pub struct AdminSocket {
    listener: StdListener,
    path: PathBuf,
    /// Device and inode of our file.
    identity: (u64, u64),
    /// Our user, who besides root may ask.
    owner: u32,
}

/// Why the admin socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindAdminError {
    /// Somebody answers there.
    #[error(
        "another doorward runs with the admin socket {}; stop it, or give this one a `state` folder or an `admin` socket of its own",
        path.display()
    )]
    Live {
        /// Where.
        path: PathBuf,
    },
    /// Something that is no socket stands there.
    #[error("{} is not a socket, so it is left alone; remove it, or choose another place with `admin unix/PATH`", path.display())]
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// The system refused.
    #[error("the admin socket {} cannot be made; choose another place with `admin unix/PATH`, or `admin off`", path.display())]
    System {
        /// Where.
        path: PathBuf,
        /// Its reason.
        #[source]
        source: io::Error,
    },
}

impl AdminSocket {
    /// Binds `path`, in the place of a socket left behind by a process that is gone. Blocks for a few system calls.
    pub fn bind(path: &Path) -> Result<Self, BindAdminError> {
        refuse_if_taken(path)?;
        bind_private(path).map_err(|source| BindAdminError::System { path: path.to_owned(), source })
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answers for as long as it is polled; to be run on the control runtime. Fails only at its start.
    pub async fn serve<O: Operator>(self, operator: Rc<O>) -> io::Result<()> {
        let listener = UnixListener::from_std(self.listener.try_clone()?)?;
        let open = Rc::new(Cell::new(0_u32));
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(event = events::ADMIN_FAILED, error = %error, "the admin socket cannot accept");
                    tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
                    continue;
                }
            };
            let Some(seat) = Seat::take(&open) else { continue };
            let (operator, owner) = (Rc::clone(&operator), self.owner);
            task::spawn_local("admin conversation", async move {
                let _seat = seat;
                if let Err(error) = converse(stream, owner, operator.as_ref()).await {
                    tracing::warn!(event = events::ADMIN_FAILED, error = %ErrorChain(&error), "a conversation on the admin socket failed");
                }
            });
        }
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == self.identity) {
            // When it cannot be removed, the next start finds it dead and replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// One of the conversations that may go on at a time.
struct Seat(Rc<Cell<u32>>);

impl Seat {
    fn take(open: &Rc<Cell<u32>>) -> Option<Self> {
        (open.get() < MAX_CONNECTIONS).then(|| {
            open.set(open.get() + 1);
            Self(Rc::clone(open))
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn refuse_if_taken(path: &Path) -> Result<(), BindAdminError> {
    use std::os::unix::fs::FileTypeExt;
    match fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => Err(BindAdminError::NotASocket { path: path.to_owned() }),
        Ok(_) if StdStream::connect(path).is_ok() => Err(BindAdminError::Live { path: path.to_owned() }),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Binds inside a folder only we can enter, closes the socket's mode, and only then moves it to its place: at no moment
/// can anybody else open it, and a dead socket is replaced in one step.
fn bind_private(path: &Path) -> io::Result<AdminSocket> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let cradle = folder.join(format!(".admin.{}", std::process::id()));
    let _ = fs::remove_dir_all(&cradle);
    DirBuilder::new().mode(0o700).create(&cradle)?;
    let bound = bind_in(&cradle.join("s"), path);
    let _ = fs::remove_dir_all(&cradle);
    bound
}

fn bind_in(birthplace: &Path, path: &Path) -> io::Result<AdminSocket> {
    let listener = StdListener::bind(birthplace)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(birthplace, Permissions::from_mode(0o600))?;
    let file = fs::symlink_metadata(birthplace)?;
    fs::rename(birthplace, path)?;
    Ok(AdminSocket { listener, path: path.to_owned(), identity: (file.dev(), file.ino()), owner: file.uid() })
}

/// One question and its answer.
async fn converse<O: Operator>(mut stream: UnixStream, owner: u32, operator: &O) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    if peer.uid() != owner && peer.uid() != 0 {
        tracing::warn!(event = events::ADMIN_FAILED, uid = peer.uid(), "a user who may not ask was turned away");
        return Ok(());
    }
    let Some(question) = read_question(&mut stream).await? else { return Ok(()) };
    let reply = match api::parse_ask(&question) {
        Ok(request) => {
            audit(&request, peer);
            api::perform(operator, request).await
        }
        Err(refusal) => Reply::Refused(refusal),
    };
    let refused = match &reply {
        Reply::Refused(refusal) => Some(refusal.words.as_str()),
        Reply::Reloaded(_)
        | Reply::Status(_)
        | Reply::Certs(_)
        | Reply::Drained(_)
        | Reply::Beacon(_)
        | Reply::Renewing { .. }
        | Reply::Maintenance { .. }
        | Reply::Revoked(_)
        | Reply::Tested(_)
        | Reply::Accounts(_)
        | Reply::Account(_)
        | Reply::Bans(_)
        | Reply::Unbanned { .. } => None,
    };
    if let Some(words) = refused {
        tracing::warn!(
            event = events::ADMIN_REQUEST,
            uid = peer.uid(),
            pid = peer.pid(),
            refused = words,
            "an operator's wish was refused"
        );
    }
    let line = api::line(&Answer { version: api::VERSION, reply });
    timeout(PEER_TIMEOUT, stream.write_all(&line)).await.map_err(io::Error::from)?
}

/// The line without its end; `None` when the peer only looked whether anybody is there.
async fn read_question(stream: &mut UnixStream) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut bounded = stream.take(MAX_REQUEST);
    let reading = async {
        while !line.contains(&b'\n') {
            if bounded.read_buf(&mut line).await? == 0 {
                break;
            }
        }
        Ok::<_, io::Error>(())
    };
    timeout(PEER_TIMEOUT, reading).await.map_err(io::Error::from)??;
    Ok((!line.is_empty()).then_some(line))
}

/// Who asked for what; looking changes nothing and is not worth a line at the usual level.
fn audit(request: &Request, peer: tokio::net::unix::UCred) {
    let (uid, pid, asked) = (peer.uid(), peer.pid(), request.as_str());
    match request {
        Request::Reload { allow_empty } => {
            tracing::info!(event = events::ADMIN_REQUEST, uid, pid, asked, allow_empty, "an operator asks for a reload");
        }
        Request::RenewCert { name, .. } => {
            tracing::info!(event = events::ADMIN_REQUEST, uid, pid, asked, name, "an operator asks for a renewal");
        }
        Request::Maintenance { site, seconds } => {
            let (site, on) = (site.as_deref().unwrap_or("every site"), seconds.is_some());
            tracing::info!(event = events::ADMIN_REQUEST, uid, pid, asked, site, on, "an operator asks for maintenance");
        }
        Request::RevokeCert { name, reason } => {
            tracing::warn!(event = events::ADMIN_REQUEST, uid, pid, asked, name, reason, "an operator has a certificate revoked");
        }
        Request::TestCert { name, .. } => {
            tracing::info!(event = events::ADMIN_REQUEST, uid, pid, asked, name, "an operator tries an order");
        }
        Request::Account { issuer, .. } => {
            tracing::warn!(event = events::ADMIN_REQUEST, uid, pid, asked, issuer, "an operator changes an account");
        }
        Request::Drain { target } | Request::Undrain { target } => {
            tracing::info!(event = events::ADMIN_REQUEST, uid, pid, asked, target, "an operator takes a backend out, or back");
        }
        Request::Unban { client } => {
            let client = client.map_or_else(|| "everybody".to_owned(), |client| client.to_string());
            tracing::info!(event = events::ADMIN_REQUEST, uid, pid, asked, client, "an operator lets in who was shut out");
        }
        Request::Status | Request::Certs | Request::Beacon | Request::Accounts | Request::Bans => {
            tracing::debug!(event = events::ADMIN_REQUEST, uid, pid, asked, "an operator looks");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::super::api::{AccountDone, AccountRequest, AccountsReport, BansReport, CertsReport, DrainReport, Refusal};
    use super::super::api::{ReloadReport, RevokeReport, StatusReport, TestReport};
    use super::super::client::{self, AskError};
    use super::*;
    use crate::certs::preflight::self_test::SelfTest;

    struct Fake;

    impl Operator for Fake {
        async fn reload(&self, _allow_empty: bool) -> Result<ReloadReport, Refusal> {
            Err(Refusal::config("line 3: no such word"))
        }
        async fn status(&self) -> StatusReport {
            StatusReport { sites: 7, ..StatusReport::default() }
        }
        async fn certs(&self) -> CertsReport {
            CertsReport::default()
        }
        async fn drain(&self, target: &str, drained: bool) -> Result<DrainReport, Refusal> {
            Ok(DrainReport { target: target.to_owned(), drained, ..DrainReport::default() })
        }
        async fn beacon(&self) -> Result<SelfTest, Refusal> {
            Ok(SelfTest { token: "t".into(), ..SelfTest::default() })
        }
        async fn renew(&self, name: &str, _insist: bool) -> Result<(), Refusal> {
            if name == "a.example" { Ok(()) } else { Err(Refusal::question("unknown")) }
        }
        async fn revoke(&self, _name: &str, reason: &str) -> Result<RevokeReport, Refusal> {
            Err(Refusal::question(reason))
        }
        async fn test(&self, name: &str, _directory: Option<&str>) -> Result<TestReport, Refusal> {
            Ok(TestReport { names: vec![name.to_owned()], ..TestReport::default() })
        }
        async fn accounts(&self) -> AccountsReport {
            AccountsReport::default()
        }
        async fn account(&self, _wish: AccountRequest, _issuer: Option<&str>) -> Result<AccountDone, Refusal> {
            Err(Refusal::gateway("busy"))
        }
        async fn maintain(&self, site: Option<&str>, _seconds: Option<u64>) -> Result<Vec<String>, Refusal> {
            Ok(vec![site.unwrap_or("all").to_owned()])
        }
        async fn bans(&self) -> BansReport {
            BansReport::default()
        }
        async fn unban(&self, _client: Option<std::net::IpAddr>) -> Result<u64, Refusal> {
            Ok(1)
        }
    }

    /// Runs `talk` on a thread of its own against a serving socket.
    fn with_gateway<T: Send + 'static>(talk: impl FnOnce(&Path) -> T + Send + 'static) -> T {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/admin.sock");
        let socket = AdminSocket::bind(&path).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
        runtime.block_on(async {
            let serving = task::spawn_local("admin", socket.serve(Rc::new(Fake)));
            let told = timeout(Duration::from_secs(60), task::blocking("talk", move || talk(&path))).await.unwrap().unwrap();
            serving.abort();
            told
        })
    }

    fn ask(path: &Path, request: Request) -> Result<Reply, AskError> {
        client::ask(path, request, Duration::from_secs(10))
    }

    #[test]
    fn questions_are_answered_truly() {
        with_gateway(|path| {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert_eq!(
                ask(path, Request::Reload { allow_empty: false }).unwrap(),
                Reply::Refused(Refusal::config("line 3: no such word"))
            );
            assert!(matches!(ask(path, Request::Status).unwrap(), Reply::Status(report) if report.sites == 7));
            let renewing = ask(path, Request::RenewCert { name: "a.example".into(), insist: false }).unwrap();
            assert_eq!(renewing, Reply::Renewing { name: "a.example".into() });
        });
    }

    #[test]
    fn nonsense_is_refused_and_bounded() {
        with_gateway(|path| {
            let say = |text: &[u8]| {
                let mut stream = StdStream::connect(path).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                // The gateway may hang up before it took everything.
                let _ = stream.write_all(text);
                let mut answer = String::new();
                let _ = stream.read_to_string(&mut answer);
                answer
            };
            assert!(say(b"hello\n").contains("cannot be read"));
            assert!(say(&vec![b'x'; 100_000]).contains("cannot be read"));
        });
    }

    #[test]
    fn a_live_socket_is_left_to_its_gateway_and_a_dead_one_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        drop(StdListener::bind(&path).unwrap());
        assert!(matches!(ask(&path, Request::Status), Err(AskError::NotRunning { .. })));
        let first = AdminSocket::bind(&path).unwrap();
        assert!(matches!(AdminSocket::bind(&path), Err(BindAdminError::Live { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(first);
        assert!(!path.exists());
        assert!(matches!(ask(&path, Request::Status), Err(AskError::NotRunning { .. })));
        fs::write(&path, "notes").unwrap();
        assert!(matches!(AdminSocket::bind(&path), Err(BindAdminError::NotASocket { .. })));
    }

    #[test]
    fn an_old_gateway_does_not_take_away_the_socket_of_its_successor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let old = AdminSocket::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let new = AdminSocket::bind(&path).unwrap();
        drop(old);
        assert!(path.exists());
        drop(new);
    }
}
