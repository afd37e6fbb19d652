//! The operator's program after each issuance. It runs beside the manager, so it delays and fails nothing; two runs of one
//! program never overlap, because what a script does to another server seldom bears that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::events;
use crate::base::subprocess::{self, Program};
use crate::base::task;
use crate::certs::cert_cache::CachedCert;
use crate::certs::desired::{DesiredCert, Source};
use crate::state::pem_store::PemStore;

/// For one run; then the program is killed, with all that it started.
const HOOK_TIMEOUT: Duration = Duration::from_secs(60);

/// One queue for each program. A program's task ends with the manager; one that runs then is left to finish.
#[derive(Default)]
pub(super) struct Hooks(BTreeMap<PathBuf, UnboundedSender<Run>>);

/// One run that is wanted.
struct Run {
    /// The certificate, for people.
    name: String,
    program: Program,
}

impl Hooks {
    /// Runs the program that the certificate's authority is configured with, if any, once its earlier runs are done. The
    /// certificate is in service and in the vault.
    pub(super) fn issued(&mut self, vault: &PemStore, need: &DesiredCert, shelved: &CachedCert) {
        let Some((hook, environment)) = hook_of(need, shelved).zip(facts(vault, need, shelved)) else { return };
        let program = Program {
            path: hook.to_owned(),
            arguments: vec!["issued".to_owned()],
            environment,
            input: String::new(),
            limit: HOOK_TIMEOUT,
        };
        let run = Run { name: need.title(), program };
        let queue = self.0.entry(hook.to_owned()).or_insert_with(|| {
            let (queue, runs) = mpsc::unbounded_channel();
            task::spawn_local("hook", run_all(runs));
            queue
        });
        // A queue whose task panicked has said so.
        let _ended = queue.send(run);
    }
}

async fn run_all(mut runs: UnboundedReceiver<Run>) {
    while let Some(Run { name, program }) = runs.recv().await {
        let path = program.path.clone();
        let ran = subprocess::run(program).await;
        events::hook(&name, &path, &ran);
    }
}

fn hook_of<'a>(need: &'a DesiredCert, shelved: &CachedCert) -> Option<&'a Path> {
    let (Source::Acme(authorities), Some(slot)) = (&need.source, &shelved.slot) else { return None };
    let from = authorities.iter().find(|authority| authority.issuer == slot.issuer)?;
    from.acme.hook.as_deref()
}

/// What the program is told; `None` for a certificate that is in memory only.
fn facts(vault: &PemStore, need: &DesiredCert, shelved: &CachedCert) -> Option<Vec<(&'static str, String)>> {
    let folder = vault.generation_folder(shelved.slot.as_ref()?, shelved.generation?);
    // The program need not run where we do.
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let names: Vec<String> = need.names.iter().map(ToString::to_string).collect();
    Some(vec![
        ("DOORWARD_EVENT", "issued".to_owned()),
        ("DOORWARD_NAMES", names.join(" ")),
        ("DOORWARD_CERT", folder.join("cert.pem").display().to_string()),
        ("DOORWARD_KEY", folder.join("key.pem").display().to_string()),
        ("DOORWARD_ISSUER", shelved.bundle.issuer_name().to_owned()),
        ("DOORWARD_NOT_AFTER", shelved.bundle.validity().not_after.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use super::*;
    use crate::base::time::Timestamp;
    use crate::certs::bundle::CertBundle;
    use crate::certs::fixtures;
    use crate::certs::issuer::local_ca::LocalCa;
    use crate::config::settings::{Acme, SiteTls};

    const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);

    /// A need whose authority has this program, and a certificate for it in the vault.
    fn world(folder: &Path, hook: PathBuf) -> (PemStore, DesiredCert, CachedCert) {
        let vault = PemStore::new(folder.join("state"));
        let acme = Acme { hook: Some(hook), ..(*fixtures::acme("https://ca.example/dir")).clone() };
        let mut site = fixtures::site(&["a.example", "b.example"], &SiteTls::Acme(Arc::new(acme)));
        site.shared_certificate = true;
        let need = crate::certs::desired::needs(&fixtures::settings(vec![site])).remove(0);
        let (chain, key) = LocalCa::open(&PemStore::new(folder.join("other")), NOW).unwrap().0.make(&need.names, NOW).unwrap();
        let slot = need.slots().remove(0);
        let generation = vault.save_pair(&slot, &chain, &key).unwrap();
        let bundle = Arc::new(CertBundle::restore(&chain, &key).unwrap());
        (vault, need, CachedCert::new(bundle, Arc::new(key), Some(slot)).stored(generation))
    }

    #[test]
    fn the_program_is_told_of_each_certificate_and_its_runs_never_overlap() {
        let dir = tempfile::tempdir().unwrap();
        let hook = dir.path().join("hook");
        let out = dir.path().join("out");
        let script = format!(
            "#!/bin/sh\nset -e\nmkdir {0}.lock\ncat \"$DOORWARD_CERT\" \"$DOORWARD_KEY\" | grep -c BEGIN > {0}.count\n\
             sleep 0.05\nrmdir {0}.lock\necho \"$1 $DOORWARD_EVENT $DOORWARD_NAMES $DOORWARD_NOT_AFTER $(cat {0}.count)\" >> {0}\n",
            out.display()
        );
        std::fs::write(&hook, script).unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (vault, need, shelved) = world(dir.path(), hook);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
        let lines = || std::fs::read_to_string(&out).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
        runtime.block_on(async {
            let mut hooks = Hooks::default();
            for _ in 0..3 {
                hooks.issued(&vault, &need, &shelved);
            }
            let wait = async {
                while lines().len() < 3 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), wait).await.expect("three runs");
        });
        let not_after = shelved.bundle.validity().not_after;
        let count = shelved.bundle.chain_pem().matches("BEGIN").count() + 1;
        let expected = format!("issued issued a.example b.example {not_after} {count}");
        assert_eq!(lines(), [expected.clone(), expected.clone(), expected]);
    }

    #[test]
    fn a_certificate_that_is_in_memory_only_is_not_told_of_yet() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, need, mut shelved) = world(dir.path(), "/bin/true".into());
        assert!(facts(&vault, &need, &shelved).is_some() && hook_of(&need, &shelved) == Some(Path::new("/bin/true")));
        shelved.generation = None;
        assert_eq!(facts(&vault, &need, &shelved), None);
    }
}
