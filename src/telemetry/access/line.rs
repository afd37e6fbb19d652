//! One access record as one line: for people, or as JSON. Pure, and without an allocation of its own.

use std::io::Write;
use std::time::Duration;

use super::AccessRecord;
use super::redact::Redactor;
use crate::base::escape::{Bounded, Escape};
use crate::telemetry::digits;
use crate::telemetry::timestamp::Stamp;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One readable line.
    Human,
    /// One JSON object a line.
    Json,
}

/// Characters of a request target or Referer that are shown: enough to recognise it, little enough for a log collector.
const MAX_URL: usize = 1_024;
/// Characters of every other text.
const MAX_TEXT: usize = 256;

/// Appends the record and a line's end.
pub fn push(form: Form, at: Stamp, record: &AccessRecord<'_>, hide: &Redactor, out: &mut Vec<u8>) {
    match form {
        Form::Human => push_human(at, record, hide, out),
        Form::Json => push_json(at, record, hide, out),
    }
    out.push(b'\n');
}

/// `TIME  CLIENT GET https://host/path 200 1234 B in 3.2 ms, 127.0.0.1:8000 answered after 2.9 ms`, then what went wrong.
fn push_human(at: Stamp, record: &AccessRecord<'_>, hide: &Redactor, out: &mut Vec<u8>) {
    print(out, format_args!("{at}  {} ", record.client));
    text(out, Escape::Human, record.method);
    print(out, format_args!(" {}://", record.scheme));
    text(out, Escape::Human, record.host);
    hide.push_url(record.target, &mut Bounded::new(out, Escape::Human, MAX_URL));
    print(out, format_args!(" {} {} B", record.status, record.bytes_out));
    if record.bytes_in > 0 {
        print(out, format_args!(" ({} B sent)", record.bytes_in));
    }
    print(out, format_args!(" in {}", Millis(record.duration)));
    if let Some(upstream) = record.upstream {
        out.extend_from_slice(b", ");
        text(out, Escape::Human, upstream);
        if let Some(connect) = record.connect {
            print(out, format_args!(" connected in {}", Millis(connect)));
        }
        if let Some(first_byte) = record.first_byte {
            print(out, format_args!(" answered after {}", Millis(first_byte)));
        }
    }
    if let Some(code) = record.close_code {
        print(out, format_args!(", closed {code}"));
    }
    if !record.reason.is_empty() {
        print(out, format_args!(", {}: ", record.by));
        text(out, Escape::Human, record.reason);
    }
}

