//! Name, connection, TLS: each a step that is told.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::probe_target::{At, ProbeTarget};
use super::report::{End, Step, TlsFault, Trace};
use crate::base::error_chain::ErrorChain;
use crate::base::escape::escaped;
use crate::base::loopback;
use crate::net::dial::{self, Attempt, Outcome};

/// A peer's words that are repeated.
const MAX_SHOWN: usize = 300;

/// What a connection is read and written by.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Connects, each step within `limit`.
pub(super) async fn dial(place: &ProbeTarget, limit: Duration, trace: &mut Trace) -> Result<Box<dyn Wire>, End> {
    let Trace { steps, issuer: shown, .. } = trace;
    let tcp = match &place.at {
        At::Address(address) => first_that_answers(&[*address], limit, steps).await?,
        At::Loopback(port) => first_that_answers(&loopback::addresses(*port), limit, steps).await?,
        At::Name(name, port) => {
            let addresses = resolve(name, *port, limit, steps).await?;
            first_that_answers(&addresses, limit, steps).await?
        }
        At::Unix(path) => {
            let started = Instant::now();
            let connected = timeout(limit, UnixStream::connect(path)).await.unwrap_or_else(|_| Err(timed_out()));
            return match connected {
                Ok(stream) => {
                    steps.push(done("tcp", started, place.shown.clone()));
                    Ok(Box::new(stream))
                }
                Err(error) => Err(no_connection(steps, started.elapsed(), &place.shown, &error)),
            };
        }
    };
    let Some((config, name)) = &place.tls else { return Ok(Box::new(tcp)) };
    let started = Instant::now();
    let handshake = TlsConnector::from(std::sync::Arc::clone(config)).connect(name.clone(), tcp);
    match timeout(limit, handshake).await.unwrap_or_else(|_| Err(timed_out())) {
        Ok(stream) => {
            let session = stream.get_ref().1;
            let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
            let issuer = session.peer_certificates().and_then(|chain| issuer(chain.first()?)).unwrap_or_default();
            steps.push(done("tls", started, format!("{version}, certificate by {issuer}")));
            *shown = Some(issuer).filter(|issuer| !issuer.is_empty());
            Ok(Box::new(stream))
        }
        Err(error) => {
            let (fault, why) = (fault(&error), escaped(&ErrorChain(&error).to_string(), MAX_SHOWN));
            steps.push(failed("tls", started, why.clone()));
            Err(End::NoTls { fault, why })
        }
    }
}

async fn resolve(name: &str, port: u16, limit: Duration, steps: &mut Vec<Step>) -> Result<Vec<SocketAddr>, End> {
    let started = Instant::now();
    let found = timeout(limit, lookup_host((name, port))).await.unwrap_or_else(|_| Err(timed_out()));
    let found: Vec<SocketAddr> = match found {
        Ok(found) => found.collect(),
        Err(error) => {
            let why = ErrorChain(&error).to_string();
            steps.push(failed("dns", started, format!("{name}: {why}")));
            return Err(End::NoName { why });
        }
    };
    let shown = found.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(", ");
    steps.push(done("dns", started, format!("{name} is {shown}")));
    Ok(found)
}

/// In turn, as clients do; each one that does not answer is told.
async fn first_that_answers(addresses: &[SocketAddr], limit: Duration, steps: &mut Vec<Step>) -> Result<TcpStream, End> {
    let (stream, attempts) = dial::first_of(addresses, limit).await;
    let mut tried = Vec::new();
    for Attempt { address, took, outcome } in attempts {
        let address = address.to_string();
        match outcome {
            Outcome::Connected => steps.push(Step { what: "tcp", ok: true, seen: address, ms: millis(took) }),
            Outcome::Failed(error) => tried.push(no_connection(steps, took, &address, &error)),
            Outcome::TimedOut => tried.push(no_connection(steps, took, &address, &timed_out())),
        }
    }
    stream.ok_or_else(|| End::of_all(tried))
}

fn no_connection(steps: &mut Vec<Step>, took: Duration, place: &str, error: &io::Error) -> End {
    let why = format!("{place}: {error}");
    steps.push(Step { what: "tcp", ok: false, seen: why.clone(), ms: millis(took) });
    // A machine without IPv6, or without IPv4, has no such address: nothing can listen there.
    let refused = matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound | io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    );
    End::NoConnection { refused, why }
}

fn issuer(leaf: &[u8]) -> Option<String> {
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf).ok()?;
    let name = leaf.issuer().iter_common_name().next()?.as_str().ok()?;
    Some(escaped(name, MAX_SHOWN))
}

fn fault(error: &io::Error) -> TlsFault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            CertificateError::UnknownIssuer => TlsFault::UnknownIssuer,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => TlsFault::OtherName,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsFault::Time,
            _ => TlsFault::Other,
        },
        Some(rustls::Error::AlertReceived(AlertDescription::UnrecognisedName)) => TlsFault::NameRefused,
        _ => TlsFault::Other,
    }
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

pub(super) fn done(what: &'static str, started: Instant, seen: String) -> Step {
    Step { what, ok: true, seen, ms: since(started) }
}

pub(super) fn failed(what: &'static str, started: Instant, seen: String) -> Step {
    Step { what, ok: false, seen, ms: since(started) }
}

fn since(started: Instant) -> u64 {
    millis(started.elapsed())
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
