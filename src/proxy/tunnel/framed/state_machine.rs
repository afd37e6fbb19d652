//! A tunnel with rules: both directions of it as one machine that is prebuilt what came and when, and says what goes where.
//! Pings of ours find dead peers; a broken limit, a rule of time or the gateway's own end closes both ends politely.
//! It does no input or output itself.

use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::coding::Control;

use super::injected;
use super::limits::{MessageBudget, MessageLimits};
use super::parser::{FrameAction, FrameParser, FrameVisitor, Violation};
use crate::config::settings::MessageLimit;

/// How long an end may take for its part of a close before it is passed over.
pub const POLITE: Duration = Duration::from_secs(2);

/// The ends of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Who asked for the tunnel.
    Client,
    /// Who granted it.
    Backend,
}

impl End {
    /// The end across.
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Backend,
            Self::Backend => Self::Client,
        }
    }
}

/// The rules of one tunnel.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What the client may send.
    pub message: Option<MessageLimit>,
    /// How many messages it may still send through this and its other tunnels.
    pub budget: Option<MessageBudget>,
    /// An end that was silent for this long is pinged, and is dead when it stays silent for as long again.
    pub ping: Option<Duration>,
    /// Without a frame but pings of ours for this long, the tunnel ends.
    pub idle: Option<Duration>,
}

/// Why a tunnel was closed from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// An end broke a limit or the protocol.
    Broke(End, Violation),
    /// An end did not answer a ping.
    Dead(End),
    /// Nothing happened for as long as the site allows.
    Idle,
    /// The gateway ends, or the route or the backend is gone.
    Away,
    /// It has stood for as long as the site allows.
    Aged,
}

impl Closed {
    /// The code of the close frame (RFC 6455 section 7.4.1).
    pub const fn code(self) -> u16 {
        match self {
            Self::Broke(_, violation) => violation.code(),
            Self::Dead(End::Backend) => 1011,
            Self::Dead(End::Client) | Self::Idle | Self::Away | Self::Aged => 1001,
        }
    }

    /// A stable code for logs and counters.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Broke(_, violation) => violation.reason(),
            Self::Dead(End::Client) => "client-silent",
            Self::Dead(End::Backend) => "backend-silent",
            Self::Idle => "tunnel-idle",
            Self::Away => "tunnel-drained",
            Self::Aged => "tunnel-max-age",
        }
    }
}

/// Both directions of a tunnel.
#[derive(Debug)]
pub struct FramedRelay {
    rules: Rules,
    limits: Option<MessageLimits>,
    /// When a frame of the ends last passed.
    moved: Instant,
    client: FrameDirection,
    backend: FrameDirection,
    closed: Option<(Closed, Instant)>,
    /// Who ended first, if not we.
    first: Option<End>,
    number: u32,
    masks: u32,
}

/// What is known of one end.
#[derive(Debug)]
struct FrameDirection {
    /// Over what this end sends.
    walker: FrameParser,
    heard: Instant,
    /// When our ping left for it, while nothing has been heard since.
    pinged: Option<Instant>,
    /// A ping is to be sent as soon as this end is between two frames.
    ask: bool,
    /// A close frame of ours, to be sent as soon as this end is between two frames.
    farewell: Option<Closed>,
    /// A close frame has gone or is about to go to this end, from the other end or from us.
    prebuilt: bool,
    /// This end sends no more that matters.
    ended: bool,
    /// The code of the close frame it sent.
    close_code: Option<u16>,
}

impl FrameDirection {
    fn new(now: Instant) -> Self {
        Self {
            walker: FrameParser::default(),
            heard: now,
            pinged: None,
            ask: false,
            farewell: None,
            prebuilt: false,
            ended: false,
            close_code: None,
        }
    }

    /// When it is time to ping it, or to give it up.
    fn due(&self, every: Duration) -> Option<Instant> {
        (!self.ended && !self.prebuilt && !self.ask).then(|| self.pinged.unwrap_or(self.heard) + every)
    }

    const fn tell(&mut self, why: Closed) {
        if !self.prebuilt {
            self.prebuilt = true;
            self.farewell = Some(why);
        }
    }
}

