//! How the names of fields are spelled on HTTP/1.1. They are the same in any case (RFC 9110 section 5.1), and are written in
//! lower case, as HAProxy and Envoy write them; only the messages of a handshake that leaves HTTP are written as their RFCs
//! spell them. Controllers, IPMI cards and Arduino libraries search for `Sec-WebSocket-Key` as RFC 6455 spells it. For all
//! other messages it would be work without use. Pure.

use http::HeaderName;

/// How the names of a message's fields are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// In lower case.
    Lower,
    /// As the RFCs spell them.
    Canonical,
}

impl Spelling {
    /// Writes a name.
    pub fn write(self, name: &HeaderName, out: &mut Vec<u8>) {
        match self {
            Self::Lower => out.extend_from_slice(name.as_str().as_bytes()),
            Self::Canonical => canonical(name.as_str(), out),
        }
    }
}

fn canonical(name: &str, out: &mut Vec<u8>) {
    match name {
        "sec-websocket-key" => out.extend_from_slice(b"Sec-WebSocket-Key"),
        "sec-websocket-version" => out.extend_from_slice(b"Sec-WebSocket-Version"),
        "sec-websocket-accept" => out.extend_from_slice(b"Sec-WebSocket-Accept"),
        "sec-websocket-protocol" => out.extend_from_slice(b"Sec-WebSocket-Protocol"),
        "sec-websocket-extensions" => out.extend_from_slice(b"Sec-WebSocket-Extensions"),
        "www-authenticate" => out.extend_from_slice(b"WWW-Authenticate"),
        "etag" => out.extend_from_slice(b"ETag"),
        "te" => out.extend_from_slice(b"TE"),
        other => {
            let mut begins = true;
            out.extend(other.bytes().map(|byte| {
                let written = if begins { byte.to_ascii_uppercase() } else { byte };
                begins = byte == b'-';
                written
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_is_spelled_as_its_rfcs_spell_it() {
        for spelled in [
            "Host",
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Accept",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions",
            "X-Forwarded-For",
            "Origin",
            "User-Agent",
            "WWW-Authenticate",
        ] {
            let name: HeaderName = spelled.parse().unwrap();
            let write = |spelling: Spelling| {
                let mut out = Vec::new();
                spelling.write(&name, &mut out);
                String::from_utf8(out).unwrap()
            };
            assert_eq!(write(Spelling::Canonical), spelled);
            assert_eq!(write(Spelling::Lower), spelled.to_lowercase());
        }
    }
}
