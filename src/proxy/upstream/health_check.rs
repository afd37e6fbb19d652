//! Asks a target regularly whether it is well. Runs on the control runtime, so that it asks on when traffic is at its
//! worst; each check has a connection of its own, since being able to connect is part of the question.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header;
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{sleep, timeout};

use super::UpstreamGroup;
use super::connect::ConnectError;
use super::endpoint::Endpoint;
use super::endpoint_state::Transition;
use super::events;
use super::stream::BackendStream;
use super::tls::Alpn;
use crate::base::duration;
use crate::base::error_chain::ErrorChain;
use crate::base::rng::Rng;
use crate::config::settings::{Health, StatusRange, TargetAddress, TargetScheme, UpstreamProtocols, UpstreamTls, in_words};
use crate::telemetry::metrics::Metrics;

/// The first check of a target comes within this, so that thousands of them do not come at once.
const FIRST_WITHIN: Duration = Duration::from_millis(500);

/// Between two checks of a target that is down while requests wait for it.
const HURRIED: Duration = Duration::from_millis(250);

/// Why a target is not well.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There is no connection.
    #[error(transparent)]
    Connect(ConnectError),
    /// It took too long, all in all.
    #[error("no answer within {}", duration::print(*.0))]
    TimedOut(Duration),
    /// It answered with a status that means that it is not.
    #[error("{path} answered {seen}, not {expected}")]
    Status {
        /// What was asked.
        path: String,
        /// What was answered.
        seen: StatusCode,
        /// What was to be answered.
        expected: String,
    },
    /// It closed the connection, or does not speak HTTP.
    #[error("no proper HTTP answer")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl CheckError {
    fn http(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Http(error.into())
    }
}

/// Checks a target for as long as it is polled; does nothing where the cluster has no checks.
pub async fn watch(cluster: Arc<UpstreamGroup>, member: Arc<Endpoint>, metrics: Arc<Metrics>, mut rng: Rng) {
    let settings = cluster.settings();
    let Some(health) = &settings.health else { return };
    sleep(FIRST_WITHIN.min(health.every).mul_f64(rng.fraction())).await;
    loop {
        let found = check(&cluster, &member, health).await;
        match (member.state().checked_again(found.is_ok(), health), found) {
            (Some(Transition::Down), Err(error)) => {
                events::check_fails(&settings.name, &member, ErrorChain(&error).to_string(), &metrics.proxy);
            }
            (Some(Transition::Up), Ok(())) => {
                events::is_back(&settings.name, &member, events::CHECK_PASSES);
                cluster.room().ring();
            }
            (None, _) | (Some(Transition::Down), Ok(())) | (Some(Transition::Up), Err(_)) => (),
        }
        // A tenth more or less, so that the checks of many gateways do not fall into step.
        let pause = health.every.mul_f64(0.9 + 0.2 * rng.fraction());
        if member.state().checked().is_down() {
            while_somebody_waits(&cluster, pause).await;
        } else {
            sleep(pause).await;
        }
    }
}

/// Until the next check of a target that is down: sooner while requests wait for it.
async fn while_somebody_waits(cluster: &UpstreamGroup, pause: Duration) {
    let arrival = cluster.room().arrival();
    if !cluster.room().is_occupied() && timeout(pause, arrival).await.is_err() {
        return;
    }
    sleep(HURRIED.min(pause)).await;
}

/// Checks a target once.
pub async fn check(cluster: &UpstreamGroup, member: &Endpoint, health: &Health) -> Result<(), CheckError> {
    let limit = health.timeout;
    let seen = timeout(limit, ask(cluster, member, health)).await.unwrap_or(Err(CheckError::TimedOut(limit)))?;
    if health.status.iter().any(|range: &StatusRange| range.contains(seen.as_u16())) {
        return Ok(());
    }
    Err(CheckError::Status { path: health.path.clone(), seen, expected: in_words(&health.status) })
}

async fn ask(cluster: &UpstreamGroup, member: &Endpoint, health: &Health) -> Result<StatusCode, CheckError> {
    let (target, settings) = (member.target(), cluster.settings());
    let stream = connect(cluster, member).await.map_err(CheckError::Connect)?;
    let host = host(health, &settings.tls, &target.address);
    let request = Request::get(&health.path).header(header::USER_AGENT, "doorward-health-check");
    if target.scheme == TargetScheme::H2c || stream.chose_http2() {
        let scheme = if target.scheme == TargetScheme::Https { "https" } else { "http" };
        let request = request.uri(format!("{scheme}://{host}{}", health.path)).body(());
        by_stream(stream, request.expect("a checked path and a host make a URI")).await
    } else {
        let request = request.header(header::HOST, host).header(header::CONNECTION, "close").body(Empty::<Bytes>::new());
        by_wire(stream, request.expect("a checked path and header values make a request")).await
    }
}

/// A connection of our own to a target, over which nothing was said yet.
pub(super) async fn connect(cluster: &UpstreamGroup, member: &Endpoint) -> Result<BackendStream, ConnectError> {
    let target = member.target();
    let offer = match (target.scheme, cluster.settings().protocols) {
        (TargetScheme::H2c, _) | (TargetScheme::Https, UpstreamProtocols::Http2) => Alpn::Http2,
        (TargetScheme::Http, _) | (TargetScheme::Https, UpstreamProtocols::Http1) => Alpn::Http1,
        (TargetScheme::Https, UpstreamProtocols::Both) => Alpn::Both,
    };
    cluster.dialer().dial_for(member.place(), None, offer).await
}

/// Over HTTP/1.1.
async fn by_wire(stream: BackendStream, request: Request<Empty<Bytes>>) -> Result<StatusCode, CheckError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(CheckError::http)?;
    let answer = beside(connection, sender.send_request(request)).await;
    Ok(answer.map_err(CheckError::http)?.status())
}

/// Over HTTP/2.
async fn by_stream(stream: BackendStream, request: Request<()>) -> Result<StatusCode, CheckError> {
    let (mut sender, connection) = h2::client::handshake(stream).await.map_err(CheckError::http)?;
    let (answer, _) = sender.send_request(request, true).map_err(CheckError::http)?;
    Ok(beside(connection, answer).await.map_err(CheckError::http)?.status())
}

/// Waits for an answer while its connection is kept moving.
async fn beside<C: Future, A: Future>(connection: C, answer: A) -> A::Output {
    let (mut connection, mut answer) = (pin!(connection), pin!(answer));
    let mut over = false;
    poll_fn(|cx| {
        over = over || connection.as_mut().poll(cx).is_ready();
        answer.as_mut().poll(cx)
    })
    .await
}

/// The host that is asked for: the one set, the name that TLS verifies, or the target's own.
fn host(health: &Health, tls: &UpstreamTls, address: &TargetAddress) -> String {
    let named = health.host.as_ref().or(tls.server_name.as_ref()).map(ToString::to_string);
    let own = || match address {
        TargetAddress::Socket(_) | TargetAddress::Loopback(_) | TargetAddress::Name(..) => address.to_string(),
        TargetAddress::Unix(_) => "localhost".to_owned(),
    };
    named.unwrap_or_else(own)
}
