//! Whose addresses a name leads to, where that is a CDN's. Pure.

use std::net::IpAddr;

use crate::config::resolve::named_networks;

/// The CDN that owns an address.
pub fn of(ip: IpAddr) -> Option<&'static str> {
    let mut cloudflare = named_networks("cloudflare")?;
    cloudflare.any(|net| net.contains(&ip)).then_some("Cloudflare")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cdns_address_is_known_by_its_networks() {
        let check = |ip: &str, expected| assert_eq!(of(ip.parse().unwrap()), expected, "{ip}");
        check("104.16.1.1", Some("Cloudflare"));
        check("2606:4700::1", Some("Cloudflare"));
        check("192.0.2.1", None);
        check("2001:db8::1", None);
    }
}
