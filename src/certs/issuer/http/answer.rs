//! One whole answer of an authority, and what its status, header and first bytes mean.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HeaderMap, LINK, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode};
use instant_acme::BytesResponse;
use serde::de::IgnoredAny;

use super::failure::{HttpFailure, Refusal};
use super::pauses::{Kind, Pauses};
use super::problem;
use crate::base::time::{ClockReading, Timestamp};
use crate::certs::issuer::RETRY_AFTER_BOUNDS;
use crate::state::schema::Pause;

/// A status, a header and a body, all there.
#[derive(Debug)]
pub(in crate::certs::issuer) struct Answer {
    kind: Kind,
    response: Response<Bytes>,
    retry_after: Option<Timestamp>,
    /// When it came.
    at: Timestamp,
}

/// Characters of the address that a redirect names, for people.
const MAX_LOCATION: usize = 200;

/// Alternate chains looked at; Let's Encrypt has offered up to three.
const MAX_ALTERNATES: usize = 5;

impl Answer {
    pub(super) fn new(kind: Kind, response: Response<Bytes>, now: Timestamp) -> Self {
        let text = |name| response.headers().get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let retry_after = text(RETRY_AFTER).and_then(|value| moment(value, text(DATE).and_then(date), now));
        Self { kind, response, retry_after, at: now }
    }

    pub(in crate::certs::issuer) fn body(&self) -> &Bytes {
        self.response.body()
    }

    pub(in crate::certs::issuer) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// When it was sent (RFC 9110 section 6.6.1).
    pub(super) fn date(&self) -> Option<Timestamp> {
        date(self.headers().get(DATE)?.to_str().ok()?)
    }

    /// Our clock and the authority's at this answer.
    pub(super) fn clock_reading(&self) -> Option<ClockReading> {
        self.date().map(|theirs| ClockReading { ours: self.at, theirs })
    }

    /// When the authority wants to be asked again, within [`RETRY_AFTER_BOUNDS`].
    pub(in crate::certs::issuer) fn retry_after(&self) -> Option<Timestamp> {
        self.retry_after
    }

    /// Whether a nonce was refused (RFC 8555 section 6.5): signing the same again with a new one is all it takes.
    pub(in crate::certs::issuer) fn is_bad_nonce(&self) -> bool {
        self.response.status() == StatusCode::BAD_REQUEST
            && problem::read(self.body()).is_some_and(|p| problem::short_type(&p) == Some("badNonce"))
    }

