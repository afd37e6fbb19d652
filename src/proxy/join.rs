//! The answer to a request that asked to leave HTTP: a tunnel when the backend grants it, else the backend's own answer
//! with the reason in the log.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep, timeout_at};

use super::backend_response::map_response;
use super::body::Body;
use super::client_io::{ClientIo, OpenTunnel};
use super::exchange::Exchange;
use super::forward::{self, Hop};
use super::handover::HandedOver;
use super::refusal::{Failed, Refusal};
use super::security_event;
use super::snapshot::Route;
use super::tunnel::framed::FramedTunnel;
use super::tunnel::framed::state_machine::{Closed, Rules};
use super::tunnel::registry::Order;
use super::tunnel::{Side, Tunnel, TunnelEnd, TunnelOptions, TunnelReason};
use super::upgrade::{On, Wanted};
use super::upstream::pool::{StreamTunnel, Upgrade, UpgradedStream, UpstreamResponse};
use super::worker::state::WorkerState;
use crate::base::task;
use crate::telemetry::log::events;

/// Answers. A granted upgrade becomes a tunnel once the answer is sent.
pub(super) fn join(
    exchange: &Rc<Exchange>,
    lane: &Route,
    wanted: Wanted,
    answered: UpstreamResponse<Body>,
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
            map_response(exchange, *answered)
        }
    }
}

/// The backend's refusal reaches the client as it is; the operator reads that it was one.
fn not_granted(exchange: &Exchange, status: StatusCode) {
    const REASON: &str = "backend-refused-upgrade";
    exchange.blame(REASON);
    exchange.worker.metrics().upgrades_failed.add(REASON);
    let lease = exchange.state.lease.borrow();
    let upstream = lease.as_ref().map_or("", |lease| lease.member().label());
    let (id, client, status) = (exchange.id(), exchange.client, status.as_u16());
    let (host, path, url) = (exchange.host(), exchange.path(), exchange.url(true));
    tracing::warn!(
        event = events::UPGRADE_FAILED,
        id,
        %client,
        host,
        path,
        upstream,
        status,
        reason = REASON,
        "{url}: the backend {upstream} answered {status} in the place of 101"
    );
}

fn granted(exchange: &Rc<Exchange>, lane: &Route, wanted: Wanted, upgrade: Upgrade) -> Response<Body> {
    let Upgrade { mut head, stream, leftover } = upgrade;
    forward::towards_client(&mut head.headers, head.version, Hop::Upgrades);
    head.version = Version::HTTP_11;
    head.status = wanted.grant(&mut head.headers);
    exchange.answered(head.status.as_u16());
    exchange.state.tunnel.set(true);
    let rules = lane.rules_for(exchange.client);
    let kind = if wanted.websocket && (rules.message.is_some() || rules.ping.is_some()) {
        Kind::FramedTunnel(rules)
    } else {
        Kind::Raw(TunnelOptions { websocket: wanted.websocket, idle: rules.idle })
    };
    let backend = Side { stream, leftover };
    let holder = Holder { exchange: Rc::clone(exchange), _open: wanted.open };
    drop(task::spawn_local("tunnel", hold(holder, wanted.on, backend, kind, lane.max_age)));
    Response::from_parts(head, Body::empty())
}

/// How long a goodbye may take: its two waits for the ends, and a moment.
const FAREWELL: Duration = Duration::from_secs(5);
/// The same when the process is about to end: long enough for a close frame and its answer to go round the world.
const LAST_FAREWELL: Duration = Duration::from_millis(500);

/// How a tunnel is run: its frames are walked only where the site asks for what needs it.
enum Kind {
    Raw(TunnelOptions),
    FramedTunnel(Rules),
}

/// Holds the exchange, and the client's connection in use, for the length of its tunnel.
struct Holder {
    exchange: Rc<Exchange>,
    _open: Option<OpenTunnel>,
}

/// Waits until the protocol has sent the answer and gives the client's stream away, then runs the tunnel to its end.
async fn hold(holder: Holder, on: On, backend: Side<UpgradedStream>, kind: Kind, max_age: Option<Duration>) {
    let client = match on {
        On::Connection(on) => on.taken().await.map(Client::Connection),
        On::Stream(on) => on.taken().await.map(Client::Stream),
    };
    let Some(client) = client else {
        holder.exchange.blame("client-left");
        return;
    };
    let worker = &holder.exchange.worker;
    if worker.tunnels.is_over() {
        holder.exchange.blame("tunnel-cut");
        return;
    }
    let metrics = worker.metrics();
    let opened = Instant::now();
    metrics.tunnel_opened(holder.exchange.client, worker.second());
    let _open = metrics.tunnels.hold();
    let member = worker.tunnels.enter(holder.exchange.tunnel_facts());
    let prebuilt = pin!(member.prebuilt());
    let leave =
        Leave { prebuilt, age: max_age.map(|span| Box::pin(sleep(span - span / 10 * (worker.roll() % 1000) as u32 / 1000))) };
    // Each future is a local of this one and the two share their place: as arguments they would lie in memory twice.
    let end = match client {
        Client::Connection(handed) => {
            let mut running = Running::new(side_of_connection(handed), backend, kind, worker);
            let end = to_the_end(&mut running, leave, worker).await;
            running.pass_reset_on(end)
        }
        Client::Stream(stream) => {
            let side = Side { stream, leftover: Bytes::new() };
            let mut running = Running::new(side, backend, kind, worker);
            let end = to_the_end(&mut running, leave, worker).await;
            running.pass_reset_on(end)
        }
    };
    metrics.tunnel_ended(holder.exchange.client, opened.elapsed(), worker.second());
    holder.over(end);
}

