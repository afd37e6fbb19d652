//! Session tickets whose keys change as time goes by (RFC 8446 section 8.1), whatever the wall clock does. rustls' own
//! rotation compares wall-clock seconds: after a start under a clock that was ahead, one key would stay for all of that time.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;
use tokio::time::Instant;

/// A key makes tickets for this long, and reads them for as long again: as rustls' own do.
const ROTATION_INTERVAL: Duration = Duration::from_secs(6 * 3_600);

/// See the module. Reading takes no lock.
#[derive(Debug)]
pub(super) struct Tickets(ArcSwap<Keys>);

#[derive(Debug)]
struct Keys {
    current: Arc<dyn ProducesTickets>,
    previous: Option<Arc<dyn ProducesTickets>>,
    made: Instant,
}

impl Tickets {
    pub(super) fn new() -> Result<Self, rustls::Error> {
        let keys = Keys { current: Ticketer::new()?, previous: None, made: Instant::now() };
        Ok(Self(ArcSwap::from_pointee(keys)))
    }

    /// The keys in use; new ones when it is time, unless the system gives no random bytes.
    fn keys(&self) -> Arc<Keys> {
        let keys = self.0.load_full();
        let age = keys.made.elapsed();
        if age < ROTATION_INTERVAL {
            return keys;
        }
        let Ok(current) = Ticketer::new() else { return keys };
        // After a long silence the last key is too old to be read.
        let previous = (age < ROTATION_INTERVAL * 2).then(|| Arc::clone(&keys.current));
        let next = Arc::new(Keys { current, previous, made: Instant::now() });
        // Another worker may have been quicker; its keys count then.
        let _old = self.0.compare_and_swap(&keys, next);
        self.0.load_full()
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.0.load().current.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys().current.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let keys = self.keys();
        keys.current.decrypt(cipher).or_else(|| keys.previous.as_ref()?.decrypt(cipher))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_makes_tickets_for_one_interval_and_reads_them_for_two() {
        let tickets = Tickets::new().unwrap();
        let ticket = tickets.encrypt(b"session").unwrap();
        assert_eq!(tickets.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        tokio::time::advance(ROTATION_INTERVAL).await;
        assert!(tickets.decrypt(&ticket).is_some(), "the key before reads on");
        let second = tickets.encrypt(b"session").unwrap();
        tokio::time::advance(ROTATION_INTERVAL).await;
        assert!(tickets.decrypt(&ticket).is_none() && tickets.decrypt(&second).is_some());
        tokio::time::advance(ROTATION_INTERVAL * 3).await;
        assert!(tickets.decrypt(&second).is_none(), "after a long silence nothing old is read");
        assert!(tickets.enabled() && tickets.lifetime() > 0);
    }
}
