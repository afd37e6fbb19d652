//! How each kind of client is told of the local authority's root. Pure.

use std::path::Path;

/// For people who call `https://localhost` with something else than a browser; `root` is a file they can read.
pub fn recipes(root: &Path) -> String {
    let root = root.display();
    format!(
        "\
How each client trusts it:

  curl       reads the system's store; without it:
             curl --cacert {root} https://localhost
  Node       NODE_EXTRA_CA_CERTS={root} node app.js
             (from Node 22.15 on also: node --use-system-ca app.js)
  Python     import ssl; context = ssl.create_default_context(cafile=\"{root}\")
             websockets: connect(\"wss://localhost/ws\", ssl=context); httpx: Client(verify=context)
             requests: REQUESTS_CA_BUNDLE={root} python app.py
             without touching the code: SSL_CERT_FILE={root} python app.py
  wscat      wscat --ca {root} -c wss://localhost/ws
  Chromium   its own store (above); otherwise Settings, Privacy and security, Security, Manage certificates
  Firefox    its own store (above); otherwise Settings, Privacy & Security, View Certificates, Authorities, Import
  Another    copy {root} there, and nothing else: the key beside the
  machine    original must never leave this one

Restart browsers that are open. `doorward untrust` takes all of this back.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_is_told_the_file() {
        let text = recipes(Path::new("/r.pem"));
        for line in [
            "curl --cacert /r.pem https://localhost",
            "NODE_EXTRA_CA_CERTS=/r.pem",
            "cafile=\"/r.pem\"",
            "SSL_CERT_FILE=/r.pem",
            "wscat --ca /r.pem",
        ] {
            assert!(text.contains(line), "{line} is missing in:\n{text}");
        }
    }
}
