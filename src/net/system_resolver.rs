//! Addresses of names by the system's resolver (getaddrinfo). A name whose servers do not answer holds a thread for half a
//! minute, so lookups of one name at the same time are one lookup, and those of all names take a bounded number of the threads
//! that reading files needs as well.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::mutex::lock;
use crate::base::task;

/// Names that are looked up at a time; further ones wait. A tenth of the threads of one worker.
const MAX_LOOKUPS: usize = 48;

/// Looks names up. Cloning is cheap; clones share their lookups.
#[derive(Clone)]
pub struct SystemResolver(Arc<Shared>);

type Ask = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;
/// An error is its kind and its text, since several may wait for it.
type Answer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

struct Shared {
    ask: Box<Ask>,
    free: Arc<Semaphore>,
    running: Mutex<HashMap<String, Receiver<Option<Answer>>>>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::asking(MAX_LOOKUPS, |name| Ok((name, 0).to_socket_addrs()?.collect()))
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemResolver")
    }
}

impl SystemResolver {
    fn asking(most: usize, ask: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { ask: Box::new(ask), free: Arc::new(Semaphore::new(most)), running: Mutex::default() }))
    }

    /// The addresses of `name` with this port, in the order of the system; may be empty. Takes as long as the system does: the
    /// caller bounds it. A lookup that nobody waits for any more goes on, and its answer is for who asks meanwhile.
    pub async fn lookup(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = name.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let joined = self.0.running().get(name).cloned();
        let mut answer = match joined {
            Some(answer) => answer,
            None => {
                let permit = Arc::clone(&self.0.free).acquire_owned().await.map_err(io::Error::other)?;
                self.begin(name, permit)
            }
        };
        let answer = answer.wait_for(Option::is_some).await.map_err(io::Error::other)?.clone();
        let mut addresses = answer.unwrap_or_else(|| Ok(Vec::new())).map_err(|(kind, text)| io::Error::new(kind, text))?;
        addresses.iter_mut().for_each(|address| address.set_port(port));
        Ok(addresses)
    }

    fn begin(&self, name: &str, permit: OwnedSemaphorePermit) -> Receiver<Option<Answer>> {
        let mut running = self.0.running();
        // Another one may have begun it during the wait for the permit.
        if let Some(answer) = running.get(name) {
            return answer.clone();
        }
        let (sender, answer) = watch::channel(None);
        running.insert(name.to_owned(), answer.clone());
        let lookup = Lookup { shared: Arc::clone(&self.0), name: name.to_owned(), answer: None, sender, _permit: permit };
        task::spawn("name-lookup", task::blocking("name-lookup", move || lookup.run()));
        answer
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, HashMap<String, Receiver<Option<Answer>>>> {
        lock(&self.running)
    }
}

/// A lookup that runs. Whatever becomes of it, it ends with this.
struct Lookup {
    shared: Arc<Shared>,
    name: String,
    answer: Option<Answer>,
    sender: Sender<Option<Answer>>,
    _permit: OwnedSemaphorePermit,
}

impl Lookup {
    fn run(mut self) {
        self.answer = Some((self.shared.ask)(&self.name).map_err(|error| (error.kind(), error.to_string())));
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        // Before its answer is seen, so that who asks afterwards begins another one.
        self.shared.running().remove(&self.name);
        if let Some(answer) = self.answer.take() {
            self.sender.send_replace(Some(answer));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn here() -> Vec<SocketAddr> {
        vec![SocketAddr::from(([127, 0, 0, 1], 80))]
    }

    /// A resolver that does not answer for names that begin with `hangs` until the sender is dropped, and how often it was
    /// asked for those.
    fn resolver(most: usize) -> (SystemResolver, mpsc::Sender<()>, Arc<AtomicUsize>) {
        let (end, ended) = mpsc::channel::<()>();
        let (ended, asked) = (Mutex::new(ended), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&asked);
        let ask = move |name: &str| {
            if name.starts_with("hangs") {
                count.fetch_add(1, Ordering::Relaxed);
                let _ended = ended.lock().unwrap().recv();
            }
            if name == "none" { Err(io::Error::new(io::ErrorKind::NotFound, "no such name")) } else { Ok(here()) }
        };
        (SystemResolver::asking(most, ask), end, asked)
    }

    #[tokio::test]
    async fn a_name_that_hangs_is_looked_up_once_and_others_are_answered() {
        let (resolver, end, asked) = resolver(2);
        let waiting: Vec<_> = (0..100)
            .map(|_| {
                let resolver = resolver.clone();
                task::spawn("test", async move { resolver.lookup("hangs", 80).await })
            })
            .collect();
        while asked.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(timeout(LONG, resolver.lookup("a.example", 80)).await.unwrap().unwrap(), here());
        let error = timeout(LONG, resolver.lookup("none", 80)).await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::NotFound, "no such name"));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        drop(end);
        for one in waiting {
            assert_eq!(timeout(LONG, one).await.unwrap().unwrap().unwrap().unwrap(), here());
        }
        assert!(resolver.0.running().is_empty());
    }

    #[tokio::test]
    async fn lookups_beyond_the_bound_take_no_thread_and_a_lookup_that_was_given_up_keeps_its_place() {
        let (resolver, end, asked) = resolver(2);
        for name in ["hangs 1", "hangs 2", "hangs 3"] {
            assert!(timeout(Duration::from_millis(20), resolver.lookup(name, 80)).await.is_err());
        }
        assert!(timeout(Duration::from_millis(20), resolver.lookup("a.example", 80)).await.is_err());
        assert!(asked.load(Ordering::Relaxed) <= 2);
        drop(end);
        assert_eq!(timeout(LONG, resolver.lookup("a.example", 80)).await.unwrap().unwrap(), here());
        assert_eq!(timeout(LONG, resolver.lookup("hangs 3", 80)).await.unwrap().unwrap(), here());
    }

    #[tokio::test]
    async fn a_lookup_that_panics_is_an_error_and_the_name_can_be_asked_for_again() {
        let resolver = SystemResolver::asking(1, |_| panic!("on purpose"));
        for _ in 0..2 {
            assert!(timeout(LONG, resolver.lookup("a.example", 80)).await.unwrap().is_err());
        }
    }
}
