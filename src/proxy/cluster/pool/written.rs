//! A request's header as it was written, to be read back when the connection it went to turns out to have been closed.
//!
//! Rejected: a copy of the header map for every request that might be sent twice, some 2,500 instructions to make and to
//! drop. Copying the bytes that are written anyway is one call, and reading them back is needed about never.

use std::cell::{Cell, RefCell};
use std::mem;

use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Uri};

/// What is kept in memory between two exchanges of a connection, in bytes.
const USUAL: usize = 4096;

/// The header of the present exchange's request, while it is kept.
#[derive(Debug, Default)]
pub(super) struct Written {
    keeping: Cell<bool>,
    bytes: RefCell<Vec<u8>>,
}

impl Written {
    /// Begins anew; a request without a body may be kept.
    pub(super) fn begin(&self, keep: bool) {
        self.keeping.set(keep);
        let mut bytes = self.bytes.borrow_mut();
        bytes.clear();
        bytes.shrink_to(USUAL);
    }

    /// These bytes were written next.
    pub(super) fn note(&self, bytes: &[u8]) {
        if self.keeping.get() {
            self.bytes.borrow_mut().extend_from_slice(bytes);
        }
    }

    /// More than a header is written.
    pub(super) fn forget(&self) {
        self.keeping.set(false);
    }

    /// The request as it was written, with `body`; `None` when it was not kept or not written in full. Extensions of the
    /// request are not part of it.
    pub(super) fn read_back<B>(&self, body: B) -> Option<Request<B>> {
        if !self.keeping.replace(false) {
            return None;
        }
        read(&mem::take(&mut *self.bytes.borrow_mut()), body)
    }
}

fn read<B>(bytes: &[u8], body: B) -> Option<Request<B>> {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    let mut fields = vec![httparse::EMPTY_HEADER; lines];
    let mut head = httparse::Request::new(&mut fields);
    let complete = head.parse(bytes).is_ok_and(|status| status == httparse::Status::Complete(bytes.len()));
    let (true, Some(method), Some(target)) = (complete, head.method, head.path) else { return None };
    let mut request = Request::new(body);
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = Uri::try_from(target).ok()?;
    let headers = request.headers_mut();
    headers.reserve(head.headers.len());
    for field in head.headers {
        headers.append(HeaderName::from_bytes(field.name.as_bytes()).ok()?, HeaderValue::from_bytes(field.value).ok()?);
    }
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read back of a header written in pieces, field by field.
    fn check(pieces: &[&str], expected: Option<&[&str]>) {
        let written = Written::default();
        written.begin(true);
        pieces.iter().for_each(|piece| written.note(piece.as_bytes()));
        let read = written.read_back(()).map(|request| {
            let line = format!("{} {}", request.method(), request.uri());
            let fields = request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            std::iter::once(line).chain(fields).collect::<Vec<_>>()
        });
        let expected = expected.map(|lines| lines.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(read, expected, "{pieces:?}");
    }

    #[test]
    fn a_header_is_read_back_as_it_was_written() {
        let expected: &[_] = &["GET /a%20b?c=d&e", "host: a.example", "cookie: a=1", "cookie: b=2"];
        check(&["GET /a%20b?c=d&e HTTP/1.1\r\nhost: a.example\r\ncookie: a=1\r\ncookie: b=2\r\n\r\n"], Some(expected));
        check(&["GET /a%20b?c=d&e HTTP/1.1\r\nhost: a.exa", "mple\r\ncookie: a=1\r\ncookie: b=2\r\n", "\r\n"], Some(expected));
        check(&["OPTIONS * HTTP/1.1\r\n\r\n"], Some(&["OPTIONS *"]));
    }

    #[test]
    fn what_is_not_a_whole_header_alone_is_not_read_back() {
        check(&[], None);
        check(&["GET / HTTP/1.1\r\nhost: a.exa"], None);
        check(&["GET / HTTP/1.1\r\n\r\nbody"], None);
        let written = Written::default();
        written.note(b"GET / HTTP/1.1\r\n\r\n");
        assert!(written.read_back(()).is_none(), "nobody asked to keep it");
    }
}
