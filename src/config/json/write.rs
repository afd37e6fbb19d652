//! Settings → JSON, with every default filled in and without any secret.

use super::print::Json;
use crate::base::addr::IpNet;
use crate::base::duration;
use crate::config::settings::{Ban, DefaultCertificate, Level, Log, LogFormat, Protocols, Settings};

mod acme;
mod object_writer;
mod policy;
mod site;
mod upstream;

use object_writer::{ObjectWriter, duration_of, list, path, switch};

/// The whole configuration as a document that reads back to equal settings, unless a secret was written in it. What came
/// from the environment stands in it as its variable.
pub fn document(settings: &Settings) -> String {
    let mut members = ObjectWriter::default();
    members.some("email", settings.email.as_deref());
    members.add("state", path(&settings.state));
    let admin = settings.admin.as_deref().map_or_else(|| "off".to_owned(), |socket| format!("unix/{}", socket.display()));
    members.add("admin", admin);
    members.add("bind", list(settings.bind.iter().map(ToString::to_string)));
    for (name, port) in [
        ("http-port", settings.http_port),
        ("https-port", settings.https_port),
        ("public-http-port", settings.public_ports.plain),
        ("public-https-port", settings.public_ports.tls),
    ] {
        members.add(name, port);
    }
    members.add("protocols", protocols(settings.protocols));
    let versions = settings.tls.versions;
    members.add(
        "tls-versions",
        list([(versions.tls12, "1.2"), (versions.tls13, "1.3")].into_iter().filter(|(on, _)| *on).map(|(_, name)| name)),
    );
    members.filled("ciphers", settings.tls.ciphers.iter().map(|cipher| cipher.name()));
    members.some("default-certificate", settings.tls.default_certificate.as_ref().map(default_certificate));
    members.filled("trusted-proxies", settings.trusted_proxies.iter().map(ToString::to_string));
    members.filled("proxy-protocol", from(&settings.proxy_protocol_from));
    members.add("drain", duration_of(settings.drain));
    members.add("timeouts", timeouts(settings));
    members.add("limit", limits(settings));
    members.some("ban", settings.ban.as_ref().map(ban));
    members.add("log", log(&settings.log));
    members.add("acme", acme::acme(&settings.acme));
    members.add("upstreams", upstream::upstreams(&settings.upstreams));
    members.add("sites", Json::List(settings.sites.iter().map(|site| site::site(site, settings)).collect()));
    let mut document = members.object();
    document.hide(&settings.env_values);
    format!("{document}\n")
}

/// The word `from` and the networks behind it; nothing where there are none.
fn from(nets: &[IpNet]) -> impl Iterator<Item = String> {
    let word = (!nets.is_empty()).then(|| "from".to_owned());
    word.into_iter().chain(nets.iter().map(ToString::to_string))
}

fn default_certificate(default: &DefaultCertificate) -> Json {
    match default {
        DefaultCertificate::Host(name) => name.to_string().into(),
        DefaultCertificate::Files { chain, key, at: _ } => Json::List(vec![path(chain), path(key)]),
    }
}

fn protocols(protocols: Protocols) -> Json {
    let all = [("h1", protocols.h1), ("h2", protocols.h2), ("h3", protocols.h3)];
    list(all.into_iter().filter(|(_, on)| *on).map(|(name, _)| name))
}

fn timeouts(settings: &Settings) -> Json {
    let timeouts = &settings.timeouts;
    let mut members = ObjectWriter::default();
    members.add("handshake", duration_of(timeouts.handshake));
    members.add("header", duration_of(timeouts.header));
    members.add("body", duration_of(timeouts.body));
    members.add("send", duration_of(timeouts.send));
    members.add("idle", duration_of(timeouts.idle));
    members.object()
}

fn limits(settings: &Settings) -> Json {
    let limits = &settings.limits;
    let mut members = ObjectWriter::default();
    members.add("connections", limits.connections);
    members.add("header-size", limits.header_size.to_string());
    members.add("header-count", limits.header_count);
    members.add("url-size", limits.url_size.to_string());
    members.add("streams", limits.streams);
    members.add("memory", limits.memory.to_string());
    members.object()
}

fn ban(ban: &Ban) -> Json {
    let (count, within, span) = (ban.refusals.to_string(), duration::print(ban.within), duration::print(ban.span));
    let words = ["after", &count, "refusals", "within", &within, "for", &span].map(str::to_owned);
    let except = (!ban.except.is_empty()).then(|| "except".to_owned()).into_iter();
    list(words.into_iter().chain(except).chain(ban.except.iter().map(ToString::to_string)))
}

fn log(log: &Log) -> Json {
    let mut members = ObjectWriter::default();
    let format = match log.format {
        LogFormat::Auto => "auto",
        LogFormat::Human => "human",
        LogFormat::Json => "json",
    };
    let level = match log.level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    members.add("format", format);
    members.add("access", switch(log.access));
    members.add("level", level);
    members.filled("hide", log.hide.iter().map(String::as_str));
    members.object()
}
