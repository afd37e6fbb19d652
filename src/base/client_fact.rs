//! Facts of a client that a field of a request states under a name which the gateway itself does not set.

/// What such a field states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientFact {
    /// The client's address.
    Address,
    /// Whether it came by https.
    Scheme,
}

impl ClientFact {
    /// By the name in lower case: those that CDNs, balancers and old frameworks use. Rails reads Client-IP, Rack X-Forwarded-Ssl
    /// and X-Forwarded-Scheme, gunicorn X-Forwarded-Ssl and X-Forwarded-Protocol.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "x-client-ip"
            | "client-ip"
            | "true-client-ip"
            | "cf-connecting-ip"
            | "cf-connecting-ipv6"
            | "x-cluster-client-ip"
            | "fastly-client-ip"
            | "fly-client-ip" => Some(Self::Address),
            "x-forwarded-ssl"
            | "x-forwarded-scheme"
            | "x-forwarded-protocol"
            | "x-url-scheme"
            | "x-scheme"
            | "front-end-https" => Some(Self::Scheme),
            _ => None,
        }
    }
}
