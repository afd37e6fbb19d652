//! Sites as JSON: every block with its whole policy. What a site's refusals carry stands at the site, and a block inherits
//! of it only the edits of `headers`, which are not repeated.

use super::object_writer::{ObjectWriter, list, path};
use super::{acme, policy, upstream};
use crate::base::duration;
use crate::config::json::print::Json;
use crate::config::settings::{Block, ClientCertificates, End, Files, HeaderEdit, Place, Settings, Site, SiteHost, SiteTls};

pub(super) fn site(site: &Site, settings: &Settings) -> Json {
    let mut members = ObjectWriter::default();
    members.add("hosts", list(site.hosts.iter().map(|host| head(host, settings))));
    members.add("at", place(&site.at));
    match &site.tls {
        SiteTls::Acme(own) if *own == settings.acme => members.add("tls", "acme"),
        SiteTls::Acme(own) => members.add("tls", Json::List(vec!["acme".into(), acme::acme(own)])),
        SiteTls::Internal => members.add("tls", "internal"),
        SiteTls::Files { chain, key, at: _ } => members.add("tls", Json::List(vec![path(chain), path(key)])),
        SiteTls::Off => (),
    }
    members.some("certificate", site.shared_certificate.then_some("shared"));
    members.some("client-certificates", site.client_certificates.as_ref().map(clients));
    policy::refusals(&site.refusals, &mut members);
    let mut paths = ObjectWriter::default();
    for one in &site.blocks {
        paths.add(&one.path.to_string(), block(one, &site.refusals.headers, settings));
    }
    members.add("paths", paths.object());
    members.object()
}

fn head(host: &SiteHost, settings: &Settings) -> String {
    let (scheme, usual) = if host.plain { ("http://", settings.http_port) } else { ("", settings.https_port) };
    if host.port == usual { format!("{scheme}{}", host.pattern) } else { format!("{scheme}{}:{}", host.pattern, host.port) }
}

/// Not escaped: a place is read as it stands, without the environment.
fn place(place: &Place) -> Json {
    Json::Text(format!("{}:{}:{}", place.file, place.line, place.column))
}

fn block(block: &Block, inherited: &[HeaderEdit], settings: &Settings) -> Json {
    let mut members = ObjectWriter::default();
    members.add("at", place(&block.at));
    policy::policy(&block.policy, inherited, &mut members);
    match &block.end {
        End::Proxy(id) => members.add("proxy", upstream::reference(&settings.upstreams[id.0])),
        End::Redirect { target, code } => members.add("redirect", Json::List(vec![target.as_str().into(), (*code).into()])),
        End::Respond { code, text } => members.add("respond", Json::List(vec![(*code).into(), text.as_str().into()])),
        End::Files(own) => members.add("files", files(own)),
    }
    members.object()
}

fn clients(clients: &ClientCertificates) -> Json {
    let mut values = vec![path(&clients.ca_file)];
    values.extend(clients.optional.then(|| "optional".into()));
    values.extend(clients.headers.then(|| "headers".into()));
    Json::List(values)
}

fn files(files: &Files) -> Json {
    let mut inside = ObjectWriter::default();
    if let Some(cache) = files.cache {
        let age = std::iter::once(duration::print(cache.age));
        inside.add("cache", list(age.chain(cache.immutable.then(|| "immutable".to_owned()))));
    }
    inside.some("fallback", files.fallback.as_deref());
    inside.flag("list", files.list);
    inside.add("links", if files.follow { "follow" } else { "inside" });
    Json::List(vec![path(&files.folder), inside.object()])
}
