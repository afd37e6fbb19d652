//! Whether something takes connections where requests are sent to.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::base::error_chain::ErrorChain;
use crate::base::task;
use crate::certs::preflight::finding::Finding;
use crate::config::settings::{Settings, Target, TargetScheme, Upstream};
use crate::proxy::messages;
use crate::proxy::upstream::UpstreamGroup;
use crate::proxy::upstream::stream::BackendStream;
use crate::proxy::upstream::tls::TlsTrust;

const CHECK: &str = "backend";
/// Backends asked at a time.
const AT_A_TIME: usize = 32;

/// Connects to every target once, TLS included, and hangs up.
pub async fn examine(settings: &Settings) -> Vec<Finding> {
    let trust = TlsTrust::new(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let mut findings = Vec::new();
    let mut targets: Vec<(Arc<UpstreamGroup>, usize)> = Vec::new();
    for upstream in &settings.upstreams {
        match UpstreamGroup::build(upstream, None, &trust) {
            Ok(cluster) => targets.extend((0..upstream.targets.len()).map(|target| (Arc::clone(&cluster), target))),
            Err(error) => {
                let repair = "correct the files that `tls` of this upstream names";
                findings.push(Finding::trouble(CHECK, &upstream.name, ErrorChain(&error).to_string(), "TLS towards it", repair));
            }
        }
    }
    for some in targets.chunks(AT_A_TIME) {
        let asking: Vec<_> = some
            .iter()
            .map(|(cluster, target)| {
                let (cluster, target) = (Arc::clone(cluster), *target);
                task::spawn_local("look at a backend", async move { ask(&cluster, target).await })
            })
            .collect();
        for asked in asking {
            findings.extend(asked.await.ok().flatten());
        }
    }
    findings
}

/// How a target answers a question in plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// By HTTP, or by silence, which says nothing.
    Ordinary,
    /// By 400, as servers of TLS do.
    BadRequest,
    /// By the end of the connection, or by something other than HTTP.
    None,
}

/// Asks for `/`, as servers of TLS may be found out by what they answer to that.
async fn answer(mut stream: BackendStream, target: &Target) -> Answer {
    const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
    let question =
        format!("GET / HTTP/1.1\r\nHost: {}\r\nUser-Agent: doorward-doctor\r\nConnection: close\r\n\r\n", target.address);
    let asked = async {
        stream.write_all(question.as_bytes()).await?;
        let mut begin = Vec::new();
        while begin.len() < 12 && stream.read_buf(&mut begin).await? > 0 {}
        Ok::<_, std::io::Error>(begin)
    };
    match timeout(ANSWER_TIMEOUT, asked).await {
        Ok(Ok(begin)) if begin.starts_with(b"HTTP/1.") && begin.get(9..12) == Some(b"400") => Answer::BadRequest,
        Ok(Ok(begin)) if begin.starts_with(b"HTTP/1.") => Answer::Ordinary,
        Ok(_) => Answer::None,
        Err(_elapsed) => Answer::Ordinary,
    }
}

async fn ask(cluster: &UpstreamGroup, target: usize) -> Finding {
    let upstream: &Upstream = cluster.settings();
    let target = &upstream.targets[target];
    let written = target.to_string();
    let about = if upstream.name == written { written } else { format!("{written} of {}", upstream.name) };
    let stream = match cluster.dialer().dial(target).await {
        Ok(stream) => stream,
        // The gateway serves all the same, and answers 502 for this one.
        Err(error) => {
            return Finding::trouble(
                CHECK,
                about,
                ErrorChain(&error).to_string(),
                "a backend that takes connections",
                error.remedy(),
            );
        }
    };
    let answer = if target.scheme == TargetScheme::Http { answer(stream, target).await } else { Answer::Ordinary };
    if answer == Answer::Ordinary {
        return Finding::fine(CHECK, about, "takes connections");
    }
    if !cluster.dialer().target_speaks_tls(target).await {
        if answer == Answer::BadRequest {
            return Finding::fine(CHECK, about, "takes connections, and answers 400 to `GET /`");
        }
        let repair = "look into the backend's own log: it takes the connection and does not answer over it";
        return Finding::trouble(CHECK, about, "ends the connection without an answer", "an answer", repair).noted();
    }
    let text = messages::speaks_tls(target, upstream.is_named());
    let (seen, repair) = text.split_once("; ").unwrap_or((&text, ""));
    Finding::trouble(CHECK, "", seen, "", repair)
}
