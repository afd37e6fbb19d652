//! One question to the operator's endpoint: is this name wanted?

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::base::error_chain::ErrorChain;
use crate::base::name::HostName;
use crate::net::http_client::post;

/// For the whole question; somebody waits behind it.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// What the endpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// 200: the name is wanted.
    Wanted,
    /// It is not.
    Unwanted(StatusCode),
    /// It said nothing that can be acted on; in words.
    Silent(Arc<str>),
}

/// Asks `GET url?domain=name`.
pub(super) async fn ask(url: &str, name: &HostName) -> Decision {
    match tokio::time::timeout(ASK_TIMEOUT, post::get(&question(url, name))).await {
        Ok(Ok(StatusCode::OK)) => Decision::Wanted,
        Ok(Ok(status)) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Decision::Silent(format!("it answered {status}").into())
        }
        Ok(Ok(status)) => Decision::Unwanted(status),
        Ok(Err(error)) => Decision::Silent(ErrorChain(&error).to_string().into()),
        Err(_) => Decision::Silent("it did not answer within 5 s".into()),
    }
}

/// A name needs no escapes.
fn question(url: &str, name: &HostName) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}domain={name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_goes_behind_what_is_asked_already() {
        let name = HostName::parse("A.example").unwrap();
        assert_eq!(question("http://ask/", &name), "http://ask/?domain=a.example");
        assert_eq!(question("http://ask/x?key=1", &name), "http://ask/x?key=1&domain=a.example");
    }
}
