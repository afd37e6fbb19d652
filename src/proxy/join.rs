//! The answer to a request that asked to leave HTTP: a tunnel when the backend grants it, else the backend's own answer
//! with the reason in the log.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::futures::Notified;
use tokio::time::timeout;

use super::attempt;
use super::body::Body;
use super::client_io::ClientIo;
use super::cluster::pool::{Answered, Upgrade};
use super::cluster::stream::BackendStream;
use super::event;
use super::exchange::Exchange;
use super::forward::{self, Hop};
use super::refusal::{Failed, Refusal};
use super::snapshot::Lane;
use super::tunnel::policed::Policed;
use super::tunnel::policed::relay::Rules;
use super::tunnel::{Manners, Side, Tunnel, TunnelEnd};
use super::upgrade::Wanted;
use super::worker::Worker;
use crate::base::task;
use crate::telemetry::log::events;

/// Answers. A granted upgrade becomes a tunnel once hyper has sent the answer.
pub(super) fn join(
    exchange: &Rc<Exchange>,
    lane: &Lane,
    wanted: Wanted,
    answered: Answered<Body>,
) -> Result<Response<Body>, Refusal> {
    let status = answered.response.status();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        wanted.is_granted_by(answered.response.headers()).map_err(Refusal::Backend)?;
    }
    match answered.into_upgrade() {
        Ok(upgrade) => Ok(granted(exchange, lane, wanted, upgrade)),
        Err(_) if wanted.mistakes(status) => Err(Refusal::Backend(Failed::NotUpgraded)),
        Err(answered) => {
            not_granted(exchange, status);
            attempt::passed_on(exchange, *answered)
        }
    }
}

/// The backend's refusal reaches the client as it is; the operator reads that it was one.
fn not_granted(exchange: &Exchange, status: StatusCode) {
    const REASON: &str = "backend-refused-upgrade";
    exchange.blame(REASON);
    exchange.worker.metrics().upgrades_failed.add_one();
    let lease = exchange.course.lease.borrow();
    let upstream = lease.as_ref().map_or("", |lease| lease.member().label());
    let (id, status) = (exchange.id(), status.as_u16());
    tracing::warn!(event = events::UPGRADE_FAILED, id, client = %exchange.client, upstream, status, reason = REASON);
}

fn granted(exchange: &Rc<Exchange>, lane: &Lane, wanted: Wanted, upgrade: Upgrade) -> Response<Body> {
    let Upgrade { mut head, stream, leftover } = upgrade;
    forward::towards_client(&mut head.headers, head.version, Hop::Upgrades);
    head.version = Version::HTTP_11;
    head.status = wanted.grant(&mut head.headers);
    exchange.answered(head.status.as_u16());
    exchange.course.tunnel.set(true);
    let rules = lane.tunnel;
    let kind = if wanted.websocket && (rules.message.is_some() || rules.ping.is_some()) {
        Kind::Policed(rules)
    } else {
        Kind::Raw(Manners { websocket: wanted.websocket, idle: rules.idle })
    };
    let backend = Side { stream, leftover };
    let holder = Holder(Rc::clone(exchange));
    drop(task::spawn_local("tunnel", hold(holder, wanted.on, backend, kind)));
    Response::from_parts(head, Body::empty())
}

/// How long a goodbye may take at the end of a drain, when the process is about to end: long enough for a close frame and
/// its answer to go round the world.
const FAREWELL: Duration = Duration::from_millis(500);

/// How a tunnel is run: its frames are walked only where the site asks for what needs it.
#[derive(Clone, Copy)]
enum Kind {
    Raw(Manners),
    Policed(Rules),
}

/// Holds the exchange for the length of its tunnel.
struct Holder(Rc<Exchange>);

