//! An authority before anything is ordered there: whether its directory answers, by which names it goes in CAA records,
//! and what time it is there.

use std::sync::Arc;
use std::time::Duration;

use super::clock;
use super::finding::Finding;
use crate::base::error_chain::ErrorChain;
use crate::base::time::Clock;
use crate::certs::issuer::http::{AcmeHttp, Directory, HttpFailure, HttpLimits};
use crate::certs::issuer::untrusted::untrusted;
use crate::config::settings::Acme;
use crate::net::http_client::HttpError;

/// A person waits.
const LIMITS: HttpLimits = HttpLimits { connect: Duration::from_secs(8), answer: Duration::from_secs(8), body: 1024 * 1024 };

/// What was found out.
pub struct Asked {
    /// One for each check.
    pub findings: Vec<Finding>,
    /// By which names the authority goes in CAA records; none where it did not say.
    pub identities: Vec<String>,
}

/// Asks for the directory, verified as an order would.
pub async fn ask(acme: &Acme, clock: &Arc<dyn Clock>) -> Asked {
    let http = AcmeHttp::new(&acme.directory, acme.ca_file.clone(), LIMITS, Arc::clone(clock));
    match http.directory().await {
        Ok(directory) => {
            let mut findings = vec![answered(acme, &directory)];
            findings.extend(directory.date.map(|theirs| clock::judge(theirs, clock.now())));
            Asked { findings, identities: directory.meta.caa_identities.clone() }
        }
        Err(failure) => Asked { findings: vec![silent(acme, &failure)], identities: Vec::new() },
    }
}

fn answered(acme: &Acme, directory: &Directory) -> Finding {
    let offered = || directory.meta.profiles.keys().cloned().collect::<Vec<_>>().join(", ");
    match &acme.profile {
        Some(profile) if !directory.meta.profiles.contains_key(profile) => {
            let seen = format!("the authority offers no profile `{profile}`");
            let repair = "choose one of these with `profile`, or leave the word out";
            Finding::trouble("authority", &acme.directory, seen, offered(), repair)
        }
        _ if directory.meta.external_account_required && acme.eab.is_none() => {
            let seen = "the authority takes no account without an external binding";
            let repair = "get key id and key from the authority's web page, and write them with `eab`";
            Finding::trouble("authority", &acme.directory, seen, "`eab` in the configuration", repair)
        }
        _ => Finding::fine("authority", &acme.directory, "the directory answers"),
    }
}

fn silent(acme: &Acme, failure: &HttpFailure) -> Finding {
    let seen = format!("the directory does not answer: {}", ErrorChain(failure));
    if let HttpFailure::Transport(HttpError::Untrusted { host, cause }) = failure {
        let (why, repair) = untrusted(cause);
        return Finding::trouble("authority", &acme.directory, format!("{host}: {why}"), "a certificate that is trusted", repair);
    }
    let repair = "check this machine's way to the internet on port 443 and its clock; for an authority of your own, name its \
                  roots with `ca-file`";
    Finding::trouble("authority", &acme.directory, seen, "an ACME directory", repair)
}
