//! When the authority wants a certificate renewed (ARI, RFC 9773). It gives an answer, not a decision: the random
//! moment inside the window is chosen where the record is settled.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::http::{AcmeHttp, HttpFailure};
use crate::base::time::{Timestamp, Window};

/// The authority's answer about one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// When to renew. `None` for a window that does not end after it starts, which is no answer (RFC 9773 section 4.2).
    pub window: Option<Window>,
    /// A page that says why, if the authority names one.
    pub explanation_url: Option<String>,
    /// When to ask again: what the authority said, from one minute to one day away.
    pub ask_again: Timestamp,
}

/// How soon and how late the next question may be.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(86_400));

/// For authorities that do not say; it is what Let's Encrypt says.
const USUAL: Duration = Duration::from_secs(6 * 3600);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    suggested_window: Span,
    #[serde(rename = "explanationURL")]
    explanation_url: Option<String>,
}

#[derive(Deserialize)]
struct Span {
    start: String,
    end: String,
}

/// Asks about the certificate with this [`certificate_id`]. `None` when the authority has no renewal information.
pub async fn ask(http: &AcmeHttp, certificate_id: &str) -> Result<Option<Suggestion>, HttpFailure> {
    let directory = http.directory().await?;
    let Some(base) = directory.renewal_info.as_deref() else { return Ok(None) };
    let url = format!("{}/{certificate_id}", base.trim_end_matches('/'));
    let answer = http.ask(Method::GET, &url, Bytes::new(), &[]).await?;
    read(answer.body(), answer.retry_after(), http.now()).map(Some).ok_or_else(|| answer.garbage())
}

fn read(body: &[u8], retry_after: Option<Timestamp>, now: Timestamp) -> Option<Suggestion> {
    let Body { suggested_window: Span { start, end }, explanation_url } = serde_json::from_slice(body).ok()?;
    let (start, end) = (OffsetDateTime::parse(&start, &Rfc3339).ok()?, OffsetDateTime::parse(&end, &Rfc3339).ok()?);
    let second = |at: OffsetDateTime| Timestamp::from_unix(at.unix_timestamp());
    let window = if end <= start {
        None
    } else {
        // A window inside one second is valid, too: our seconds must not make it vanish.
        Window::new(second(start), second(end).max(second(start) + Duration::from_secs(1)))
    };
    let (least, most) = BOUNDS;
    let ask_again = retry_after.unwrap_or(now + USUAL).clamp(now + least, now + most);
    Some(Suggestion { window, explanation_url, ask_again })
}

/// The certificate's name in renewal information and in an order's `replaces` (RFC 9773 section 4.1); `None` when it
/// carries no authority key identifier.
pub fn certificate_id(leaf: &CertificateDer<'_>) -> Option<String> {
    instant_acme::CertificateIdentifier::try_from(leaf).ok().map(|id| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);

    fn window(start: &str, end: &str) -> Option<u64> {
        let body = format!(r#"{{"suggestedWindow":{{"start":"{start}","end":"{end}"}}}}"#);
        let window = read(body.as_bytes(), None, NOW).unwrap().window?;
        Some(window.end().since(window.start()).as_secs())
    }

    #[test]
    fn a_window_needs_an_end_after_its_start_and_nothing_more() {
        assert_eq!(window("2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z"), Some(2 * 86_400));
        assert_eq!(window("2026-11-21T00:00:00Z", "2026-11-21T00:00:01Z"), Some(1));
        assert_eq!(window("2026-11-21T00:00:00.1Z", "2026-11-21T00:00:00.9Z"), Some(1));
        assert_eq!(window("1999-01-01T00:00:00Z", "1999-01-02T00:00:00+01:00"), Some(82_800));
        assert_eq!(window("2026-11-21T00:00:00Z", "2026-11-21T00:00:00Z"), None);
        assert_eq!(window("2026-11-22T00:00:00Z", "2026-11-21T00:00:00Z"), None);
    }

    #[test]
    fn the_next_question_comes_between_a_minute_and_a_day_from_now() {
        let body = br#"{"suggestedWindow":{"start":"2026-11-21T00:00:00Z","end":"2026-11-23T00:00:00Z"}}"#;
        for (said, expected) in [(Some(1), 60), (Some(61), 61), (Some(600_000), 86_400), (None, 21_600)] {
            let said = said.map(|seconds| NOW + Duration::from_secs(seconds));
            assert_eq!(read(body, said, NOW).unwrap().ask_again, NOW + Duration::from_secs(expected));
        }
    }

    #[test]
    fn what_is_not_an_answer_is_not_read_as_one() {
        for body in ["", "[]", "{}", r#"{"suggestedWindow":{"start":"soon","end":"later"}}"#, "<html>"] {
            assert_eq!(read(body.as_bytes(), None, NOW), None, "for {body}");
        }
    }
}
