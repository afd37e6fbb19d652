//! The spine: one request forward, one answer back. Arrive → route → steps in → the end → steps out; what refuses on the
//! way is a value, and becomes an answer in one place.

use std::future::Future;
use std::rc::Rc;

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, Version};
use tokio::time::Instant;

use super::body::Body;
use super::connection::Connection;
use super::error_response::{self, Asked, Form};
use super::exchange::Exchange;
use super::forward::{self, Framing, Hop};
use super::https_redirect;
use super::redirect::Redirect;
use super::refusal::{Malformed, Refusal, Rule, WrongField};
use super::refuse;
use super::security_event;
use super::snapshot::{Handler, Route, Snapshot};
use super::step::Flow;
use super::tunnel::facts::Routed;
use super::upstream_request::{self, Arrival};
use super::worker::Worker;
use super::{content, upgrade, validate};
use crate::config::settings::GatewayLimits;

/// The client is gone: there is nobody to answer.
#[derive(Debug, thiserror::Error)]
#[error("the client left before there was an answer")]
pub struct Broken;

/// Answers one request.
///
/// # Errors
/// [`Broken`] when the client left in the middle of its request; its connection is then closed, or its stream reset.
pub fn serve(
    worker: Rc<Worker>,
    connection: Rc<Connection>,
    request: Request<Body>,
) -> impl Future<Output = Result<Response<Body>, Broken>> {
    // An async fn would keep the room of its argument beside that of the slot.
    let mut slot = Some(request);
    async move {
        let in_force = worker.snapshot();
        let request = slot.as_ref().expect("the request has just been put here");
        let exchange = Exchange::begin(&worker.state, &connection, &in_force.0.trusted, request);
        let page = Page::of(request);
        let arrival = let_in(&exchange, &in_force.0)
            .and_then(|()| verified(&connection))
            .and_then(|()| arrive(&connection, &in_force.0.limits, request));
        let outcome = match arrival {
            Ok(arrival) => match content::begin(lent(&mut slot)).await {
                Ok(()) => pass(&exchange, &in_force.0, &arrival, &mut slot, &page).await,
                Err(fault) => {
                    exchange.state.fault_in.set(Some(fault));
                    Err(exchange.refusal_of_body())
                }
            },
            Err(refusal) => Err(refusal),
        };
        let mut response = match outcome {
            Ok(response) => response,
            Err(Refusal::ClientLeft) => {
                exchange.refused(&Refusal::ClientLeft);
                return Err(Broken);
            }
            Err(refusal) => {
                // No block was found, so the request still lies in its slot.
                let raw = slot.as_ref().map(|request| validate::authority(request.version(), request.uri(), request.headers()));
                let site = refuse::site(&in_force.0, &connection, raw.transpose().map(Option::flatten));
                let asked = slot.as_ref().filter(|_| refusal == Refusal::NothingHere);
                let mut response = match site.zip(asked).and_then(|(site, request)| site.preflight(request)) {
                    Some(response) => {
                        exchange.answered_by_us(response.status().as_u16());
                        response
                    }
                    None => page.answer(&exchange, &refusal),
                };
                if let Some(site) = site {
                    let origin = slot.as_ref().and_then(|request| request.headers().get(header::ORIGIN));
                    site.dress(&mut response, (page.form(), page.head), connection.is_secure(), origin);
                }
                response
            }
        };
        content::normalise(page.head, &mut response);
        Ok(response.map(|body| body.watched(exchange)))
    }
}

/// Answers bytes of which no request could be made, for `refusal`; `request` is what could be read of them. Ends the connection.
pub fn refuse(worker: &Rc<Worker>, connection: &Rc<Connection>, request: &Request<()>, refusal: &Refusal) -> Response<Body> {
    let in_force = worker.snapshot();
    let exchange = Exchange::begin(&worker.state, connection, &in_force.0.trusted, request);
    let page = Page::of(request);
    let mut response = match let_in(&exchange, &in_force.0) {
        Ok(()) => {
            security_event::unreadable(&exchange, refusal);
            page.answer(&exchange, refusal)
        }
        Err(banned) => page.answer(&exchange, &banned),
    };
    let host = request.headers().get(header::HOST).map(HeaderValue::as_bytes);
    if let Some(site) = refuse::site(&in_force.0, connection, Ok(host)) {
        let origin = request.headers().get(header::ORIGIN);
        site.dress(&mut response, (page.form(), page.head), connection.is_secure(), origin);
    }
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    content::normalise(page.head, &mut response);
    response.map(|body| body.watched(exchange))
}