fn push_json(at: Stamp, record: &AccessRecord<'_>, hide: &Redactor, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"timestamp":""#);
    at.push(out);
    out.extend_from_slice(br#"","level":"INFO","event":"access""#);
    field(out, "id", record.id);
    out.extend_from_slice(br#","client":""#);
    digits::push_ip(out, record.client);
    out.push(b'"');
    field(out, "method", record.method);
    field(out, "scheme", record.scheme);
    field(out, "host", record.host);
    url_field(out, "target", record.target, hide);
    field(out, "version", record.version);
    number_field(out, "status", record.status.into());
    number_field(out, "bytes_in", record.bytes_in);
    number_field(out, "bytes_out", record.bytes_out);
    millis_field(out, "duration_ms", Some(record.duration));
    optional(out, "upstream", record.upstream);
    millis_field(out, "connect_ms", record.connect);
    millis_field(out, "first_byte_ms", record.first_byte);
    field(out, "by", record.by);
    optional(out, "reason", Some(record.reason).filter(|reason| !reason.is_empty()));
    if let Some(code) = record.close_code {
        number_field(out, "close_code", code.into());
    }
    if let Some(referer) = record.referer {
        url_field(out, "referer", referer, hide);
    }
    optional(out, "user_agent", record.user_agent);
    out.push(b'}');
}

fn number_field(out: &mut Vec<u8>, name: &str, number: u64) {
    name_of(out, name);
    digits::push(out, number);
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    name_of(out, name);
    out.push(b'"');
    text(out, Escape::Json, value);
    out.push(b'"');
}

fn optional(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        field(out, name, value);
    }
}

fn url_field(out: &mut Vec<u8>, name: &str, url: &str, hide: &Redactor) {
    name_of(out, name);
    out.push(b'"');
    hide.push_url(url, &mut Bounded::new(out, Escape::Json, MAX_URL));
    out.push(b'"');
}

fn millis_field(out: &mut Vec<u8>, name: &str, span: Option<Duration>) {
    if let Some(span) = span {
        name_of(out, name);
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        digits::push(out, micros / 1_000);
        out.push(b'.');
        digits::push_wide(out, micros % 1_000, 3);
    }
}

fn name_of(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn text(out: &mut Vec<u8>, escape: Escape, value: &str) {
    Bounded::new(out, escape, MAX_TEXT).push(value);
}

fn print(out: &mut Vec<u8>, words: std::fmt::Arguments<'_>) {
    out.write_fmt(words).expect("writing to memory succeeds");
}

/// A span for reading: `0.4 ms`, `312 ms`, `12.5 s`.
struct Millis(Duration);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.0.as_micros();
        match micros {
            0..10_000 => write!(f, "{}.{} ms", micros / 1_000, micros % 1_000 / 100),
            10_000..10_000_000 => write!(f, "{} ms", micros / 1_000),
            _ => write!(f, "{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> AccessRecord<'static> {
        AccessRecord {
            id: "7f3a",
            client: [203, 0, 113, 9].into(),
            method: "GET",
            scheme: "https",
            host: "example.com",
            target: "/a?token=x&b=1",
            version: "HTTP/2.0",
            status: 200,
            bytes_in: 0,
            bytes_out: 1_234,
            duration: Duration::from_micros(3_250),
            upstream: Some("127.0.0.1:8000"),
            connect: None,
            first_byte: Some(Duration::from_micros(2_900)),
            by: "backend",
            reason: "",
            close_code: None,
            referer: None,
            user_agent: None,
        }
    }

    fn line(form: Form, record: &AccessRecord<'_>) -> String {
        let mut out = Vec::new();
        push(form, Stamp(1_795_219_200_250), record, &Redactor::new([]), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_plain_request_reads_well() {
        assert_eq!(
            line(Form::Human, &sample()),
            "2026-11-21T00:00:00.250Z  203.0.113.9 GET https://example.com/a?token=***&b=1 200 1234 B in 3.2 ms, \
             127.0.0.1:8000 answered after 2.9 ms\n"
        );
        assert_eq!(
            line(Form::Json, &sample()),
            concat!(
                r#"{"timestamp":"2026-11-21T00:00:00.250Z","level":"INFO","event":"access","id":"7f3a","client":"203.0.113.9","#,
                r#""method":"GET","scheme":"https","host":"example.com","target":"/a?token=***&b=1","version":"HTTP/2.0","#,
                r#""status":200,"bytes_in":0,"bytes_out":1234,"duration_ms":3.250,"upstream":"127.0.0.1:8000","#,
                r#""first_byte_ms":2.900,"by":"backend"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_tunnel_tells_its_close_code_and_a_failure_its_hop() {
        let tunnel = AccessRecord { scheme: "wss", status: 101, close_code: Some(1006), bytes_in: 7, ..sample() };
        assert_eq!(
            line(Form::Human, &tunnel),
            "2026-11-21T00:00:00.250Z  203.0.113.9 GET wss://example.com/a?token=***&b=1 101 1234 B (7 B sent) in 3.2 ms, \
             127.0.0.1:8000 answered after 2.9 ms, closed 1006\n"
        );
        let connect = Some(Duration::from_secs(12));
        let failed =
            AccessRecord { status: 502, by: "gateway", reason: "connect-refused", first_byte: None, connect, ..sample() };
        let text = line(Form::Human, &failed);
        assert!(text.ends_with("127.0.0.1:8000 connected in 12.0 s, gateway: connect-refused\n"), "{text}");
        assert!(line(Form::Json, &failed).contains(r#","connect_ms":12000.000,"by":"gateway","reason":"connect-refused"}"#));
    }

    #[test]
    fn every_line_of_a_hostile_request_is_one_line_and_json() {
        let evil = "a\"b\\\n\u{1b}[2J\u{202e}é".repeat(400);
        let url = format!("https://u:p@{evil}/?token=s");
        let record = AccessRecord {
            id: &evil,
            method: &evil,
            host: &evil,
            target: &evil,
            upstream: Some(&evil),
            reason: &evil,
            referer: Some(&url),
            user_agent: Some(&evil),
            ..sample()
        };
        for form in [Form::Human, Form::Json] {
            let text = line(form, &record);
            assert_eq!(text.matches('\n').count(), 1);
            assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
            assert!(text.len() < 16_000, "{} bytes", text.len());
        }
        let value: serde_json::Value = serde_json::from_str(&line(Form::Json, &record)).unwrap();
        assert_eq!(value["host"].as_str().unwrap().chars().count(), 257);
    }
}
