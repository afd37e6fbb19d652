//! Whether something takes connections where requests are sent to.

use std::sync::Arc;

use crate::base::chain::Chain;
use crate::base::task;
use crate::certs::preflight::finding::Finding;
use crate::config::settings::{Settings, Upstream};
use crate::proxy::cluster::Cluster;
use crate::proxy::cluster::trust::Trust;

const CHECK: &str = "backend";
/// Backends asked at a time.
const AT_A_TIME: usize = 32;

/// Connects to every target once, TLS included, and hangs up.
pub async fn examine(settings: &Settings) -> Vec<Finding> {
    let trust = Trust::new(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let mut findings = Vec::new();
    let mut targets: Vec<(Arc<Cluster>, usize)> = Vec::new();
    for upstream in &settings.upstreams {
        match Cluster::build(upstream, None, &trust) {
            Ok(cluster) => targets.extend((0..upstream.targets.len()).map(|target| (Arc::clone(&cluster), target))),
            Err(error) => {
                let repair = "correct the files that `tls` of this upstream names";
                findings.push(Finding::trouble(CHECK, &upstream.name, Chain(&error).to_string(), "TLS towards it", repair));
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

async fn ask(cluster: &Cluster, target: usize) -> Finding {
    let upstream: &Upstream = cluster.settings();
    let target = &upstream.targets[target];
    let written = target.to_string();
    let about = if upstream.name == written { written } else { format!("{written} of {}", upstream.name) };
    match cluster.dialer().dial(target).await {
        Ok(_) => Finding::fine(CHECK, about, "takes connections"),
        // The gateway serves all the same, and answers 502 for this one.
        Err(error) => {
            Finding::trouble(CHECK, about, Chain(&error).to_string(), "a backend that takes connections", error.remedy())
        }
    }
}
