//! Connects to one of several addresses of a name, in turn.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// One address that was tried.
#[derive(Debug)]
pub struct Attempt {
    /// Where.
    pub address: SocketAddr,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an attempt to connect.
#[derive(Debug)]
pub enum Outcome {
    /// A connection.
    Connected,
    /// The system refused, or was refused.
    Failed(io::Error),
    /// No answer in time.
    TimedOut,
}

/// Connects to the first of `addresses` that takes a connection, each within `limit`, so that one that is silent leaves time for
/// the next. Gives the connection, and every attempt in order, the one that succeeded last.
pub async fn first_of(addresses: &[SocketAddr], limit: Duration) -> (Option<TcpStream>, Vec<Attempt>) {
    let mut attempts = Vec::new();
    for address in addresses {
        let started = Instant::now();
        let (stream, outcome) = match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => (Some(stream), Outcome::Connected),
            Ok(Err(error)) => (None, Outcome::Failed(error)),
            Err(_) => (None, Outcome::TimedOut),
        };
        attempts.push(Attempt { address: *address, took: started.elapsed(), outcome });
        if stream.is_some() {
            return (stream, attempts);
        }
    }
    (None, attempts)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_address_that_refuses_is_followed_by_the_next_and_named() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let open = listener.local_addr().unwrap();
        // It refuses, as its listener is gone.
        let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
        let (stream, attempts) = first_of(&[closed, open], Duration::from_secs(60)).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), open);
        assert_eq!(attempts.iter().map(|attempt| attempt.address).collect::<Vec<_>>(), [closed, open]);
        assert!(matches!(&attempts[0].outcome, Outcome::Failed(error) if error.kind() == io::ErrorKind::ConnectionRefused));
        assert!(matches!(attempts[1].outcome, Outcome::Connected));
        let (stream, attempts) = first_of(&[closed], Duration::from_secs(60)).await;
        assert!(stream.is_none() && attempts.len() == 1);
    }
}
