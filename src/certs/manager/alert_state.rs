//! Who is told when something is wrong, over what the manager notices.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::base::error_chain::ErrorChain;
use crate::base::task;
use crate::base::time::Timestamp;
use crate::certs::alert::send::AlertSender;
use crate::certs::alert::{self, AlertKind, AlertMessage};
use crate::certs::desired::{DesiredCert, Source};
use crate::config::settings::Alert;
use crate::state::pem_store::Slot;
use crate::state::schema::Key;
use crate::state::store::Store;
use crate::telemetry::metrics::Metrics;

/// The manager's alarms.
pub(super) struct AlertState {
    crier: AlertSender,
    /// For what concerns no authority of its own: the state folder, local certificates, files.
    general: Arc<ArcSwapOption<Alert>>,
    /// When a certificate was last reported to be in danger.
    endangered: BTreeMap<Slot, Timestamp>,
    /// When the state folder was last reported. It cannot be remembered where it would have to be written.
    unwritable: Option<Timestamp>,
    /// When the clock was last reported to be wrong.
    clock: Option<Timestamp>,
}

/// A certificate whose life runs out.
pub(super) struct Endangered<'a> {
    pub(super) need: &'a DesiredCert,
    pub(super) not_after: Timestamp,
    pub(super) why: String,
}

impl AlertState {
    pub(super) fn new(metrics: &Arc<Metrics>, general: &Arc<ArcSwapOption<Alert>>) -> Self {
        Self {
            crier: AlertSender::start(Arc::clone(metrics)),
            general: Arc::clone(general),
            endangered: BTreeMap::new(),
            unwritable: None,
            clock: None,
        }
    }

    /// New settings.
    pub(super) fn tell(&self, general: Option<Alert>) {
        self.general.store(general.map(Arc::new));
    }

    /// What was raised before a restart is not raised again.
    pub(super) fn restore(&mut self, store: &Store) {
        let raised = |key| match key {
            Key::AlertMessage(slot) => store.get(&Key::AlertMessage(slot.clone())).map(|at| (slot, at)),
            Key::Need(_) | Key::OnDemand(_) | Key::Order(_) | Key::Issuer(_) | Key::Record(_) | Key::Stall => None,
        };
        self.endangered = store.keys().into_iter().filter_map(raised).collect();
    }

    /// Whether it has to be said that this certificate is in danger; it is remembered that it was.
    pub(super) fn is_due(&mut self, id: &Slot, in_danger: bool, now: Timestamp, store: &Arc<Store>) -> bool {
        let last = self.endangered.get(id).copied();
        let due = in_danger && alert::is_due(last, now);
        if due {
            self.endangered.insert(id.clone(), now);
            keep(store, id, Some(now));
        } else if !in_danger && last.is_some() {
            self.endangered.remove(id);
            keep(store, id, None);
        }
        due
    }

    /// When it was last said that this certificate is in danger, while it is.
    pub(super) fn raised(&self, id: &Slot) -> Option<Timestamp> {
        self.endangered.get(id).copied()
    }

