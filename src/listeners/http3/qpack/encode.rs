//! Writes a header section with what the static table has, and literals.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, header};

use super::integer;
use super::table::{self, Found};

/// Required insert count and base of a section that refers to no dynamic table.
const PREFIX: [u8; 2] = [0, 0];

/// An answer's header.
pub fn answer(status: StatusCode, headers: &HeaderMap, out: &mut Vec<u8>) {
    out.extend_from_slice(&PREFIX);
    field(":status", status.as_str().as_bytes(), false, out);
    fields(headers, out);
}

/// Trailers.
pub fn trailers(headers: &HeaderMap, out: &mut Vec<u8>) {
    out.extend_from_slice(&PREFIX);
    fields(headers, out);
}

fn fields(headers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in headers {
        if !is_of_a_connection(name) {
            field(name.as_str(), value.as_bytes(), is_secret(name, value), out);
        }
    }
}

/// Fields that HTTP/3 does not know (RFC 9114 section 4.2).
fn is_of_a_connection(name: &HeaderName) -> bool {
    matches!(*name, header::CONNECTION | header::TRANSFER_ENCODING | header::UPGRADE)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// Whether nobody on the way may put it into a table (RFC 9204 section 7.1.3).
fn is_secret(name: &HeaderName, value: &HeaderValue) -> bool {
    value.is_sensitive() || *name == header::SET_COOKIE
}

fn field(name: &str, value: &[u8], secret: bool, out: &mut Vec<u8>) {
    let never = u8::from(secret);
    match table::find(name, value) {
        Found::Line(index) => return integer::write(index, 6, 0b1100_0000, out),
        Found::Name(index) => integer::write(index, 4, 0b0101_0000 | never << 5, out),
        Found::Nothing => {
            integer::write(name.len(), 3, 0b0010_0000 | never << 4, out);
            out.extend_from_slice(name.as_bytes());
        }
    }
    integer::write(value.len(), 7, 0, out);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::super::decode::decode;
    use super::*;

    fn check(status: u16, fields: &[(&str, &str)], expected: &[(&str, &str)]) -> usize {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let mut block = Vec::new();
        answer(StatusCode::from_u16(status).unwrap(), &headers, &mut block);
        let section = decode(&block, 10_000).unwrap();
        let seen: Vec<_> = section.fields().map(|field| (field.name().to_vec(), field.value().to_vec())).collect();
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
        assert_eq!(seen, expected);
        block.len()
    }

    #[test]
    fn an_answer_reads_back() {
        assert_eq!(check(200, &[], &[(":status", "200")]), 3);
        assert_eq!(check(418, &[], &[(":status", "418")]), 8);
        let long = "v".repeat(300);
        check(
            404,
            &[
                ("content-type", "text/css"),
                ("server", "doorward"),
                ("x-long", &long),
                ("set-cookie", "a=1"),
                ("set-cookie", "b=2"),
            ],
            &[
                (":status", "404"),
                ("content-type", "text/css"),
                ("server", "doorward"),
                ("x-long", &long),
                ("set-cookie", "a=1"),
                ("set-cookie", "b=2"),
            ],
        );
    }

    #[test]
    fn what_belongs_to_a_connection_is_not_sent() {
        let hop = [("connection", "close"), ("transfer-encoding", "chunked"), ("upgrade", "x"), ("keep-alive", "1"), ("a", "b")];
        check(204, &hop, &[(":status", "204"), ("a", "b")]);
    }
}
