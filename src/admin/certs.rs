//! Certificates in the words of the admin socket: as the manager tells of them, and as they lie in a state folder while no
//! gateway runs.

use std::path::Path;

use super::api::{BudgetLine, CertLine, CertsReport, ShareLine, WindowLine};
use crate::base::time::Timestamp;
use crate::certs::bundle::CertBundle;
use crate::certs::desired::{self, DesiredCert, Source};
use crate::certs::issuer::files;
use crate::certs::rate_limit::{Budget, Share};
use crate::certs::status::NameStatus;
use crate::config::settings::Settings;
use crate::state::pem_store::{PemStore, Slot};

/// What the manager tells.
pub fn line(status: &NameStatus) -> CertLine {
    let status = status.clone();
    CertLine {
        names: status.names,
        state: status.state.as_str().into(),
        issuer: status.issuer,
        expires: status.not_after,
        next_attempt: status.next_attempt,
        next_why: status.next_why,
        failures: status.fails,
        last_error: status.last_error,
        challenge: status.challenge,
        unsaved: status.unsaved,
        remedy: status.remedy,
        local: status.from == LOCAL,
        from: status.from,
        serial: status.serial,
        window: status.window.map(|(start, end)| WindowLine { start, end, asked_again: status.window_asked_again }),
        budget: status.budget.map(|budget| budget_line(&budget)),
        alarmed: status.alarmed,
        notes: Vec::new(),
    }
}

const LOCAL: &str = "the local authority";

fn budget_line(budget: &Budget) -> BudgetLine {
    let share = |share: Share| ShareLine { used: share.used, most: share.most };
    BudgetLine {
        failed_validations_in_hour: share(budget.failed_proofs),
        failed_orders_in_hour: share(budget.orders_in_hour),
        failed_orders_in_day: share(budget.orders_in_day),
        issued_in_week: share(budget.issued_in_week),
        account_orders: budget.account_orders.map(share),
    }
}

/// What a state folder holds for a configuration, or without one all that it holds. Reads only: whoever owns the folder
/// may be at work in it.
pub fn stored(state: &Path, settings: Option<&Settings>, now: Timestamp) -> CertsReport {
    let vault = PemStore::new(state.to_owned());
    let certs = match settings {
        Some(settings) => desired::needs(settings).iter().map(|need| of_need(&vault, need, now)).collect(),
        None => vault.slots().iter().filter_map(|slot| of_slot(&vault, slot, now)).collect(),
    };
    CertsReport { certs }
}

fn of_need(vault: &PemStore, need: &DesiredCert, now: Timestamp) -> CertLine {
    let names = need.names.iter().map(ToString::to_string).collect();
    let blank = CertLine { names, next_why: "no gateway runs".to_owned(), ..CertLine::default() };
    match &need.source {
        Source::Local => {
            CertLine { state: "made at the start".into(), issuer: LOCAL.into(), from: LOCAL.into(), local: true, ..blank }
        }
        Source::Files { chain, key, .. } => {
            let blank = CertLine { from: chain.display().to_string(), ..blank };
            match files::read(chain, key, &need.names, now, true) {
                Ok(read) => held(blank, &read.bundle, now),
                Err(error) => missing(blank, Some(crate::base::error_chain::ErrorChain(&error).to_string())),
            }
        }
        Source::Acme(authorities) => {
            let from = authorities.first().map(|first| first.acme.directory.clone()).unwrap_or_default();
            let blank = CertLine { from, ..blank };
            let found =
                need.slots().into_iter().flat_map(|slot| sound(vault, &slot)).filter(|bundle| bundle.covers_all(&need.names));
            match found.max_by_key(|bundle| bundle.validity().not_after) {
                Some(bundle) => held(blank, &bundle, now),
                None => missing(blank, None),
            }
        }
    }
}

fn of_slot(vault: &PemStore, slot: &Slot, now: Timestamp) -> Option<CertLine> {
    let bundle = sound(vault, slot).max_by_key(|bundle| bundle.validity().not_after)?;
    let names = bundle.identifiers().iter().map(ToString::to_string).collect();
    Some(held(
        CertLine { names, from: slot.issuer.to_string(), next_why: "no gateway runs".into(), ..CertLine::default() },
        &bundle,
        now,
    ))
}

/// The pairs of a slot that are what they should be.
fn sound(vault: &PemStore, slot: &Slot) -> impl Iterator<Item = CertBundle> + use<> {
    vault.pairs(slot).into_iter().flatten().filter_map(|pair| CertBundle::restore(&pair.chain, &pair.key).ok())
}

fn held(blank: CertLine, bundle: &CertBundle, now: Timestamp) -> CertLine {
    let not_after = bundle.validity().not_after;
    CertLine {
        state: if not_after < now { "expired" } else { "valid" }.into(),
        issuer: bundle.issuer_name().to_owned(),
        expires: Some(not_after.to_string()),
        serial: Some(bundle.serial().to_owned()),
        ..blank
    }
}

fn missing(blank: CertLine, why: Option<String>) -> CertLine {
    CertLine { state: "missing".into(), issuer: blank.from.clone(), last_error: why, ..blank }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::Identifier;
    use crate::certs::issuer::local_ca::LocalCa;
    use crate::config::environment::Environment;
    use crate::config::resolve;

    const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);

    #[test]
    fn a_state_folder_tells_what_it_holds_for_a_configuration_and_without_one() {
        let dir = tempfile::tempdir().unwrap();
        let vault = PemStore::new(dir.path().join("state"));
        let text = "acme {\n    directory https://ca.example/dir\n}\na.example b.example localhost {\n    respond 200\n}\n";
        let settings = resolve::from_text("test.conf", text, &Environment::default()).unwrap().settings;
        let slot = desired::needs(&settings)[0].slots().remove(0);
        let mut ca = LocalCa::open(&PemStore::new(dir.path().join("other")), NOW).unwrap().0;
        let (chain, key) = ca.make(&[Identifier::parse("a.example").unwrap()], NOW).unwrap();
        vault.save_pair(&slot, &chain, &key).unwrap();
        let states = |report: &CertsReport| report.certs.iter().map(|line| line.state.clone()).collect::<Vec<_>>();
        let report = stored(vault.root(), Some(&settings), NOW);
        assert_eq!(states(&report), ["valid", "missing", "made at the start"]);
        assert_eq!(report.certs[0].expires.as_deref(), Some("2026-11-21T12:00:00Z"));
        let later = NOW + std::time::Duration::from_secs(86_400);
        assert_eq!(states(&stored(vault.root(), None, later)), ["expired"]);
        assert_eq!(stored(vault.root(), None, NOW).certs[0].names, ["a.example"]);
    }
}
