//! `doorward doctor`: everything outside the program that certificates and serving depend on, each with what was seen, what
//! was expected and the one thing to do. Facts are gathered here and below; judged in `certs::preflight` and by the pure
//! parts of the files here.
//!
//! A running gateway lights the beacon by which an address is known to lead to it. Where none runs, the ports are opened
//! here for a moment, which also shows that they can be.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::admin::api::{CertsReport, StatusReport};
use crate::base::error_chain::ErrorChain;
use crate::base::name::Identifier;
use crate::base::task;
use crate::base::time::{Clock, SystemClock};
use crate::certs::desired::{self, Authority, DesiredCert, Source};
use crate::certs::issued_by::MeantNames;
pub use crate::certs::preflight::PublicPorts;
use crate::certs::preflight::authority::{self, Asked};
use crate::certs::preflight::caa::CaaSubject;
use crate::certs::preflight::collect::{self, Ways};
pub use crate::certs::preflight::finding::{Finding, Severity};
use crate::certs::preflight::own_addresses;
use crate::certs::preflight::reachability::{self, LocalAddrs};
use crate::certs::preflight::self_test::SelfTest;
use crate::config::settings::{Acme, Settings};
use crate::net::dns::Dns;
use crate::state::pem_store::PemStore;

pub mod backends;
pub mod certs;
pub mod files;
pub mod ports;
pub mod rate_limits;
pub mod remarks;
pub mod state;
mod temp_listener;

use temp_listener::TempListeners;

/// What is examined.
pub struct DoctorOptions {
    /// By which configuration.
    pub settings: Arc<Settings>,
    /// Only this name's certificate; `None` for all of them.
    pub name: Option<String>,
    /// What the running gateway says; `None` where none runs.
    pub running: Option<Running>,
    /// The ports where authorities and visitors come in from outside.
    pub public: PublicPorts,
}

/// What only the running gateway knows.
pub struct Running {
    /// The light it shows.
    pub beacon: SelfTest,
    /// How it stands.
    pub status: StatusReport,
    /// Its certificates.
    pub certs: CertsReport,
}

/// Names looked at in one go; one by one there is no bound.
const MAX_NAMES: usize = 100;
/// Names looked at at a time.
const AT_A_TIME: usize = 16;

/// Examines everything, or one name with all it depends on.
pub async fn examine(wish: &DoctorOptions) -> Vec<Finding> {
    let settings = &wish.settings;
    let meant = MeantNames::of(settings);
    let mut findings = vec![state::examine(&settings.state, wish.running.as_ref().map(|running| &running.status)).await];
    let (ports, stand_in) = match &wish.running {
        Some(running) => (ports::of_running(&running.status), None),
        None => TempListeners::open(settings),
    };
    findings.extend(ports);
    findings.extend(outside(wish, stand_in.as_ref()).await);
    findings.extend(backends::examine(settings).await);
    findings.extend(files::examine(settings, wish.name.as_deref()).await);
    if let Some(running) = &wish.running {
        findings.extend(certs::judge(&running.certs, wish.name.as_deref(), &meant));
        findings.extend(remarks::alarms(&running.status));
        findings.extend(rate_limits::judge(&running.certs, wish.name.as_deref()));
        findings.extend(remarks::judge(&running.status));
    }
    findings
}

