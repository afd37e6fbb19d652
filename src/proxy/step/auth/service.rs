//! A service of the operator's that is asked on the way of a request: who may pass, or which keys are in force.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderValue};
use http::{Request, Uri};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::base::error_chain::ErrorChain;
use crate::base::name::{self, HostName};
use crate::config::defaults;
use crate::config::settings::{At, Target, TargetAddress, TargetScheme, Upstream};
use crate::proxy::body::Body;
use crate::proxy::retry;
use crate::proxy::upstream::lease::Lease;
use crate::proxy::upstream::pool::{SendError, UpstreamResponse};
use crate::proxy::upstream::{PickContext, UpstreamGroup};
use crate::proxy::worker::state::WorkerState;
use crate::telemetry::log::events;

/// A request waits no longer for somebody else's word.
const SERVICE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often one question may find that a resting connection was closed under it.
const STALE: u32 = 8;

/// A service by its URL.
#[derive(Clone, Debug)]
pub(super) struct Service {
    cluster: Arc<UpstreamGroup>,
    /// Its own name, for `Host`.
    pub(super) host: HeaderValue,
    /// Path and query.
    pub(super) target: Uri,
}

/// The URL is none that can be asked. It may hold a secret and is not repeated.
#[derive(Debug, thiserror::Error)]
#[error("the URL is none that can be asked; write http://host:port/path or https://host/path")]
pub struct UrlError;

/// The backend group of a service, named for its address: the rest of the URL may be a secret, and names are logged.
pub(super) fn upstream(url: &str) -> Result<Upstream, UrlError> {
    let read = || {
        let uri: Uri = url.parse().ok()?;
        let (scheme, usual) = match uri.scheme_str()? {
            "http" => (TargetScheme::Http, 80),
            "https" => (TargetScheme::Https, 443),
            _ => return None,
        };
        let (host, port) = (uri.host()?, uri.port_u16().unwrap_or(usual));
        let address = match name::parse_ip(host) {
            Some(ip) => TargetAddress::Socket((ip, port).into()),
            None => TargetAddress::Name(HostName::parse(host).ok()?, port),
        };
        Some(Target { address, scheme, weight: 1, backup: false, at: At::default() })
    };
    let target = read().ok_or(UrlError)?;
    let name = target.to_string();
    Ok(Upstream { targets: vec![target], ..defaults::upstream(format!("auth {name}")) })
}

impl Service {
    pub(super) fn new(url: &str, cluster: Arc<UpstreamGroup>) -> Result<Self, UrlError> {
        let read = || {
            let uri: Uri = url.parse().ok()?;
            let host = HeaderValue::from_str(uri.authority()?.as_str()).ok()?;
            Some((host, Uri::from(uri.path_and_query()?.clone())))
        };
        let (host, target) = read().ok_or(UrlError)?;
        Ok(Self { cluster, host, target })
    }

    /// As it is written in logs.
    pub(super) fn name(&self) -> &str {
        &self.cluster.settings().name
    }

    /// Asks. The header's `Host` and the target are the service's own. `None` when there is no answer, which is said here.
    pub(super) async fn ask(
        &self,
        worker: &Rc<WorkerState>,
        mut request: Request<Body>,
    ) -> Option<(UpstreamResponse<Body>, Lease)> {
        request.headers_mut().insert(header::HOST, self.host.clone());
        *request.uri_mut() = self.target.clone();
        let error = match timeout(SERVICE_TIMEOUT, self.attempts(worker, request)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => ErrorChain(&error).to_string(),
            Err(_) => format!("no answer within {} s", SERVICE_TIMEOUT.as_secs()),
        };
        if let Some(withheld) = worker.may_tell() {
            tracing::warn!(
                event = events::AUTH_SERVICE_FAILED,
                service = self.name(),
                error,
                withheld,
                "the service {} of `auth forward` gave no answer: {error}; look into its own log",
                self.name()
            );
        }
        None
    }

    /// A resting connection may turn out to be closed; a question can be put again.
    async fn attempts(
        &self,
        worker: &Rc<WorkerState>,
        request: Request<Body>,
    ) -> Result<(UpstreamResponse<Body>, Lease), SendError> {
        let mut slot = Some(request);
        let mut left = STALE;
        loop {
            let wish = PickContext { roll: worker.roll(), ..PickContext::default() };
            let lease = self.cluster.pick(wish).expect("a service has one target, which was not tried");
            let failure = match worker.pool.send(&lease, &mut slot, retry::again).await {
                Ok(answered) => return Ok((answered, lease)),
                Err(failure) => failure,
            };
            if slot.is_none() || !failure.reused || left == 0 {
                return Err(failure.error);
            }
            left -= 1;
        }
    }
}

/// The whole body of an answer; `None` when it is longer than `most`, breaks off, or takes too long.
pub(super) async fn whole(answered: UpstreamResponse<Body>, most: usize) -> Option<Bytes> {
    let mut body = Body::backend(answered.response.into_body());
    let read = async {
        let mut all = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.ok()?.into_data() {
                all.extend_from_slice(&data);
            }
            if all.len() > most {
                return None;
            }
        }
        Some(all.freeze())
    };
    timeout(SERVICE_TIMEOUT, read).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_target() {
        let check = |url: &str, expected: &str| {
            let shown = upstream(url)
                .map_or_else(|_| "none".to_owned(), |u| format!("{:?} {}", u.targets[0].scheme, u.targets[0].address));
            assert_eq!(shown, expected, "for {url}");
        };
        check("http://127.0.0.1:9000/check?x=1", "Http 127.0.0.1:9000");
        check("https://id.example/jwks.json", "Https id.example:443");
        check("http://[::1]/", "Http [::1]:80");
        check("ftp://a/", "none");
        check("/path", "none");
    }
}