    /// Lets a success through; makes everything else an error, and of a `Retry-After` with 429 or 503 a pause.
    pub(in crate::certs::issuer) fn checked(self, pauses: &Pauses) -> Result<Self, HttpFailure> {
        let status = self.response.status();
        if status.is_success() {
            return Ok(self);
        }
        if let Some(to) = self.headers().get(LOCATION).filter(|_| status.is_redirection()) {
            let to = String::from_utf8_lossy(to.as_bytes()).chars().take(MAX_LOCATION).collect::<String>();
            return Err(HttpFailure::Moved { kind: self.kind, status, to: to.escape_debug().to_string() });
        }
        let problem = problem::read(self.body()).filter(|p| p.r#type.is_some() || p.detail.is_some());
        let limits = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let excerpt = if problem.is_some() { String::new() } else { excerpt(self.body()) };
        let refusal = Refusal { kind: self.kind, status, problem, retry_after: self.retry_after, excerpt };
        if let (true, Some(until)) = (limits && !refusal.is_about_names(), self.retry_after) {
            pauses.pause(self.kind, Pause { since: self.at, until });
        }
        Err(HttpFailure::Refused(Box::new(refusal)))
    }

    /// Refuses a success that is neither JSON nor a chain: a portal's login page, a cut text.
    pub(super) fn must_be_acme(&self) -> Result<(), HttpFailure> {
        let body = self.body();
        let good = body.is_empty() || self.is_chain() || serde_json::from_slice::<IgnoredAny>(body).is_ok();
        if good { Ok(()) } else { Err(self.garbage()) }
    }

    pub(in crate::certs::issuer) fn garbage(&self) -> HttpFailure {
        HttpFailure::Garbage { status: self.response.status(), excerpt: excerpt(self.body()) }
    }

    pub(super) fn is_chain(&self) -> bool {
        let said = self
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/pem-certificate-chain"));
        said || self.body().starts_with(b"-----BEGIN CERTIFICATE-----")
    }

    /// `Link: <url>;rel="alternate"` (RFC 8555 section 7.4.2).
    pub(super) fn alternates(&self) -> Vec<String> {
        let lines = self.headers().get_all(LINK).iter().filter_map(|value| value.to_str().ok());
        lines.flat_map(|line| line.split(',')).filter_map(alternate).take(MAX_ALTERNATES).collect()
    }

    pub(super) fn into_response(self) -> BytesResponse {
        let (parts, body) = self.response.into_parts();
        BytesResponse { parts, body: Box::new(body) }
    }
}

fn alternate(link: &str) -> Option<String> {
    let (url, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_alternate = parameters.split(';').any(|parameter| {
        let parameter = parameter.trim();
        parameter.eq_ignore_ascii_case("rel=alternate") || parameter.eq_ignore_ascii_case("rel=\"alternate\"")
    });
    is_alternate.then(|| url.to_owned())
}

/// Reads `Retry-After` (RFC 9110 section 10.2.3), a number of seconds or a date, within bounds. A date is a date of the
/// authority's clock: it is compared with the answer's own `Date`, because this machine's clock may be wrong.
fn moment(value: &str, sent: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let value = value.trim();
    let (least, most) = RETRY_AFTER_BOUNDS;
    let asked = if value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty() {
        // More digits than fit are a very long time all the same.
        now + std::time::Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let at = date(value)?;
        sent.map_or(at, |sent| now + at.since(sent))
    };
    Some(asked.clamp(now + least, now + most))
}

/// `Fri, 31 Dec 1999 23:59:59 GMT`, the one form of a date that is sent today.
fn date(value: &str) -> Option<Timestamp> {
    let form =
        time::macros::format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let at = time::PrimitiveDateTime::parse(value, form).ok()?;
    Some(Timestamp::from_unix(at.assume_utc().unix_timestamp()))
}

/// The beginning of a body that should not be shown whole: one line, nothing a terminal would obey.
fn excerpt(body: &[u8]) -> String {
    const MAX_SHOWN: usize = 160;
    let head = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_SHOWN)]).into_owned();
    let words: Vec<&str> = head.split_whitespace().collect();
    let line: String = words.join(" ").chars().take(MAX_SHOWN).collect();
    if line.is_empty() { "an empty body".into() } else { format!("`{}`", line.escape_debug()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(946_684_799);

    fn answer(status: u16, headers: &[(&str, &str)], body: &'static str) -> Answer {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        Answer::new(Kind::NewOrder, response.body(Bytes::from_static(body.as_bytes())).unwrap(), NOW)
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_kept_within_bounds() {
        let check = |value: &str, expected: Option<i64>| {
            assert_eq!(moment(value, None, NOW).map(|at| at.unix() - NOW.unix()), expected, "for {value:?}");
        };
        check("120", Some(120));
        check("0", Some(1));
        check("99999999999999999999999", Some(604_800));
        check("Sat, 01 Jan 2000 00:00:59 GMT", Some(60));
        check("Fri, 31 Dec 1999 23:59:59 GMT", Some(1));
        check("", None);
        check("-5", None);
        check("soon", None);
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(1));
        check("Fri, 31 Dec 9999 23:59:59 GMT", Some(604_800));
    }

    #[test]
    fn a_date_is_one_of_the_authoritys_clock() {
        // The authority's clock says 2010, and it wants to be asked again in two minutes.
        let headers = [("date", "Fri, 01 Jan 2010 00:00:00 GMT"), ("retry-after", "Fri, 01 Jan 2010 00:02:00 GMT")];
        assert_eq!(answer(503, &headers, "").retry_after(), Some(NOW + std::time::Duration::from_secs(120)));
        let headers = [("date", "Mon, 01 Jan 1990 00:00:00 GMT"), ("retry-after", "Mon, 01 Jan 1990 00:02:00 GMT")];
        let asked = answer(503, &headers, "").retry_after().map(|at| at.unix() - NOW.unix());
        assert_eq!(asked, Some(120));
    }

    #[test]
    fn a_limit_with_a_time_pauses_its_kind_unless_it_is_about_one_orders_names() {
        let check = |status: u16, detail: &'static str, paused: bool| {
            let pauses = Pauses::default();
            let error = answer(status, &[("retry-after", "3600")], detail).checked(&pauses).unwrap_err();
            assert_eq!(error.retry_after(), Some(NOW + std::time::Duration::from_secs(3600)));
            assert_eq!(pauses.until(Kind::NewOrder, NOW).is_some(), paused, "for {status} {detail}");
        };
        check(503, "<html>busy</html>", true);
        check(
            429,
            r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many new orders (300) from this account"}"#,
            true,
        );
        check(429, r#"{"detail":"too many certificates (5) already issued for this exact set of identifiers"}"#, false);
        check(429, r#"{"detail":"too many failed authorizations (5) for \"a.example\" in the last 1h0m0s"}"#, false);
        check(500, "{}", false);
    }

    #[test]
    fn an_error_that_is_not_json_keeps_its_status_and_a_harmless_excerpt() {
        let error = answer(502, &[], "<html>\n <b>Bad\u{1b}[31m gateway</b>").checked(&Pauses::default()).unwrap_err();
        let said = error.to_string();
        assert_eq!(said, r"the authority answered 502 Bad Gateway: `<html> <b>Bad\u{1b}[31m gateway</b>`");
        assert!(error.is_passing());
    }

    #[test]
    fn a_redirect_names_where_it_leads_and_is_no_success() {
        let headers = [("location", "https://ca.example/v2/dir")];
        let error = answer(301, &headers, "moved").checked(&Pauses::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the authority answered 301 Moved Permanently: this has moved to https://ca.example/v2/dir"
        );
        assert!(!error.is_passing() && answer(302, &[], "").checked(&Pauses::default()).is_err());
    }

    #[test]
    fn a_success_that_is_not_acme_is_garbage() {
        assert!(answer(200, &[], r#"{"status":"valid"}"#).must_be_acme().is_ok());
        assert!(answer(200, &[], "").must_be_acme().is_ok());
        assert!(answer(200, &[], "-----BEGIN CERTIFICATE-----\n").must_be_acme().is_ok());
        assert!(answer(200, &[], "<html>login</html>").must_be_acme().is_err());
        assert!(answer(200, &[], r#"{"status":"val"#).must_be_acme().is_err());
    }

    #[test]
    fn alternate_chains_are_found_among_the_links() {
        let links = r#"<https://ca/dir>;rel="index", <https://ca/c/1>;rel="alternate""#;
        let answer = answer(200, &[("link", links), ("link", "<https://ca/c/2>; rel=alternate")], "");
        assert_eq!(answer.alternates(), ["https://ca/c/1", "https://ca/c/2"]);
    }
}
