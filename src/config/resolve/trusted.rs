//! Groups of networks that have a name in `trusted-proxies`.

use crate::base::addr::{IpNet, parse_net};

/// As their owners publish them (Cloudflare: cloudflare.com/ips); `private` is what a balancer in front of us has.
const NAMED: [(&str, &[&str]); 2] = [
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
];

/// The networks of a group; `None` when no group has this name.
pub fn named_networks(name: &str) -> Option<impl Iterator<Item = IpNet>> {
    let (_, list) = NAMED.iter().find(|(known, _)| *known == name)?;
    Some(list.iter().map(|net| parse_net(net).expect("every network of the table reads")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_of_every_group_reads_and_has_no_bits_behind_its_prefix() {
        for (name, list) in NAMED {
            let nets: Vec<IpNet> = named_networks(name).unwrap().collect();
            assert_eq!(nets.len(), list.len());
            assert!(nets.iter().all(|net| net.trunc() == *net), "in {name}");
        }
    }
}
