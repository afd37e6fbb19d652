//! Records at a company's service, over the dns-update crate, whose clients these are; of them our tests run PowerDNS's.
//! This file alone names the crate. It reads the present values of a name and writes them back with ours among them, so
//! other people's records stay.

use std::time::Duration;

use dns_update::providers::ovh::OvhEndpoint;
use dns_update::providers::route53::Route53Config;
use dns_update::{DnsRecord, DnsRecordType, DnsUpdater, Error};

use super::RecordError;
use crate::config::settings::Credential;
use crate::state::schema::TxtRecord;

/// For one question to a service.
const ANSWER: Option<Duration> = Some(Duration::from_secs(30));
/// For one change, which takes some questions.
const CHANGE: Duration = Duration::from_secs(120);
/// Longest part of a service's words that is passed on.
const MAX_TEXT: usize = 600;

/// A record to change in a zone.
pub(super) struct Change<'a> {
    pub(super) zone: &'a str,
    pub(super) record: &'a TxtRecord,
    pub(super) present: bool,
}

/// Makes the change.
pub(super) async fn change(
    service: &'static str,
    parameters: &[(&'static str, Credential)],
    change: Change<'_>,
) -> Result<(), RecordError> {
    let Change { zone, record, present } = change;
    let failed = |said: String| RecordError::Service { service, name: record.name.clone(), present, said };
    let updater = updater(service, parameters).ok_or_else(|| failed("it is not known here".to_owned()))?;
    let updater = updater.map_err(|error| failed(words(&error)))?;
    let texts = vec![DnsRecord::TXT(record.value.clone())];
    let name = record.name.as_str();
    let changing = async {
        match present {
            true => updater.add_to_rrset(name, DnsRecordType::TXT, ttl(service), texts, zone).await,
            false => updater.remove_from_rrset(name, DnsRecordType::TXT, texts, zone).await,
        }
    };
    // Boxed: the futures of all services are one large future.
    match tokio::time::timeout(CHANGE, Box::pin(changing)).await {
        Ok(changed) => changed.map_err(|error| failed(words(&error))),
        Err(_) => Err(failed(format!("it did not answer within {} s", CHANGE.as_secs()))),
    }
}

/// What a service says, without what could command a terminal.
fn words(error: &Error) -> String {
    error.to_string().chars().take(MAX_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The least that the service takes, in seconds.
fn ttl(service: &str) -> u32 {
    match service {
        "namesilo" => 3_600,
        "godaddy" | "porkbun" => 600,
        _ => 300,
    }
}

/// `None` for a service that is not in the table of the configuration.
fn updater(service: &str, parameters: &[(&'static str, Credential)]) -> Option<Result<DnsUpdater, Error>> {
    let given = |name: &str| parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.value.expose().as_str());
    // The configuration has seen to it that what is needed is there.
    let get = |name: &str| given(name).unwrap_or_default();
    let owned = |name: &str| given(name).map(str::to_owned);
    Some(match service {
        "arvancloud" => DnsUpdater::new_arvancloud(get("key"), ANSWER),
        "bunny" => DnsUpdater::new_bunny(get("key"), ANSWER),
        "cloudflare" => DnsUpdater::new_cloudflare(get("token"), ANSWER),
        "cloudns" => DnsUpdater::new_cloudns(given("auth-id"), None::<&str>, get("password"), ANSWER),
        "constellix" => DnsUpdater::new_constellix(get("key"), get("secret"), ANSWER),
        "desec" => DnsUpdater::new_desec(get("token"), ANSWER),
        "digitalocean" => DnsUpdater::new_digitalocean(get("token"), ANSWER),
        "dnsimple" => DnsUpdater::new_dnsimple(get("token"), get("account-id"), ANSWER),
        "dnsmadeeasy" => DnsUpdater::new_dnsmadeeasy(get("key"), get("secret"), ANSWER),
        "domeneshop" => DnsUpdater::new_domeneshop(get("token"), get("secret"), ANSWER),
        "dreamhost" => DnsUpdater::new_dreamhost(get("key"), ANSWER),
        "duckdns" => DnsUpdater::new_duckdns(get("token"), ANSWER),
        "dynu" => DnsUpdater::new_dynu(get("key"), ANSWER),
        "easydns" => DnsUpdater::new_easydns(get("token"), get("key"), ANSWER),
        "exoscale" => DnsUpdater::new_exoscale(get("key"), get("secret"), ANSWER),
        "gandi" => DnsUpdater::new_gandiv5(get("token"), ANSWER),
        "gcore" => DnsUpdater::new_gcore(get("token"), ANSWER),
        "glesys" => DnsUpdater::new_glesys(get("username"), get("key"), ANSWER),
        "godaddy" => DnsUpdater::new_godaddy(get("key"), get("secret"), ANSWER),
        "hetzner" => DnsUpdater::new_hetzner(get("token"), ANSWER),
        "hosting.de" => DnsUpdater::new_hostingde(get("key"), ANSWER),
        "hostinger" => DnsUpdater::new_hostinger(get("token"), ANSWER),
        "infomaniak" => DnsUpdater::new_infomaniak(get("token"), ANSWER),
        "inwx" => DnsUpdater::new_inwx(get("username"), get("password"), false, ANSWER),
        "ionos" => DnsUpdater::new_ionos(get("key"), ANSWER),
        "linode" => DnsUpdater::new_linode(get("token"), ANSWER),
        "luadns" => DnsUpdater::new_luadns(get("username"), get("token"), ANSWER),
        "mythicbeasts" => DnsUpdater::new_mythicbeasts(get("username"), get("password"), ANSWER),
        "name.com" => DnsUpdater::new_namedotcom(get("username"), get("token"), ANSWER),
        "namesilo" => DnsUpdater::new_namesilo(get("key"), ANSWER),
        "netcup" => DnsUpdater::new_netcup(get("customer-number"), get("key"), get("password"), ANSWER),
        "netlify" => DnsUpdater::new_netlify(get("token"), ANSWER),
        "ns1" => DnsUpdater::new_ns1(get("key"), ANSWER),
        "ovh" => get("endpoint").parse::<OvhEndpoint>().and_then(|endpoint| {
            DnsUpdater::new_ovh(get("application-key"), get("application-secret"), get("consumer-key"), endpoint, ANSWER)
        }),
        "plesk" => DnsUpdater::new_plesk(get("url"), get("key"), ANSWER),
        "porkbun" => DnsUpdater::new_porkbun(get("key"), get("secret"), ANSWER),
        "powerdns" => DnsUpdater::new_pdns(get("key"), given("url"), given("server"), ANSWER),
        "route53" => DnsUpdater::new_route53(Route53Config {
            access_key_id: get("access-key-id").to_owned(),
            secret_access_key: get("secret-access-key").to_owned(),
            session_token: None,
            region: owned("region"),
            hosted_zone_id: owned("hosted-zone-id"),
            private_zone_only: None,
            endpoint: None,
        }),
        "safedns" => DnsUpdater::new_safedns(get("token"), ANSWER),
        "scaleway" => DnsUpdater::new_scaleway(get("token"), ANSWER),
        "simply.com" => DnsUpdater::new_simplycom(get("account"), get("key"), ANSWER),
        "spaceship" => DnsUpdater::new_spaceship(get("key"), get("secret"), ANSWER),
        "transip" => DnsUpdater::new_transip(get("login"), get("private-key"), true, ANSWER),
        "vercel" => DnsUpdater::new_vercel(get("token"), given("team-id"), ANSWER),
        "vultr" => DnsUpdater::new_vultr(get("key"), ANSWER),
        "websupport" => DnsUpdater::new_websupport(get("key"), get("secret"), ANSWER),
        "zone.eu" => DnsUpdater::new_zoneeu(get("username"), get("key"), ANSWER),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use crate::config::dns_providers;
    use crate::config::settings::SecretSource;

    #[test]
    fn every_service_that_the_configuration_knows_can_be_spoken_to() {
        for service in dns_providers::ALL {
            let value = |name: &str| match name {
                "endpoint" => "ovh-eu",
                "url" => "https://dns.example:8443",
                _ => "word",
            };
            let credential = |name: &str| Credential { value: Secret::new(value(name).to_owned()), from: SecretSource::InPlace };
            let parameters: Vec<_> = service.parameters.iter().map(|one| (one.name, credential(one.name))).collect();
            let updater = updater(service.name, &parameters).unwrap_or_else(|| panic!("{} is not known", service.name));
            if let Err(error) = updater {
                // Only what is read at once, such as a key in PEM, may be refused.
                assert!(service.name == "transip", "{}: {error}", service.name);
            }
        }
    }

    #[test]
    fn what_a_service_says_is_bounded_and_cannot_command_a_terminal() {
        let said = words(&Error::Api(format!("no\u{1b}[31m\n{}", "x".repeat(5_000))));
        assert!(said.starts_with("API error: no [31m x") && said.len() == MAX_TEXT, "{said}");
    }
}
