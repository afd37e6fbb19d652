//! Groups of networks that have a name in `trusted-proxies`.

use crate::base::addr::{IpNet, parse_net};

/// As their owners publish them (Cloudflare: cloudflare.com/ips, Fastly: api.fastly.com/public-ip-list); `private` is what a balancer in front of us has.
const NAMED: [(&str, &[&str]); 3] = [
    ("private", &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128"]),
    (
        "cloudflare",
        &[
            "173.245.48.0/20",
            "103.21.244.0/22",
            "103.22.200.0/22",
            "103.31.4.0/22",
            "141.101.64.0/18",
            "108.162.192.0/18",
            "190.93.240.0/20",
            "188.114.96.0/20",
            "197.234.240.0/22",
            "198.41.128.0/17",
            "162.158.0.0/15",
            "104.16.0.0/13",
            "104.24.0.0/14",
            "172.64.0.0/13",
            "131.0.72.0/22",
            "2400:cb00::/32",
            "2606:4700::/32",
            "2803:f800::/32",
            "2405:b500::/32",
            "2405:8100::/32",
            "2a06:98c0::/29",
            "2c0f:f248::/32",
        ],
    ),
    (
        "fastly",
        &[
            "23.235.32.0/20",
            "43.249.72.0/22",
            "103.244.50.0/24",
            "103.245.222.0/23",
            "103.245.224.0/24",
            "104.156.80.0/20",
            "140.248.64.0/18",
            "140.248.128.0/17",
            "146.75.0.0/17",
            "151.101.0.0/16",
            "157.52.64.0/18",
            "167.82.0.0/17",
            "167.82.128.0/20",
            "167.82.160.0/20",
            "167.82.224.0/20",
            "172.111.64.0/18",
            "185.31.16.0/22",
            "199.27.72.0/21",
            "199.232.0.0/16",
            "2a04:4e40::/32",
            "2a04:4e42::/32",
        ],
    ),
];

/// The networks of a group; `None` when no group has this name.
pub fn named_networks(name: &str) -> Option<impl Iterator<Item = IpNet>> {
    let (_, list) = NAMED.iter().find(|(known, _)| *known == name)?;
    Some(list.iter().map(|net| parse_net(net).expect("every network of the table reads")))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn every_network_of_every_group_reads_and_has_no_bits_behind_its_prefix() {
        for (name, list) in NAMED {
            let nets: Vec<IpNet> = named_networks(name).unwrap().collect();
            assert_eq!(nets.len(), list.len());
            assert!(nets.iter().all(|net| net.trunc() == *net), "in {name}");
        }
    }

    #[test]
    fn a_cdn_is_told_from_others() {
        let of = |name: &str, ip: &str| named_networks(name).unwrap().any(|net| net.contains(&ip.parse::<IpAddr>().unwrap()));
        assert!(of("cloudflare", "104.16.1.1") && of("cloudflare", "2606:4700::1") && !of("cloudflare", "151.101.1.1"));
        assert!(of("fastly", "151.101.1.1") && of("fastly", "2a04:4e42::1") && !of("fastly", "104.16.1.1"));
        assert!(named_networks("nobody").is_none());
    }
}
