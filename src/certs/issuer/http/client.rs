//! The client for one authority.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use tokio::time::Instant;

use super::answer::Answer;
use super::directory::Directory;
use super::failure::HttpFailure;
use super::pauses::{Kind, Pauses};
use crate::base::mutex::lock;
use crate::base::time::{Clock, ClockReading, Timestamp};
use crate::net::http_client::{self, HttpError, Idle, Stage, dressed};
use crate::net::system_resolver::SystemResolver;

/// Limits on an authority's slowness and talkativeness.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Until TLS stands, name resolution included.
    pub connect: Duration,
    /// From the request to the end of its answer.
    pub answer: Duration,
    /// Longest answer. Chains and directories stay below 20 KiB.
    pub body: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(15), answer: Duration::from_secs(45), body: 1024 * 1024 }
    }
}

/// The client for one authority, shared by all its orders. Cloning is cheap.
#[derive(Clone)]
pub struct AcmeHttp(Arc<Shared>);

struct Shared {
    directory_url: String,
    ca_file: Option<PathBuf>,
    limits: HttpLimits,
    clock: Arc<dyn Clock>,
    pauses: Pauses,
    resolver: SystemResolver,
    tls: tokio::sync::OnceCell<tokio_rustls::TlsConnector>,
    /// The directory as it was answered last, and when.
    directory: Mutex<Option<(Instant, Arc<Directory>)>>,
    /// Our clock and the authority's, as its last answer with a `Date` had it.
    reading: Mutex<Option<ClockReading>>,
    /// Connections that wait for the next request.
    idle: Mutex<Vec<Idle>>,
}

/// How long a directory is believed before it is fetched again.
const DIRECTORY_LIFE: Duration = Duration::from_secs(3600);