/// The part that asks the world: authorities, name servers, and our own doors from without.
async fn outside(wish: &DoctorOptions, stand_in: Option<&TempListeners>) -> Vec<Finding> {
    let needs: Vec<DesiredCert> = desired::needs(&wish.settings);
    let mut by_authority: BTreeMap<String, (Authority, Vec<Identifier>)> = BTreeMap::new();
    for need in &needs {
        let Source::Acme(authorities) = &need.source else { continue };
        let Some(first) = authorities.first() else { continue };
        let wanted = need.names.iter().filter(|name| wish.wants(name)).cloned();
        let entry = by_authority.entry(first.acme.directory.clone()).or_insert_with(|| (first.clone(), Vec::new()));
        entry.1.extend(wanted);
    }
    let mut findings = Vec::new();
    if let (Some(name), true) = (&wish.name, by_authority.values().all(|(_, names)| names.is_empty())) {
        findings.push(no_such_name(name, &needs));
    }
    let beacon = wish.running.as_ref().map(|running| &running.beacon).or_else(|| stand_in.map(TempListeners::beacon));
    let PublicPorts { plain, tls } = wish.public;
    let ways = beacon.map(|beacon| Ways { plain: Some(plain), tls: Some(tls), beacon: beacon.clone() });
    let own = own_addresses();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    for (authority, mut names) in by_authority.into_values().filter(|(_, names)| !names.is_empty()) {
        names.sort_unstable();
        names.dedup();
        let asked = authority::ask(&authority.acme, &clock).await;
        findings.extend(asked.findings.iter().cloned());
        findings.extend(too_many(&names));
        names.truncate(MAX_NAMES);
        findings.extend(
            look_at(&names, &DoctorRun { authority: &authority, asked: &asked, own: &own, ways: ways.as_ref(), wish }).await,
        );
    }
    findings
}

/// What all names of one authority have in common.
struct DoctorRun<'a> {
    authority: &'a Authority,
    asked: &'a Asked,
    own: &'a [IpAddr],
    ways: Option<&'a Ways>,
    wish: &'a DoctorOptions,
}

async fn look_at(names: &[Identifier], visit: &DoctorRun<'_>) -> Vec<Finding> {
    let acme: &Acme = &visit.authority.acme;
    let dns = match Dns::configured(&acme.resolvers).await {
        Ok(dns) => dns,
        Err(error) => {
            let repair = "name one with `resolvers`, or repair /etc/resolv.conf";
            return vec![Finding::trouble("dns", "", ErrorChain(&error).to_string(), "a name server to ask", repair)];
        }
    };
    let account = account(visit);
    let asker = CaaSubject { identities: &visit.asked.identities, account: account.as_deref(), challenges: &acme.challenges };
    let here = LocalAddrs { own: visit.own, asker, ports: visit.wish.public, public_authority: acme.is_public() };
    let mut findings = Vec::new();
    for some in names.chunks(AT_A_TIME) {
        let looking: Vec<_> = some
            .iter()
            .map(|name| {
                let (name, dns, ways) = (name.clone(), dns.clone(), visit.ways.cloned());
                task::spawn_local("look at a name", async move { collect::look(&name, &dns, ways.as_ref()).await })
            })
            .collect();
        for looked in looking {
            if let Ok(Some(facts)) = looked.await {
                findings.extend(reachability::judge(&facts, &here).findings);
            }
        }
    }
    findings
}

/// Where our account is, empty where there is none; `None` when the state folder does not tell, being another user's.
fn account(visit: &DoctorRun<'_>) -> Option<String> {
    let stored = PemStore::new(visit.wish.settings.state.clone()).account(&visit.authority.issuer).ok()?;
    Some(stored.and_then(|account| account.url).unwrap_or_default())
}

impl DoctorOptions {
    fn wants(&self, name: &Identifier) -> bool {
        self.name.as_ref().is_none_or(|wanted| name.to_string().eq_ignore_ascii_case(wanted.trim_end_matches('.')))
    }
}

fn no_such_name(name: &str, needs: &[DesiredCert]) -> Finding {
    let known = needs.iter().find(|need| need.names.iter().any(|own| own.to_string().eq_ignore_ascii_case(name)));
    match known {
        Some(_) => Finding::fine("authority", name, "its certificate comes from this machine, so that nobody is asked for it"),
        None => {
            let repair = format!("add a site `{name} {{ ... }}`, or ask for a name that `doorward certs` lists");
            Finding::trouble("authority", name, "no certificate is configured for this name", "a site with it", repair)
        }
    }
}

fn too_many(names: &[Identifier]) -> Option<Finding> {
    let more = names.len().checked_sub(MAX_NAMES).filter(|more| *more > 0)?;
    let seen = format!("{more} names were not looked at, after the first {MAX_NAMES}");
    Some(Finding::trouble("dns", "", seen, "", "ask for a name by itself: `doorward doctor NAME`").noted())
}
