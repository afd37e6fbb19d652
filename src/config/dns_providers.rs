//! Companies that host zones, as `dns NAME { }` knows them, with what each of them needs. How they are spoken to is
//! `certs::challenge::dns01::service`'s concern; a test there holds the two together.

/// A service.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What it may be given.
    pub parameters: &'static [Parameter],
}

/// One parameter of a service.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Whether nothing works without it.
    pub needed: bool,
    /// Whether it is never printed back.
    pub secret: bool,
}

const fn service(name: &'static str, parameters: &'static [Parameter]) -> Service {
    Service { name, parameters }
}

const fn secret(name: &'static str) -> Parameter {
    Parameter { name, needed: true, secret: true }
}

const fn plain(name: &'static str) -> Parameter {
    Parameter { name, needed: true, secret: false }
}

const fn optional(name: &'static str) -> Parameter {
    Parameter { name, needed: false, secret: false }
}

const TOKEN: &[Parameter] = &[secret("token")];
const KEY: &[Parameter] = &[secret("key")];
const KEY_AND_SECRET: &[Parameter] = &[secret("key"), secret("secret")];
const USER_AND_PASSWORD: &[Parameter] = &[plain("username"), secret("password")];
const USER_AND_TOKEN: &[Parameter] = &[plain("username"), secret("token")];

/// All of them, by name.
pub const ALL: &[Service] = &[
    service("arvancloud", KEY),
    service("bunny", KEY),
    service("cloudflare", TOKEN),
    service("cloudns", &[plain("auth-id"), secret("password")]),
    service("constellix", KEY_AND_SECRET),
    service("desec", TOKEN),
    service("digitalocean", TOKEN),
    service("dnsimple", &[secret("token"), plain("account-id")]),
    service("dnsmadeeasy", KEY_AND_SECRET),
    service("domeneshop", &[secret("token"), secret("secret")]),
    service("dreamhost", KEY),
    service("duckdns", TOKEN),
    service("dynu", KEY),
    service("easydns", &[secret("token"), secret("key")]),
    service("exoscale", KEY_AND_SECRET),
    service("gandi", TOKEN),
    service("gcore", TOKEN),
    service("glesys", &[plain("username"), secret("key")]),
    service("godaddy", KEY_AND_SECRET),
    service("hetzner", TOKEN),
    service("hosting.de", KEY),
    service("hostinger", TOKEN),
    service("infomaniak", TOKEN),
    service("inwx", USER_AND_PASSWORD),
    service("ionos", KEY),
    service("linode", TOKEN),
    service("luadns", USER_AND_TOKEN),
    service("mythicbeasts", USER_AND_PASSWORD),
    service("name.com", USER_AND_TOKEN),
    service("namesilo", KEY),
    service("netcup", &[plain("customer-number"), secret("key"), secret("password")]),
    service("netlify", TOKEN),
    service("ns1", KEY),
    service("ovh", &[secret("application-key"), secret("application-secret"), secret("consumer-key"), plain("endpoint")]),
    service("plesk", &[plain("url"), secret("key")]),
    service("porkbun", KEY_AND_SECRET),
    service("powerdns", &[secret("key"), plain("url"), optional("server")]),
    service("route53", &[secret("access-key-id"), secret("secret-access-key"), optional("region"), optional("hosted-zone-id")]),
    service("safedns", TOKEN),
    service("scaleway", TOKEN),
    service("simply.com", &[plain("account"), secret("key")]),
    service("spaceship", KEY_AND_SECRET),
    service("transip", &[plain("login"), secret("private-key")]),
    service("vercel", &[secret("token"), optional("team-id")]),
    service("vultr", KEY),
    service("websupport", KEY_AND_SECRET),
    service("zone.eu", &[plain("username"), secret("key")]),
];

/// The service of this name.
pub fn find(name: &str) -> Option<&'static Service> {
    ALL.iter().find(|service| service.name == name)
}

impl Service {
    /// Its parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_sorted_and_need_a_secret() {
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name));
        for service in ALL {
            assert!(service.parameters.iter().any(|parameter| parameter.secret && parameter.needed), "{}", service.name);
        }
    }
}
