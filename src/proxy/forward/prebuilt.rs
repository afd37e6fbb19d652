//! What most requests' backends are prebuilt of the client, written out once for a connection.

use http::Version;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::{ADDED, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PORT, FORWARDED_PROTO, HeaderLines, REAL_IP, REQUEST_ID, via};

/// What [`towards_backend`](super::towards_backend) adds to an ordinary request, written behind the request's own fields:
/// lines that are the same for all requests of a connection to one authority, and the exchange's id. A map of fields would
/// hash each of them in, only to be walked once.
#[derive(Clone, Copy, Debug)]
pub struct PrebuiltHeaders<'a> {
    /// See [`HeaderLines::written`].
    pub lines: &'a [u8],
    /// The client's.
    pub version: Version,
    /// The exchange's id.
    pub id: &'a HeaderValue,
}

impl PrebuiltHeaders<'_> {
    /// Room for what is written beside the lines.
    pub const AROUND: usize = 64;

    /// Writes it.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.lines);
        for part in [b"via: ", via(self.version).as_bytes(), b"\r\nx-request-id: ", self.id.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }

    /// Adds it as fields, for a backend whose protocol has no lines.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        let lines = [self.lines, b"\r\n"].concat();
        let mut room = [httparse::EMPTY_HEADER; ADDED];
        let fields = httparse::parse_headers(&lines, &mut room).ok();
        let fields = fields.and_then(|read| if let httparse::Status::Complete((_, fields)) = read { Some(fields) } else { None });
        for field in fields.expect("lines of ours are read as they were written") {
            let value = HeaderValue::from_bytes(field.value).expect("it was one before it was written");
            headers.insert(HeaderName::from_bytes(field.name.as_bytes()).expect("a name of ours"), value);
        }
        headers.insert(header::VIA, via(self.version).clone());
        headers.insert(REQUEST_ID, self.id.clone());
    }
}

impl HeaderLines {
    /// The lines of [`PrebuiltHeaders`]: what of this is the same for all requests of a connection to one authority.
    pub fn written(&self) -> Vec<u8> {
        let fields = [
            (FORWARDED_FOR, &self.chain),
            (FORWARDED_PROTO, &self.proto),
            (FORWARDED_HOST, &self.host),
            (FORWARDED_PORT, &self.port),
            (REAL_IP, &self.client),
            (header::FORWARDED, &self.forwarded),
        ];
        let parts = fields.iter().flat_map(|(name, value)| [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        parts.fold(Vec::with_capacity(256), |mut all, part| {
            all.extend_from_slice(part);
            all
        })
    }
}
