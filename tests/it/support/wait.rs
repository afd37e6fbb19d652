//! Waiting for a state, never for a time.

use std::fmt::Debug;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

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
    until(&format!("{what} at {addr}"), limit, || TcpStream::connect_timeout(&addr, Duration::from_secs(1)).map(drop));
}

#[expect(clippy::disallowed_methods, reason = "between two looks at a state that cannot be subscribed to")]
fn pause() {
    thread::sleep(Duration::from_millis(5));
}