    /// One alarm for each who is told, whatever the number of certificates: when an authority is down, all come at once.
    pub(super) fn in_danger(&self, due: &[Endangered<'_>], now: Timestamp) {
        let mut groups: Vec<(Option<Alert>, Vec<&Endangered<'_>>)> = Vec::new();
        for one in due {
            let alert = self.alert_of(one.need);
            match groups.iter_mut().find(|(known, _)| *known == alert) {
                Some((_, group)) => group.push(one),
                None => groups.push((alert, vec![one])),
            }
        }
        for (alert, mut group) in groups {
            group.sort_by_key(|one| one.not_after);
            let names: Vec<String> = group.iter().flat_map(|one| one.need.names.iter().map(ToString::to_string)).collect();
            let (first, why) = (group.first().map(|one| one.not_after), group.first().map_or("", |one| one.why.as_str()));
            self.crier.raise(alert.as_ref(), AlertMessage::new(AlertKind::CertificateInDanger, &names, first, why, now));
        }
    }

    /// The authority wants a certificate replaced at once.
    pub(super) fn recalled(&self, need: &DesiredCert, now: Timestamp) {
        let names: Vec<String> = need.names.iter().map(ToString::to_string).collect();
        let why = "its authority asks for that at once, because it was revoked or soon will be";
        let alarm = AlertMessage::new(AlertKind::CertificateRecalled, &names, None, why, now);
        self.crier.raise(self.alert_of(need).as_ref(), alarm);
    }

    /// How the state folder stands: `None` when it can be written.
    pub(super) fn state(&mut self, trouble: Option<&str>, now: Timestamp) {
        let Some(why) = trouble else {
            self.unwritable = None;
            return;
        };
        if alert::is_due(self.unwritable, now) {
            self.unwritable = Some(now);
            let alarm = AlertMessage::new(AlertKind::StateNotWritable, &[], None, why, now);
            self.crier.raise(self.general.load_full().as_deref(), alarm);
        }
    }

    /// This machine's clock is wrong. Once a day; after a step of the clock it is said again.
    pub(super) fn clock(&mut self, why: &str, now: Timestamp) {
        if alert::is_due(self.clock, now) {
            self.clock = Some(now);
            self.crier.raise(self.general.load_full().as_deref(), AlertMessage::new(AlertKind::ClockWrong, &[], None, why, now));
        }
    }

    fn alert_of(&self, need: &DesiredCert) -> Option<Alert> {
        let own = match &need.source {
            Source::Acme(authorities) => authorities.first().and_then(|authority| authority.acme.alert.clone()),
            Source::Local | Source::Files { .. } => None,
        };
        own.or_else(|| self.general.load_full().as_deref().cloned())
    }
}

/// Remembers in the journal when an alarm was raised. A journal that refuses costs one alarm more after a restart.
fn keep(store: &Arc<Store>, id: &Slot, at: Option<Timestamp>) {
    let (store, key) = (Arc::clone(store), Key::AlertMessage(id.clone()));
    at.map_or_else(|| store.forget(&key), |at| store.note(&key, &at));
    task::spawn_local("alarm-keep", async move {
        if let Some(Err(error)) = task::blocking("journal-write", move || store.save()).await {
            tracing::debug!(event = "journal_behind", error = %ErrorChain(&error), "the journal is behind, and is written again with the next change");
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::base::rng::Rng;
    use crate::base::time::{Clock, ManualClock};
    use crate::certs::fixtures;
    use crate::certs::issuer::local_ca::LocalCa;
    use crate::certs::manager::{CertManagerHandle, Keeping, start};
    use crate::certs::preflight::PublicPorts;
    use crate::config::settings::{Acme, Settings, SiteTls};
    use crate::state::pem_store::PemStore;

    const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);

    struct World {
        dir: tempfile::TempDir,
        clock: Arc<ManualClock>,
        settings: Arc<Settings>,
    }

    impl World {
        /// Two names that share an alert, with certificates in the vault that were made at [`NOW`].
        fn new(alert: Alert) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let acme = Arc::new(Acme { alert: Some(alert), ..(*fixtures::acme("https://127.0.0.1:9/dir")).clone() });
            let site = fixtures::site(&["a.example", "b.example"], &SiteTls::Acme(Arc::clone(&acme)));
            let state = dir.path().join("state");
            let settings = Settings { state: state.clone(), acme, ..fixtures::settings(vec![site]) };
            let mut ca = LocalCa::open(&PemStore::new(dir.path().join("other")), NOW).unwrap().0;
            for need in crate::certs::desired::needs(&settings) {
                let (chain, key) = ca.make(&need.names, NOW).unwrap();
                PemStore::new(state.clone()).save_pair(&need.slots()[0], &chain, &key).unwrap();
            }
            Self { dir, clock: Arc::new(ManualClock::at(NOW)), settings: Arc::new(settings) }
        }

        fn start(&self) -> (CertManagerHandle, Arc<Metrics>) {
            let metrics = Arc::new(Metrics::default());
            let (settings, clock) = (Arc::clone(&self.settings), Arc::clone(&self.clock) as Arc<dyn Clock>);
            let (rng, ports) = (Rng::seeded(1), PublicPorts::STANDARD);
            let keeping = Keeping { settings, metrics: Arc::clone(&metrics), clock, rng, ports };
            (start(keeping).unwrap(), metrics)
        }

        fn at(&self, share: f64) {
            let need = crate::certs::desired::needs(&self.settings).remove(0);
            let pair = PemStore::new(self.settings.state.clone()).pairs(&need.slots()[0]).remove(0).unwrap();
            let validity = crate::certs::bundle::CertBundle::restore(&pair.chain, &pair.key).unwrap().validity();
            self.clock.set(validity.not_before + validity.lifetime().mul_f64(share));
        }
    }

    async fn take_one(listener: &TcpListener) -> String {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut came = String::new();
        while !came.ends_with('}') {
            let mut piece = [0; 1_024];
            let length = socket.read(&mut piece).await.unwrap();
            came.push_str(std::str::from_utf8(&piece[..length]).unwrap());
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        came
    }

    #[test]
    fn names_in_danger_come_in_one_alarm_which_a_restart_does_not_repeat_but_the_next_day_does() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
        let work = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let world = World::new(Alert::Url(format!("http://{}/", listener.local_addr().unwrap())));
            world.at(0.5);
            let (handle, metrics) = world.start();
            handle.stop().await;
            assert_eq!(metrics.certs.alarms.read(), 0, "half of its life is left");
            drop(handle);
            world.at(0.9);
            let (handle, metrics) = world.start();
            let came = take_one(&listener).await;
            assert!(came.contains(r#""event":"certificate_in_danger""#) && came.contains("b.example"), "{came}");
            assert_eq!(metrics.certs.alarms.read(), 1, "one for both");
            handle.stop().await;
            drop(handle);
            let kept = || Store::open(&world.settings.state, Duration::ZERO, NOW).is_ok_and(|(store, _)| store.keys().len() >= 2);
            while !kept() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let (handle, metrics) = world.start();
            handle.settings(Arc::clone(&world.settings)).await;
            assert_eq!(metrics.certs.alarms.read(), 0, "it was raised a moment ago");
            world.clock.set(world.clock.now() + Duration::from_secs(86_401));
            handle.settings(Arc::clone(&world.settings)).await;
            assert_eq!(metrics.certs.alarms.read(), 1, "and again the next day");
            assert!(take_one(&listener).await.contains("a.example"));
            handle.stop().await;
            assert!(world.dir.path().exists());
        };
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), work).await.expect("done in time") });
    }
}
