//! Who may ask at all, by address. `deny` wins over `allow`.

use std::net::IpAddr;

use crate::base::addr::IpNet;
use crate::proxy::refusal::{Refusal, Rule};

/// The networks of `allow` and `deny`.
#[derive(Clone, Debug)]
pub struct IpFilter {
    allow: Box<[IpNet]>,
    deny: Box<[IpNet]>,
}

impl IpFilter {
    /// `None` when everybody may.
    pub(crate) fn of(allow: &[IpNet], deny: &[IpNet]) -> Option<Self> {
        (!allow.is_empty() || !deny.is_empty()).then(|| Self { allow: allow.into(), deny: deny.into() })
    }

    pub(crate) fn check(&self, client: IpAddr) -> Result<(), Refusal> {
        let among = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&client));
        if among(&self.deny) {
            Err(Refusal::Forbidden(Rule::Deny))
        } else if !self.allow.is_empty() && !among(&self.allow) {
            Err(Refusal::Forbidden(Rule::Allow))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::addr::parse_net;

    #[test]
    fn deny_wins_and_an_empty_allow_means_everybody() {
        let nets = |texts: &[&str]| texts.iter().map(|text| parse_net(text).unwrap()).collect::<Vec<_>>();
        let check = |allow: &[&str], deny: &[&str], client: &str, expected: Result<(), Rule>| {
            let admit = IpFilter::of(&nets(allow), &nets(deny)).unwrap();
            assert_eq!(admit.check(client.parse().unwrap()), expected.map_err(Refusal::Forbidden), "for {client}");
        };
        check(&["10.0.0.0/8"], &[], "10.1.2.3", Ok(()));
        check(&["10.0.0.0/8"], &[], "192.0.2.1", Err(Rule::Allow));
        check(&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.2.3", Err(Rule::Deny));
        check(&[], &["2001:db8::/32"], "2001:db8::1", Err(Rule::Deny));
        check(&[], &["2001:db8::/32"], "2001:db9::1", Ok(()));
        assert!(IpFilter::of(&[], &[]).is_none());
    }
}
