//! Waiting for a state, never for a time.

use std::fmt::Debug;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

/// How long a test waits for what will happen, before it fails. It costs time only when it has failed already, so it is
/// far above what anything takes on a machine that is ten times slower or does ten other things.
pub const LIMIT: Duration = Duration::from_secs(150);

/// What waits for no timeout of the gateway towards an authority is done by then: an answer may take 45 s. A test that
/// measures this shows that nothing had to time out first, and no speed; `tests/bench` measures speed.
pub const BEFORE_ANY_TIMEOUT: Duration = Duration::from_secs(40);

/// Looks again and again until `look` finds something; panics with `what` and the last complaint at the deadline.
pub fn until<T, E: Debug>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + limit;
    loop {
        match look() {
            Ok(found) => return found,
            Err(complaint) if Instant::now() >= end => panic!("{what}: not within {limit:?}; last seen: {complaint:?}"),
            Err(_) => pause(),
        }
    }
}

/// As [`until`], where all there is to see is whether it is so.
pub fn until_true(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    until(what, limit, || is_so().then_some(()).ok_or("not so"));
}

/// Waits until somebody accepts connections at `addr`.
pub fn until_listening(what: &str, addr: SocketAddr, limit: Duration) {
    until(&format!("{what} at {addr}"), limit, || TcpStream::connect_timeout(&addr, Duration::from_secs(10)).map(drop));
}

#[expect(clippy::disallowed_methods, reason = "between two looks at a state that cannot be subscribed to")]
fn pause() {
    thread::sleep(Duration::from_millis(10));
}
