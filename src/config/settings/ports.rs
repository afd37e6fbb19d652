//! Ports as clients see them. A container, a router or a firewall may forward port 443 to another one here, and a client that
//! is sent to that other one does not get through.

/// The ports at which clients reach the gateway. Authorities know no others than 80 and 443 (RFC 8555 section 8.3, RFC 8737
/// section 3); test authorities do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicPorts {
    /// Of plain http, and so of http-01.
    pub plain: u16,
    /// Of https, and so of tls-alpn-01.
    pub tls: u16,
}

impl PublicPorts {
    /// Those that public authorities use.
    pub const STANDARD: Self = Self { plain: 80, tls: 443 };
}

/// Which public port leads to which port that is listened on. A port that a site names itself is its own public port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortMap {
    /// Those of `http-port` and `https-port`.
    listening: PublicPorts,
    /// Those of `public-http-port` and `public-https-port`.
    public: PublicPorts,
}

impl PortMap {
    pub(super) const fn new(listening: PublicPorts, public: PublicPorts) -> Self {
        Self { listening, public }
    }

    /// The port in URLs that lead to the port `listening`.
    pub const fn public(self, listening: u16) -> u16 {
        if listening == self.listening.tls {
            self.public.tls
        } else if listening == self.listening.plain {
            self.public.plain
        } else {
            listening
        }
    }

    /// The port listened on that a URL with the port `public` leads to. One that is no public port is itself: the URL was
    /// written on this side of what forwards.
    pub const fn listening(self, public: u16) -> u16 {
        if public == self.public.tls {
            self.listening.tls
        } else if public == self.public.plain {
            self.listening.plain
        } else {
            public
        }
    }

    /// `https-port`.
    pub const fn https(self) -> u16 {
        self.listening.tls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_mapped_there_and_back() {
        let map = PortMap::new(PublicPorts { plain: 8080, tls: 8443 }, PublicPorts::STANDARD);
        for (listening, public) in [(8080, 80), (8443, 443), (9443, 9443)] {
            assert_eq!((map.public(listening), map.listening(public)), (public, listening));
        }
        assert_eq!((map.public(443), map.listening(8443)), (443, 8443));
    }
}
