//! What log lines say of an exchange: its host, path and URL.

use super::Exchange;
use crate::base::escape::escaped;
use crate::proxy::messages::MAX_REPEATED;
use crate::proxy::validate::Host;

impl Exchange {
    /// The host in its normal form; as it was written, fit for a log line, where it has none.
    pub(in crate::proxy) fn host(&self) -> String {
        let raw = self.asked.authority();
        match self.connection.authority(raw) {
            Ok(authority) => match &authority.host {
                Host::Name(name) => name.to_string(),
                host @ Host::Ip(_) => host.to_string(),
            },
            Err(_) => escaped(&String::from_utf8_lossy(raw.unwrap_or_default()), MAX_REPEATED),
        }
    }

    /// Whether the client itself came by https: a trusted proxy in front says how it did.
    pub(in crate::proxy) fn came_by_https(&self) -> bool {
        self.state.proxy_by_https.get().unwrap_or_else(|| self.connection.is_secure())
    }

    /// The path, fit for a log line. A query may hold secrets and is left out.
    pub(in crate::proxy) fn path(&self) -> String {
        escaped(self.asked.uri.path(), MAX_REPEATED)
    }

    /// The URL without its query; `websocket` is whether it was asked for as one.
    pub(in crate::proxy) fn url(&self, websocket: bool) -> String {
        let scheme = match (websocket, self.connection.is_secure()) {
            (true, true) => "wss",
            (true, false) => "ws",
            (false, true) => "https",
            (false, false) => "http",
        };
        let authority = String::from_utf8_lossy(self.asked.authority().unwrap_or_default());
        format!("{scheme}://{}{}", escaped(&authority, MAX_REPEATED), self.path())
    }
}