impl FramedRelay {
    /// A tunnel that stands since `now`. `seed` is any number, another one for each tunnel.
    pub fn new(rules: Rules, now: Instant, seed: u32) -> Self {
        Self {
            limits: rules.message.map(|limit| MessageLimits::new(limit, rules.budget.clone(), now)),
            rules,
            moved: now,
            client: FrameDirection::new(now),
            backend: FrameDirection::new(now),
            closed: None,
            first: None,
            number: seed,
            masks: seed,
        }
    }

    /// A tunnel without rules, in the middle of what was sent; the client's walker first.
    pub fn resume((client, backend): (FrameParser, FrameParser), now: Instant, seed: u32) -> Self {
        let mut relay = Self::new(Rules::default(), now, seed);
        relay.client.walker = client;
        relay.backend.walker = backend;
        relay
    }

    /// `chunk` came from `end`; what of it goes to the other end is handed to `pass`.
    pub fn received(&mut self, end: End, chunk: &[u8], now: Instant, mut pass: impl FnMut(&[u8])) {
        self.heard(end, now);
        if matches!(self.closed, Some((Closed::Broke(broke, _), _)) if broke == end) {
            return;
        }
        let late = self.closed.is_some() && self.half(end.other()).prebuilt;
        let limits = self.limits.as_mut().filter(|_| end == End::Client);
        let closing = self.closed.is_some();
        let mut bench = Bench { limits, now, number: self.number, late, closing, close: None };
        let half = if end == End::Client { &mut self.client } else { &mut self.backend };
        let mut passed = false;
        let verdict = half.walker.walk(chunk, &mut bench, |bytes| {
            passed = true;
            pass(bytes);
        });
        let close = bench.close;
        if passed {
            self.moved = now;
        }
        if let Some(code) = close {
            self.closed_by(end, code);
        }
        if let Err(violation) = verdict {
            self.close(Closed::Broke(end, violation), now);
        }
    }

    /// A sign of life: bytes came from `end`, or it took some after it had taken none for a while.
    pub fn heard(&mut self, end: End, now: Instant) {
        let half = self.half(end);
        half.heard = now;
        half.pinged = None;
    }

    /// A close frame came from `end`. It has gone to the other one, unless we are closing with a code of our own: then
    /// it was kept, and was what the other end had to wait for.
    fn closed_by(&mut self, end: End, code: Option<u16>) {
        let closed = self.closed;
        self.first = self.first.or(Some(end));
        let half = self.half(end);
        half.close_code = code;
        half.ended = true;
        match closed {
            None => self.half(end.other()).prebuilt = true,
            Some((why, _)) => self.half(end.other()).tell(why),
        }
    }