/// The client's side of a tunnel.
enum Client {
    Connection(HandedOver),
    Stream(StreamTunnel),
}

/// What may end a tunnel from here.
struct Leave<'a, T> {
    prebuilt: Pin<&'a mut T>,
    age: Option<Pin<Box<Sleep>>>,
}

impl<T: Future<Output = Order>> Leave<'_, T> {
    /// Why it has to leave, and how long it may take over that.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Closed, Duration)> {
        match self.prebuilt.as_mut().poll(cx) {
            Poll::Ready(Order::Leave) => return Poll::Ready((Closed::Away, FAREWELL)),
            Poll::Ready(Order::LeaveNow) => return Poll::Ready((Closed::Away, LAST_FAREWELL)),
            Poll::Pending => {}
        }
        let Some(age) = &mut self.age else { return Poll::Pending };
        age.as_mut().poll(cx).map(|()| (Closed::Aged, FAREWELL))
    }
}

/// A whole connection.
fn side_of_connection(handed: HandedOver) -> Side<ClientIo> {
    Side { stream: handed.io, leftover: handed.leftover }
}

/// A tunnel under way.
#[expect(clippy::large_enum_variant, reason = "nearly every tunnel is raw, and lies on the heap with its task")]
enum Running<C> {
    Raw(Tunnel<C, UpgradedStream>),
    /// Boxed, so that a raw tunnel's task is not as large.
    FramedTunnel(Box<FramedTunnel<C, UpgradedStream>>),
}

impl<C: AsyncRead + AsyncWrite + Unpin> Running<C> {
    fn new(client: Side<C>, backend: Side<UpgradedStream>, kind: Kind, worker: &WorkerState) -> Self {
        match kind {
            Kind::Raw(manners) => Self::Raw(Tunnel::new(client, backend, &worker.scratch, manners)),
            Kind::FramedTunnel(rules) => {
                let seed = worker.roll() as u32;
                Self::FramedTunnel(Box::new(FramedTunnel::new(client, backend, &worker.scratch, rules, seed)))
            }
        }
    }

    /// A client that reset its connection or stream did not end its half: a backend whose protocol ends with the connection
    /// must not take it for an end (RFC 8441 section 5).
    ///
    /// The other direction: a stream of HTTP/2 that is dropped here is reset (CANCEL) behind what was written to it, and a client
    /// of TLS misses the close_notify of a proper end. A client in the clear sees the same end for both, because a reset would
    /// discard what the system has not delivered yet, a close frame among it. Envoy passes resets on in both directions, nginx
    /// and HAProxy in none.
    fn pass_reset_on(&self, end: TunnelEnd) -> TunnelEnd {
        if end.reason == TunnelReason::ClientBroke(io::ErrorKind::ConnectionReset) {
            match self {
                Self::Raw(tunnel) => tunnel.backend().reset_at_close(),
                Self::FramedTunnel(tunnel) => tunnel.backend().reset_at_close(),
            }
        }
        end
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TunnelEnd> {
        match self {
            Self::Raw(tunnel) => Pin::new(tunnel).poll(cx),
            Self::FramedTunnel(tunnel) => Pin::new(&mut **tunnel).poll(cx),
        }
    }
}

async fn to_the_end<C, T>(running: &mut Running<C>, mut leave: Leave<'_, T>, worker: &WorkerState) -> TunnelEnd
where
    C: AsyncRead + AsyncWrite + Unpin,
    T: Future<Output = Order>,
{
    let over = poll_fn(|cx| match running.poll(cx) {
        Poll::Ready(end) => Poll::Ready(Ok(end)),
        Poll::Pending => leave.poll(cx).map(Err),
    });
    let (why, limit) = match (over.await, &running) {
        (Err(leave), _) => leave,
        (Ok(end), Running::Raw(_)) if end.reason == TunnelReason::Idle => (Closed::Idle, FAREWELL),
        (Ok(end), _) => return end,
    };
    // Boxed, so that a tunnel's task is not as large for as long as it stands.
    Box::pin(farewell(running, why, Instant::now() + limit, worker.roll() as u32)).await
}

/// Says goodbye to both ends with a close frame, where there are frames.
async fn farewell<C>(running: &mut Running<C>, why: Closed, limit: Instant, seed: u32) -> TunnelEnd
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let tunnel = match running {
        Running::Raw(tunnel) => tunnel,
        Running::FramedTunnel(tunnel) => {
            tunnel.leave(why);
            return match timeout_at(limit, &mut **tunnel).await {
                Ok(end) => end,
                Err(_) => tunnel.cut(),
            };
        }
    };
    if let Ok(Some(end)) = timeout_at(limit, tunnel.until_ready_to_part()).await {
        return end;
    }
    if let Some(mut parting) = tunnel.part(why, seed) {
        return match timeout_at(limit, &mut parting).await {
            Ok(end) => end,
            Err(_) => parting.cut(),
        };
    }
    let end = tunnel.cut();
    TunnelEnd { reason: if why == Closed::Idle { TunnelReason::Idle } else { end.reason }, ..end }
}

impl Holder {
    fn over(&self, end: TunnelEnd) {
        let course = &self.exchange.state;
        course.bytes_in.set(end.bytes_in);
        course.bytes_out.set(end.bytes_out);
        course.close_code.set(end.close_code);
        security_event::ended(&self.exchange, end.reason);
        self.exchange.blame(end.reason.code());
    }
}
