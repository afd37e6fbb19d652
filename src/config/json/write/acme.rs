//! `acme { }` as JSON.

use super::object_writer::{ObjectWriter, list, path, secret};
use crate::base::duration;
use crate::config::dns_providers;
use crate::config::json::print::Json;
use crate::config::settings::{Acme, Alert, Credential, DnsProvider, Eab, KeyKind, Propagation, Rfc2136, SecretSource};

pub(super) fn acme(acme: &Acme) -> Json {
    let mut members = ObjectWriter::default();
    members.add("directory", acme.directory.as_str());
    rest(acme, &mut members);
    members.object()
}

/// Everything but the directory, which a fallback writes elsewhere.
fn rest(acme: &Acme, members: &mut ObjectWriter) {
    members.some("ca-file", acme.ca_file.as_deref().map(path));
    members.some("profile", acme.profile.as_deref());
    members.some("eab", acme.eab.as_ref().map(eab));
    members.add("challenges", list(acme.challenges.iter().map(|kind| kind.as_str())));
    match &acme.dns {
        None => (),
        Some(DnsProvider::Hook(program)) => members.add("dns-hook", path(program)),
        Some(DnsProvider::Rfc2136(rfc2136)) => members.add("dns", Json::List(vec!["rfc2136".into(), updates(rfc2136)])),
        Some(DnsProvider::Service { name, parameters }) => {
            let mut inside = ObjectWriter::default();
            for (parameter, credential) in parameters {
                inside.add(parameter, service_parameter(name, parameter, credential));
            }
            members.add("dns", Json::List(vec![(*name).into(), inside.object()]));
        }
    }
    match acme.propagation {
        Propagation::Check => (),
        Propagation::Wait(span) => members.add("propagation", list(["wait", &duration::print(span)])),
        Propagation::Off => members.add("propagation", "off"),
    }
    members.some("preferred-root", acme.preferred_root.as_deref());
    members.filled("resolvers", acme.resolvers.iter().map(ToString::to_string));
    let key = match acme.key {
        KeyKind::P256 => "p256",
        KeyKind::P384 => "p384",
        KeyKind::Rsa2048 => "rsa2048",
    };
    members.add("key", key);
    if !acme.fallback.is_empty() {
        members.add("fallback", Json::List(acme.fallback.iter().map(|other| fallback(other)).collect()));
    }
    members.some("on-demand", acme.on_demand_ask.as_deref().map(|url| list(["ask", url])));
    members.some("hook", acme.hook.as_deref().map(path));
    match &acme.alert {
        None => (),
        Some(Alert::Url(url)) => members.add("alert", url.as_str()),
        Some(Alert::Program(program)) => members.add("alert", path(program)),
    }
}

fn updates(rfc2136: &Rfc2136) -> Json {
    let mut members = ObjectWriter::default();
    members.add("server", rfc2136.server.to_string());
    if let Some(key) = &rfc2136.key {
        members.add("key", key.name.as_str());
        members.add("algorithm", key.algorithm.as_str());
        members.add("secret", Json::List(secret(&key.from)));
    }
    members.some("zone", rfc2136.zone.as_deref());
    members.object()
}

/// What is no secret is printed as it is.
fn service_parameter(service: &str, name: &str, credential: &Credential) -> Json {
    let known = dns_providers::find(service).and_then(|service| service.parameter(name));
    match (&credential.from, known) {
        (SecretSource::InPlace, Some(parameter)) if !parameter.secret => credential.value.expose().as_str().into(),
        (from, _) => Json::List(secret(from)),
    }
}

fn fallback(acme: &Acme) -> Json {
    let mut members = ObjectWriter::default();
    rest(acme, &mut members);
    Json::List(vec![acme.directory.as_str().into(), members.object()])
}

fn eab(eab: &Eab) -> Json {
    let mut values = secret(&eab.from);
    // A file holds the key's id too.
    if !matches!(eab.from, SecretSource::File(_)) {
        values.insert(0, eab.key_id.as_str().into());
    }
    Json::List(values)
}