/// Waits until hyper has sent the answer and gives the client's stream away, then runs the tunnel to its end.
async fn hold(holder: Holder, on: OnUpgrade, backend: Side<BackendStream>, kind: Kind) {
    let Ok(upgraded) = on.await else {
        holder.0.blame("client-left");
        return;
    };
    if holder.0.worker.cutting.get() {
        holder.0.blame("tunnel-cut");
        return;
    }
    let metrics = holder.0.worker.metrics();
    metrics.tunnels_opened.add_one();
    let _open = metrics.tunnels.hold();
    let worker = &holder.0.worker;
    let cut = pin!(worker.cut.notified());
    // Each future is a local of this one and the two share their place: as arguments they would lie in memory twice.
    let end = match upgraded.downcast::<TokioIo<ClientIo>>() {
        Ok(parts) => {
            let mut running = Running::new(side_of_connection(parts), backend, kind, worker);
            until_cut(&mut running, cut).await
        }
        Err(stream) => {
            let mut running = Running::new(side_of_stream(stream), backend, kind, worker);
            until_cut(&mut running, cut).await
        }
    };
    holder.over(end);
}

/// A whole connection. hyper's own buffer may be large; a copy of the few bytes in it lets it go, here and not when the
/// tunnel ends.
fn side_of_connection(parts: Parts<TokioIo<ClientIo>>) -> Side<ClientIo> {
    let leftover = Bytes::copy_from_slice(&parts.read_buf);
    Side { stream: parts.io.into_inner(), leftover }
}

/// An HTTP/2 stream, which hyper keeps in its hands.
fn side_of_stream(upgraded: Upgraded) -> Side<TokioIo<Upgraded>> {
    Side { stream: TokioIo::new(upgraded), leftover: Bytes::new() }
}

/// A tunnel under way.
#[expect(clippy::large_enum_variant, reason = "nearly every tunnel is raw, and lies on the heap with its task")]
enum Running<C> {
    Raw(Tunnel<C, BackendStream>),
    /// Boxed, so that a raw tunnel's task is not as large.
    Policed(Box<Policed<C, BackendStream>>),
}

impl<C: AsyncRead + AsyncWrite + Unpin> Running<C> {
    fn new(client: Side<C>, backend: Side<BackendStream>, kind: Kind, worker: &Worker) -> Self {
        match kind {
            Kind::Raw(manners) => Self::Raw(Tunnel::new(client, backend, &worker.scratch, manners)),
            Kind::Policed(rules) => {
                let seed = worker.roll() as u32;
                Self::Policed(Box::new(Policed::new(client, backend, &worker.scratch, rules, seed)))
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TunnelEnd> {
        match self {
            Self::Raw(tunnel) => Pin::new(tunnel).poll(cx),
            Self::Policed(tunnel) => Pin::new(&mut **tunnel).poll(cx),
        }
    }
}

async fn until_cut<C>(running: &mut Running<C>, mut cut: Pin<&mut Notified<'_>>) -> TunnelEnd
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let ended = poll_fn(|cx| match running.poll(cx) {
        Poll::Ready(end) => Poll::Ready(Some(end)),
        Poll::Pending => cut.as_mut().poll(cx).map(|()| None),
    });
    match (ended.await, running) {
        (Some(end), _) => end,
        (None, Running::Raw(tunnel)) => tunnel.cut(),
        // Boxed for the same reason.
        (None, Running::Policed(tunnel)) => Box::pin(farewell(tunnel)).await,
    }
}

/// Says goodbye to both ends with a close frame, where the frames are known.
async fn farewell<C>(tunnel: &mut Policed<C, BackendStream>) -> TunnelEnd
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    tunnel.leave();
    match timeout(FAREWELL, &mut *tunnel).await {
        Ok(end) => end,
        Err(_) => tunnel.cut(),
    }
}

impl Holder {
    fn over(&self, end: TunnelEnd) {
        let course = &self.0.course;
        course.bytes_in.set(end.bytes_in);
        course.bytes_out.set(end.bytes_out);
        course.close_code.set(end.close_code);
        event::ended(&self.0, end.reason);
        self.0.blame(end.reason.code());
    }
}
