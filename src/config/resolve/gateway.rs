//! The words outside of sites that concern the gateway as a whole.

use std::net::IpAddr;
use std::path::PathBuf;

use super::resolver::Resolver;
use super::trusted::named_networks;
use crate::base::addr::IpNet;
use crate::base::size::ByteSize;
use crate::config::defaults;
use crate::config::diagnostic::quote;
use crate::config::raw::{Directive, Directives};
use crate::config::settings::{
    Ban, GatewayLimits, Level, Log, LogFormat, MemoryLimit, Protocols, PublicPorts, Settings, Timeouts,
};
use crate::config::tree::Word;

impl Resolver<'_> {
    pub(super) fn gateway(&mut self, top: &Directives, settings: &mut Settings) {
        self.put_some(top, "email", &mut settings.email, Self::email);
        self.put(top, "state", &mut settings.state, Self::file);
        settings.admin = Some(defaults::admin(self.surroundings, &settings.state));
        self.put(top, "admin", &mut settings.admin, Self::admin);
        self.put(top, "http-port", &mut settings.http_port, Self::port);
        self.put(top, "https-port", &mut settings.https_port, Self::port);
        settings.public_ports = PublicPorts { plain: settings.http_port, tls: settings.https_port };
        self.put(top, "public-http-port", &mut settings.public_ports.plain, Self::port);
        self.put(top, "public-https-port", &mut settings.public_ports.tls, Self::port);
        self.put(top, "drain", &mut settings.drain, Self::duration);
        if let Some(directive) = top.one("bind") {
            settings.bind = self.bind(&directive.values);
        }
        if let Some(directive) = top.one("protocols") {
            settings.protocols = self.protocols(directive);
        }
        self.handshake(top, settings);
        if let Some(directive) = top.one("trusted-proxies") {
            settings.trusted_proxies = self.trusted(&directive.values);
        }
        if let Some(directive) = top.one("proxy-protocol")
            && self.choice(directive.value(), &[("from", ())]).is_some()
        {
            settings.proxy_protocol_from = self.trusted(&directive.values[1..]);
        }
        if let Some(directive) = top.one("ban") {
            settings.ban = self.ban(directive);
        }
        self.parts(top, "timeouts", |this, parts| this.timeouts(parts, &mut settings.timeouts));
        self.parts(top, "limit", |this, parts| this.gateway_limits(parts, &mut settings.limits));
        self.parts(top, "log", |this, parts| this.gateway_log(parts, &mut settings.log));
        self.same_ports(top, settings);
    }

    fn same_ports(&mut self, top: &Directives, settings: &Settings) {
        let Settings { http_port, https_port, public_ports: PublicPorts { plain, tls }, .. } = *settings;
        let one = |http: &str, https: &str| top.one(http).or_else(|| top.one(https)).map(Directive::span);
        if http_port == https_port {
            let Some(span) = one("http-port", "https-port") else { return };
            let what = format!("port {http_port} cannot speak both http and https");
            self.complain(span, what, "give `http-port` and `https-port` different numbers");
        } else if plain == tls {
            let Some(span) = one("public-http-port", "public-https-port") else { return };
            let what = format!("port {plain} cannot lead to both `http-port` {http_port} and `https-port` {https_port}");
            self.complain(span, what, "give `public-http-port` and `public-https-port` different numbers");
        }
    }

    fn email(&mut self, word: &Word) -> Option<String> {
        let address = word.text.strip_prefix("mailto:").unwrap_or(&word.text);
        let plain = |part: &str| !part.is_empty() && part.is_ascii() && !part.contains([' ', ',', '@', '<', '>', '?']);
        let fits = address.split_once('@').is_some_and(|(local, domain)| plain(local) && plain(domain) && domain.contains('.'));
        if !fits {
            let hint = "write one address such as ops@example.com, or leave `email` out: it is optional";
            self.complain(word.span, format!("{} is not an e-mail address", quote(&word.text)), hint);
        }
        fits.then(|| address.to_owned())
    }

    /// The outer option is whether it could be read.
    fn admin(&mut self, word: &Word) -> Option<Option<PathBuf>> {
        if word.text == "off" {
            return Some(None);
        }
        let Some(path) = word.text.strip_prefix("unix/").filter(|path| !path.is_empty()) else {
            let hint = "write `admin unix/PATH`, as in unix//run/doorward/admin.sock, or `admin off`";
            self.complain(word.span, format!("{} is not a Unix socket", quote(&word.text)), hint);
            return None;
        };
        let path = self.sources.path(word.span, path);
        // The kernel's sockaddr_un has 108 bytes with the final zero.
        if path.as_os_str().len() > 107 {
            self.complain(word.span, "the path of a Unix socket has at most 107 characters", "choose a shorter one");
        }
        Some(Some(path))
    }

    fn bind(&mut self, words: &[Word]) -> Vec<IpAddr> {
        let mut bind = Vec::new();
        for word in words {
            let Some(ip) = self.ip(word) else { continue };
            if bind.contains(&ip) {
                self.complain(word.span, format!("{ip} is bound twice"), "write each address once");
            } else {
                bind.push(ip);
            }
        }
        bind
    }

    fn protocols(&mut self, directive: &Directive) -> Protocols {
        let mut protocols = Protocols { h1: false, h2: false, h3: false };
        for word in &directive.values {
            let Some(index) = self.choice(word, &[("h1", 1), ("h2", 2), ("h3", 3)]) else { continue };
            match index {
                1 => protocols.h1 = true,
                2 => protocols.h2 = true,
                _ => protocols.h3 = true,
            }
        }
        if !protocols.h1 {
            let hint = "add h1: redirects, challenges and most WebSocket clients speak nothing else";
            self.complain(directive.span(), "HTTP/1.1 cannot be switched off", hint);
        }
        protocols
    }

    fn trusted(&mut self, words: &[Word]) -> Vec<IpNet> {
        let mut nets = Vec::new();
        for word in words {
            match named_networks(&word.text) {
                Some(named) => nets.extend(named),
                None => nets.extend(self.nets(std::slice::from_ref(word))),
            }
        }
        nets
    }

    fn timeouts(&mut self, parts: &Directives, timeouts: &mut Timeouts) {
        self.put(parts, "handshake", &mut timeouts.handshake, Self::duration);
        self.put(parts, "header", &mut timeouts.header, Self::duration);
        self.put(parts, "body", &mut timeouts.body, Self::duration);
        self.put(parts, "send", &mut timeouts.send, Self::duration);
        self.put(parts, "idle", &mut timeouts.idle, Self::duration);
    }

    fn gateway_limits(&mut self, parts: &Directives, limits: &mut GatewayLimits) {
        // Below 4 KiB an ordinary browser with a few cookies is turned away.
        let least = ByteSize(4 << 10);
        self.put(parts, "connections", &mut limits.connections, |this, word| this.number(word, 1, 10_000_000));
        self.put(parts, "header-size", &mut limits.header_size, |this, word| this.header_size(word, least));
        self.put(parts, "header-count", &mut limits.header_count, |this, word| this.number(word, 20, 10_000));
        self.put(parts, "url-size", &mut limits.url_size, |this, word| this.header_size(word, ByteSize(1 << 10)));
        self.put(parts, "streams", &mut limits.streams, |this, word| this.number(word, 1, 100_000));
        self.put(parts, "memory", &mut limits.memory, Self::memory);
    }

    fn memory(&mut self, word: &Word) -> Option<MemoryLimit> {
        match word.text.as_str() {
            "auto" => Some(MemoryLimit::Auto),
            "off" => Some(MemoryLimit::Off),
            // Less than that is taken by the program itself.
            _ => self.size(word, ByteSize(32 << 20)).map(MemoryLimit::Bytes),
        }
    }

    /// `after N refusals within SPAN for SPAN [except CIDR...]`.
    fn ban(&mut self, directive: &Directive) -> Option<Ban> {
        let [after, count, refusals, within, time, during, span, rest @ ..] = directive.values.as_slice() else { return None };
        for (word, expected) in [(after, "after"), (refusals, "refusals"), (within, "within"), (during, "for")] {
            self.choice(word, &[(expected, ())])?;
        }
        let (refusals, within, span) = (self.number(count, 2, 1_000_000)?, self.duration(time)?, self.duration(span)?);
        let except = match rest {
            [] => Vec::new(),
            [except] => {
                self.choice(except, &[("except", ())])?;
                self.complain(except.span, "nobody stands behind `except`", "write networks behind it, or take it out");
                return None;
            }
            [except, nets @ ..] => {
                self.choice(except, &[("except", ())])?;
                self.trusted(nets)
            }
        };
        Some(Ban { refusals, within, span, except })
    }

    /// A header is held in memory as a whole, so its limit has an upper bound.
    fn header_size(&mut self, word: &Word, least: ByteSize) -> Option<ByteSize> {
        let size = self.size(word, least)?;
        let most = ByteSize(1 << 20);
        if size > most {
            self.complain(word.span, format!("{size} is too much for a header"), format!("write at most {most}"));
            return None;
        }
        Some(size)
    }

    fn gateway_log(&mut self, parts: &Directives, log: &mut Log) {
        let formats = [("auto", LogFormat::Auto), ("human", LogFormat::Human), ("json", LogFormat::Json)];
        let levels = [
            ("error", Level::Error),
            ("warn", Level::Warn),
            ("info", Level::Info),
            ("debug", Level::Debug),
            ("trace", Level::Trace),
        ];
        self.put(parts, "format", &mut log.format, |this, word| this.choice(word, &formats));
        self.put(parts, "level", &mut log.level, |this, word| this.choice(word, &levels));
        self.put(parts, "access", &mut log.access, Self::switch);
        if let Some(directive) = parts.one("hide") {
            log.hide = directive.values.iter().filter_map(|word| self.text(word)).collect();
        }
    }
}