impl AcmeHttp {
    /// A client for the authority at `directory_url`, trusting the roots of `ca_file` instead of the machine's if it is
    /// given. Nothing is read or asked before the first request.
    pub fn new(directory_url: &str, ca_file: Option<PathBuf>, limits: HttpLimits, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            directory_url: directory_url.to_owned(),
            ca_file,
            limits,
            clock,
            pauses: Pauses::default(),
            resolver: SystemResolver::default(),
            tls: tokio::sync::OnceCell::new(),
            directory: Mutex::default(),
            reading: Mutex::default(),
            idle: Mutex::default(),
        }))
    }

    /// Where the authority's directory is.
    pub fn directory_url(&self) -> &str {
        &self.0.directory_url
    }

    /// What the authority asked us not to ask for a while.
    pub fn pauses(&self) -> &Pauses {
        &self.0.pauses
    }

    /// Its clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.0.clock)
    }

    /// The present second.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Our clock and the authority's at its last answer; `None` while it has sent no `Date` (RFC 9110 section 6.6.1).
    pub fn clock_reading(&self) -> Option<ClockReading> {
        *lock(&self.0.reading)
    }

    /// The authority's directory, at most an hour old.
    pub async fn directory(&self) -> Result<Arc<Directory>, HttpFailure> {
        if let Some((at, directory)) = &*lock(&self.0.directory)
            && at.elapsed() < DIRECTORY_LIFE
        {
            return Ok(Arc::clone(directory));
        }
        let answer = self.ask(Method::GET, &self.0.directory_url, Bytes::new(), &[]).await?;
        let directory = Arc::new(Directory::read(&answer)?);
        *lock(&self.0.directory) = Some((Instant::now(), Arc::clone(&directory)));
        Ok(directory)
    }

    /// Drops the remembered directory, because something in it turned out to be stale.
    pub fn forget_directory(&self) {
        *lock(&self.0.directory) = None;
    }

    /// One request, one whole answer. Anything but a success is an error.
    pub(in crate::certs::issuer) async fn ask(
        &self,
        method: Method,
        url: &str,
        body: Bytes,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Answer, HttpFailure> {
        self.ask_whatever(method, url, body, headers).await?.checked(&self.0.pauses)
    }

    /// As [`AcmeHttp::ask`], whatever the answer's status is.
    pub(in crate::certs::issuer) async fn ask_whatever(
        &self,
        method: Method,
        url: &str,
        body: Bytes,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Answer, HttpFailure> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        self.send(request.body(body).map_err(|_| HttpError::Url { url: url.to_owned() })?).await
    }

    /// Sends a request whatever the answer's status will be.
    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<Answer, HttpFailure> {
        let url = request.uri().clone();
        let (host, port) = authority(&url)?;
        let kind = self.kind(&url.to_string());
        if let Some(until) = self.0.pauses.until(kind, self.0.clock.now()) {
            return Err(HttpFailure::Paused { kind, until });
        }
        let request = dressed(request, &host, port, true)?;
        let response = self.exchange(&host, port, request).await?;
        let answer = Answer::new(kind, response, self.0.clock.now());
        if let Some(reading) = answer.clock_reading() {
            *lock(&self.0.reading) = Some(reading);
        }
        Ok(answer)
    }

    /// Takes an idle connection or opens one. A request that never left an idle connection goes over another, and so does
    /// a mere question whose connection was closed as it was sent.
    async fn exchange(
        &self,
        host: &str,
        port: u16,
        mut request: Request<Full<Bytes>>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        while let Some(idle) = self.idle(host, port) {
            let spare = request.method().is_safe().then(|| request.clone());
            match (self.over(idle, request).await, spare) {
                (Ok(Ok(response)), _) => return Ok(response),
                (Ok(Err(unsent)), _) => request = unsent,
                (Err(HttpError::Lost { .. }), Some(spare)) => request = spare,
                (Err(failure), _) => return Err(failure),
            }
        }
        let fresh = self.dial(host, port).await?;
        match self.over(fresh, request).await? {
            Ok(response) => Ok(response),
            Err(_) => Err(HttpError::Lost { host: host.to_owned(), sent: false, cause: None }),
        }
    }

    fn idle(&self, host: &str, port: u16) -> Option<Idle> {
        http_client::take(&mut lock(&self.0.idle), host, port)
    }

    async fn dial(&self, host: &str, port: u16) -> Result<Idle, HttpError> {
        let limit = self.0.limits.connect;
        let dial = async {
            let tls = self.0.tls.get_or_try_init(|| http_client::connector(self.0.ca_file.clone())).await?;
            http_client::dial(&self.0.resolver, tls, host, port).await
        };
        let late = HttpError::Slow { host: host.to_owned(), stage: Stage::Connect, after: limit };
        tokio::time::timeout(limit, dial).await.unwrap_or(Err(late))
    }

    /// `Ok(Err(request))` gives back a request of which nothing was sent.
    async fn over(
        &self,
        mut connection: Idle,
        request: Request<Full<Bytes>>,
    ) -> Result<Result<http::Response<Bytes>, Request<Full<Bytes>>>, HttpError> {
        let limits = self.0.limits;
        let host = connection.host().to_owned();
        let exchange = connection.exchange(request, limits.body);
        match tokio::time::timeout(limits.answer, exchange).await {
            Ok(Ok(Ok(response))) => {
                http_client::put(&mut lock(&self.0.idle), connection);
                Ok(Ok(response))
            }
            Ok(other) => other,
            Err(_) => Err(HttpError::Slow { host, stage: Stage::Answer, after: limits.answer }),
        }
    }

    fn kind(&self, url: &str) -> Kind {
        if url == self.0.directory_url {
            return Kind::Directory;
        }
        lock(&self.0.directory).as_ref().map_or(Kind::Other, |(_, directory)| directory.kind(url))
    }
}

/// Host without brackets, and port. ACME is https only (RFC 8555 section 6.1).
fn authority(url: &Uri) -> Result<(String, u16), HttpError> {
    match (url.scheme_str(), url.host()) {
        (Some("https"), Some(host)) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Ok((host.to_owned(), url.port_u16().unwrap_or(443)))
        }
        _ => Err(HttpError::Url { url: url.to_string() }),
    }
}