    /// Closes both ends with a code of ours. Who broke a rule learns it after the other end has had its say, or after
    /// [`POLITE`], so that answers on their way still arrive.
    pub fn close(&mut self, why: Closed, now: Instant) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some((why, now));
        match why {
            Closed::Broke(end, _) => {
                self.half(end).ended = true;
                self.half(end.other()).tell(why);
                if self.half(end.other()).ended {
                    self.half(end).tell(why);
                }
            }
            Closed::Dead(end) => {
                self.half(end).ended = true;
                self.half(end).prebuilt = true;
                self.half(end.other()).tell(why);
            }
            Closed::Idle | Closed::Away | Closed::Aged => {
                self.client.tell(why);
                self.backend.tell(why);
            }
        }
    }

    /// `end` sends no more: its stream has ended.
    pub fn ended(&mut self, end: End) {
        self.first = self.first.or(Some(end));
        self.half(end).ended = true;
        if let Some((why, _)) = self.closed {
            self.half(end.other()).tell(why);
        }
    }

    /// A frame of ours that is to be sent to `end` now, besides what passes; none while it is in the middle of a frame.
    pub fn aside(&mut self, end: End, now: Instant) -> Option<Vec<u8>> {
        if !self.half(end.other()).walker.at_boundary() {
            return None;
        }
        let (number, mask) = (self.number, self.mask(end));
        let half = self.half(end);
        if let Some(why) = half.farewell.take() {
            return Some(injected::close(why.code(), why.reason(), mask));
        }
        if !std::mem::take(&mut half.ask) || half.prebuilt {
            return None;
        }
        half.pinged = Some(now);
        Some(injected::ping(number, mask))
    }

    /// Looks at the clock: pings who was silent, and ends what has lasted too long. Gives whether the tunnel is to be cut.
    pub fn tick(&mut self, now: Instant) -> bool {
        if let Some((why, since)) = self.closed {
            if now >= since + POLITE {
                self.client.tell(why);
                self.backend.tell(why);
            }
            return now >= since + 2 * POLITE;
        }
        if self.rules.idle.is_some_and(|idle| now >= self.moved + idle) {
            self.close(Closed::Idle, now);
            return false;
        }
        let Some(every) = self.rules.ping else { return false };
        for end in [End::Client, End::Backend] {
            let half = self.half(end);
            if half.due(every).is_none_or(|due| now < due) {
                continue;
            }
            if half.pinged.is_some() {
                self.close(Closed::Dead(end), now);
                break;
            }
            half.ask = true;
        }
        false
    }

    /// When [`Self::tick`] has something to do at the latest; `None` is never.
    pub fn wake(&self) -> Option<Instant> {
        if let Some((_, since)) = self.closed {
            let prebuilt = self.client.prebuilt && self.backend.prebuilt;
            return Some(if prebuilt { since + 2 * POLITE } else { since + POLITE });
        }
        let ping = |half: &FrameDirection| half.due(self.rules.ping?);
        let idle = self.rules.idle.map(|idle| self.moved + idle);
        [ping(&self.client), ping(&self.backend), idle].into_iter().flatten().min()
    }

    /// Whether neither end has anything more to say to the other, nor we to them.
    pub const fn is_over(&self) -> bool {
        self.client.ended && self.backend.ended && self.client.farewell.is_none() && self.backend.farewell.is_none()
    }

    /// Who ended first: by a close frame, or by the end of its stream.
    pub const fn first_to_end(&self) -> Option<End> {
        self.first
    }

    /// Why it was closed from here, if it was.
    pub fn why(&self) -> Option<Closed> {
        self.closed.map(|(why, _)| why)
    }

    /// The code of the close frame: ours, else the first one of the ends.
    pub fn close_code(&self) -> Option<u16> {
        self.why().map(Closed::code).or(self.backend.close_code).or(self.client.close_code)
    }

    const fn half(&mut self, end: End) -> &mut FrameDirection {
        match end {
            End::Client => &mut self.client,
            End::Backend => &mut self.backend,
        }
    }

    /// An odd step, so that no mask comes twice before all have been.
    const fn mask(&mut self, end: End) -> Option<u32> {
        self.masks = self.masks.wrapping_add(0x9e37_79b9);
        match end {
            End::Client => None,
            End::Backend => Some(self.masks),
        }
    }
}

/// Judges over one chunk of one end.
struct Bench<'a> {
    limits: Option<&'a mut MessageLimits>,
    now: Instant,
    number: u32,
    /// A close frame of ours goes to the other end: what begins now comes too late for it.
    late: bool,
    closing: bool,
    close: Option<Option<u16>>,
}

impl FrameVisitor for Bench<'_> {
    fn data(&mut self, payload: u64, message: u64, first: bool) -> Result<FrameAction, Violation> {
        if self.late {
            return Ok(FrameAction::Keep);
        }
        if let Some(limits) = &mut self.limits {
            limits.data(payload, message, first, self.now)?;
        }
        Ok(FrameAction::Pass)
    }

    fn control(&mut self, kind: Control, payload: &[u8]) -> Result<FrameAction, Violation> {
        if let Some(limits) = &mut self.limits {
            limits.control(self.now)?;
        }
        let keep = match kind {
            Control::Close => {
                self.close = Some(injected::close_code(payload));
                self.closing
            }
            Control::Pong => self.late || injected::answers(payload, self.number),
            Control::Ping | Control::Reserved(_) => self.late,
        };
        Ok(if keep { FrameAction::Keep } else { FrameAction::Pass })
    }
}

#[cfg(test)]
mod tests;