/// What a page will depend on, kept for when the request is gone.
struct Page {
    accept: Option<HeaderValue>,
    grpc: bool,
    head: bool,
    /// Whether an upgrade was asked for.
    upgrade: bool,
    /// Whether requests follow one another on one stream of bytes.
    in_line: bool,
}

impl Page {
    fn of<B>(request: &Request<B>) -> Self {
        Self {
            accept: request.headers().get(header::ACCEPT).cloned(),
            grpc: error_response::is_grpc(request.headers()),
            head: request.method() == Method::HEAD,
            upgrade: request.method() == Method::CONNECT || upgrade::is_asked(request.headers()),
            in_line: request.version() <= Version::HTTP_11,
        }
    }

    fn form(&self) -> Form {
        if self.grpc { Form::Grpc } else { Form::of(self.accept.as_ref()) }
    }

    fn answer(&self, exchange: &Exchange, refusal: &Refusal) -> Response<Body> {
        exchange.refused(refusal);
        security_event::refused(exchange, refusal, self.upgrade);
        let mut response = error_response::answer(refusal, Asked { form: self.form(), head: self.head, id: exchange.id() });
        // Where such a request ends is as doubtful as what it says: what follows is not taken for another one (RFC 9112
        // section 11.2).
        // A connection with a stand-in certificate is of no further use.
        let ends = matches!(refusal, Refusal::Malformed(_) | Refusal::Forbidden(Rule::Banned) | Refusal::CertificatePending);
        if self.in_line && ends {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Refuses who is shut out, whatever it asks.
fn let_in(exchange: &Exchange, snapshot: &Snapshot) -> Result<(), Refusal> {
    match &snapshot.bans {
        Some(bans) if bans.is_out(exchange.client, Instant::now()) => Err(Refusal::Forbidden(Rule::Banned)),
        Some(_) | None => Ok(()),
    }
}

/// Nothing is served under a certificate that only stands in while the host's own is being obtained.
fn verified(connection: &Connection) -> Result<(), Refusal> {
    if connection.tls().is_some_and(|tls| tls.is_stand_in) { Err(Refusal::CertificatePending) } else { Ok(()) }
}

fn arrive(connection: &Connection, limits: &GatewayLimits, request: &Request<Body>) -> Result<Arrival, Refusal> {
    if let Some(wrong) = request.extensions().get::<WrongField>() {
        return Err(Refusal::Malformed(Malformed::Section(*wrong)));
    }
    let (uri, headers) = (request.uri(), request.headers());
    let header_size = validate::within(limits, request.version(), uri, headers)?;
    validate::target(request.method(), uri, upgrade::is_extended_connect(request.method(), request.extensions()))?;
    let raw = validate::authority(request.version(), uri, headers).map_err(Refusal::Malformed)?;
    let authority = connection.authority(raw).map_err(Refusal::Malformed)?;
    validate::credentials(headers).map_err(Refusal::Malformed)?;
    let chunked = validate::framing(headers, request.body().is_empty()).map_err(Refusal::Malformed)?;
    if headers.get_all(header::EXPECT).iter().any(|expect| !expect.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(Refusal::Expectation);
    }
    Ok(Arrival { authority, chunked, header_size })
}

/// Finds the block that answers, and lets it.
async fn pass(
    exchange: &Rc<Exchange>,
    snapshot: &Snapshot,
    arrival: &Arrival,
    slot: &mut Option<Request<Body>>,
    page: &Page,
) -> Result<Response<Body>, Refusal> {
    let request = lent(slot);
    let connection = &exchange.connection;
    let routes = &snapshot.routes;
    let host = &arrival.authority.host;
    if !connection.is_secure() && routes.site(connection.port(), host).is_none() {
        let sent_on = https_redirect::send_on((routes, snapshot.ports), host, request, page.head);
        return sent_on.inspect(|_| exchange.answered_by_us(https_redirect::STATUS.as_u16()));
    }
    let found = {
        let path = validate::path(request.uri().path()).map_err(Refusal::Malformed)?;
        let found = routes.find(connection.port(), host, &path)?;
        if page.upgrade {
            exchange.state.routed.replace(Some(Box::new(Routed { host: host.clone(), path: path.as_ref().into() })));
        }
        found
    };
    let lane = snapshot.lane(found);
    if let Some(client_certs) = &lane.client_certs {
        client_certs.check(connection.tls(), host)?;
    }
    exchange.state.silent.set(!lane.logged);
    through(exchange, (lane, snapshot), arrival, slot, page).await
}

/// The request, which lies in one slot until it is sent; [`upstream_request::ask`] says why.
fn lent(slot: &mut Option<Request<Body>>) -> &mut Request<Body> {
    slot.as_mut().expect("a request is taken from its slot only to be sent")
}

/// The way in, the end, and the way out over the steps that were entered.
async fn through(
    exchange: &Rc<Exchange>,
    (lane, snapshot): (&Route, &Snapshot),
    arrival: &Arrival,
    slot: &mut Option<Request<Body>>,
    page: &Page,
) -> Result<Response<Body>, Refusal> {
    clean(exchange, lane, arrival, lent(slot), page);
    let mut entered = 0;
    let outcome = 'way: {
        for step in &lane.steps {
            entered += 1;
            match step.enter(exchange, lent(slot)) {
                Ok(Flow::Onward) => (),
                Ok(Flow::Answer(response)) => {
                    exchange.answered_by_us(response.status().as_u16());
                    break 'way Ok(*response);
                }
                Ok(Flow::Later(decision)) => match decision.await {
                    Ok(None) => (),
                    Ok(Some(response)) => break 'way Ok(response),
                    Err(refusal) => break 'way Err(refusal),
                },
                Err(refusal) => break 'way Err(refusal),
            }
        }
        match &lane.ending {
            Handler::Proxy(cluster) => upstream_request::ask(exchange, (snapshot, lane, cluster), arrival, slot).await,
            Handler::Files(files) => {
                let answer = files.answer(lent(slot)).await;
                answer.inspect(|response| exchange.answered_by_us(response.status().as_u16()))
            }
            Handler::Redirect(redirect) => redirected(exchange, redirect, lent(slot), page),
            Handler::Respond { code, text } => {
                exchange.answered_by_us(code.as_u16());
                let text_plain = HeaderValue::from_static("text/plain; charset=utf-8");
                Ok(error_response::own(*code, text_plain, text.clone(), page.head))
            }
        }
    };
    let (passed, others) = lane.steps.split_at(entered);
    let mut response = match outcome {
        Ok(response) => response,
        Err(Refusal::ClientLeft) => return Err(Refusal::ClientLeft),
        Err(refusal) => {
            let mut response = page.answer(exchange, &refusal);
            if let Some(pages) = &lane.pages {
                pages.dress(&mut response, page.form(), page.head);
            }
            for step in others {
                step.leave_refused(slot.as_ref(), &mut response);
            }
            response
        }
    };
    for step in passed.iter().rev() {
        step.leave(exchange, &mut response);
    }
    Ok(response)
}

/// Takes out of a request what belongs to the client's connection or could pass for what the gateway says, before any step
/// adds a field.
fn clean(exchange: &Exchange, lane: &Route, arrival: &Arrival, request: &mut Request<Body>, page: &Page) {
    let version = request.version();
    let hop = if page.upgrade { Hop::Upgrades } else { Hop::Ends };
    let framing = if arrival.chunked { Framing::Chunked } else { Framing::AsSent };
    let host = (&arrival.authority.line, exchange.peer());
    let cleaned = forward::clean(request.headers_mut(), host, (version, framing), hop, &lane.guard);
    exchange.state.found.set(cleaned.is);
    security_event::fields_dropped(exchange, &cleaned.dropped);
}

fn redirected(exchange: &Exchange, redirect: &Redirect, request: &Request<Body>, page: &Page) -> Result<Response<Body>, Refusal> {
    let location = redirect.location(request.uri()).ok_or(Refusal::Malformed(Malformed::Target))?;
    exchange.answered_by_us(redirect.code.as_u16());
    Ok(error_response::redirect(redirect.code, location, page.head))
}

#[cfg(test)]
mod tests;
