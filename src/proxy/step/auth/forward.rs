//! `auth forward`: another service sees the request's header and decides. 2xx lets it pass, with the headers of the answer
//! that the site names; anything else is the client's answer, a redirect to a login page above all.

use std::rc::Rc;

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Version};

use super::service::{self, Service};
use crate::proxy::backend_response::map_response;
use crate::proxy::body::Body;
use crate::proxy::exchange::Exchange;
use crate::proxy::forward::{self, Framing, Hop};
use crate::proxy::redirect::path_and_query;
use crate::proxy::refusal::Refusal;
use crate::proxy::security_event;
use crate::proxy::validate;

const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// What is about the request's body, about leaving HTTP, or a condition on what was asked for (RFC 9110 section 13): all would be
/// wrong in a question. A 304 of the service would become the client's.
const NOT_ASKED: [HeaderName; 15] = [
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONTENT_ENCODING,
    header::EXPECT,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::UPGRADE,
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];

/// Largest body of a yes that is read so that its connection can be used again.
const MAX_READ: usize = 64 * 1024;

/// The service of one block.
#[derive(Debug)]
pub struct Forward {
    service: Service,
    copy: Box<[HeaderName]>,
}

impl Forward {
    pub(super) fn new(service: Service, copy: &[String]) -> Self {
        Self { service, copy: copy.iter().filter_map(|name| HeaderName::try_from(name.as_str()).ok()).collect() }
    }

    /// Asks. An answer of the service that lets nobody pass is the client's.
    pub(super) async fn ask(
        &self,
        exchange: &Rc<Exchange>,
        request: &mut Request<Body>,
    ) -> Result<Option<Response<Body>>, Refusal> {
        let question = question(exchange, request)?;
        let (answered, lease) = self.service.ask(&exchange.worker, question).await.ok_or(Refusal::NoDecision)?;
        if answered.response.status().is_informational() {
            return Err(Refusal::NoDecision);
        }
        if !answered.response.status().is_success() {
            exchange.state.lease.replace(Some(lease));
            let answer = map_response(exchange, answered)?;
            security_event::not_let_pass(exchange, answer.status());
            return Ok(Some(answer));
        }
        take_over(&self.copy, answered.response.headers(), request.headers_mut());
        drop(service::whole(answered, MAX_READ).await);
        Ok(None)
    }
}

/// The request's header as a question.
fn question(exchange: &Rc<Exchange>, request: &Request<Body>) -> Result<Request<Body>, Refusal> {
    let authority = validate::authority(request.version(), request.uri(), request.headers()).map_err(Refusal::Malformed)?;
    let authority = exchange.connection.authority(authority).map_err(Refusal::Malformed)?;
    let mut question = Request::new(Body::empty());
    let headers = question.headers_mut();
    *headers = request.headers().clone();
    forward::towards_backend(headers, exchange.lines(&authority), request.version(), Framing::AsSent, Hop::Ends);
    for name in &NOT_ASKED {
        headers.remove(name);
    }
    let text = |text: &str| HeaderValue::from_str(text).ok();
    // A WebSocket over HTTP/2 is a GET to everybody behind us (RFC 8441 section 5).
    let method = if request.method() == Method::CONNECT { &Method::GET } else { request.method() };
    for (name, value) in [(FORWARDED_METHOD, text(method.as_str())), (FORWARDED_URI, text(path_and_query(request.uri())))] {
        headers.remove(&name);
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    *question.method_mut() = Method::GET;
    *question.version_mut() = Version::HTTP_11;
    Ok(question)
}

/// Only the service may set these, whatever the client sent under their names.
fn take_over(names: &[HeaderName], answer: &HeaderMap, request: &mut HeaderMap) {
    for name in names {
        request.remove(name);
        for value in answer.get_all(name) {
            request.append(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_headers_come_from_the_service_alone() {
        let name = HeaderName::from_static;
        let value = HeaderValue::from_static;
        let mut request = HeaderMap::from_iter([
            (name("remote-user"), value("root")),
            (name("remote-groups"), value("wheel")),
            (name("x-other"), value("stays")),
        ]);
        let answer = HeaderMap::from_iter([(name("remote-user"), value("alice")), (name("x-secret"), value("not asked for"))]);
        take_over(&[name("remote-user"), name("remote-groups")], &answer, &mut request);
        let expected = HeaderMap::from_iter([(name("remote-user"), value("alice")), (name("x-other"), value("stays"))]);
        assert_eq!(request, expected);
    }
}
