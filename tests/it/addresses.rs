//! Certificates for addresses, which clients ask for without a name.

use std::time::Duration;

use doorward::config::settings::ChallengeKind;

use crate::acme_desk::{AdminHandler, Customer};
use crate::support::gateway::Gateway;
use crate::support::pebble::{Options, Pebble};
use crate::support::{client, server, wait};

#[tokio::test]
async fn addresses_of_both_kinds_get_short_lived_certificates_by_either_challenge() {
    let day = Duration::from_secs(86_400);
    let profiles = vec![("classic", 90 * day), ("shortlived", 6 * day)];
    for (challenge, address) in [
        (ChallengeKind::Http01, "127.0.0.1"),
        (ChallengeKind::TlsAlpn01, "127.0.0.1"),
        (ChallengeKind::Http01, "::1"),
        (ChallengeKind::TlsAlpn01, "::1"),
    ] {
        let desk = AdminHandler::open_at(if address == "::1" { "::1" } else { "127.0.0.1" });
        let pebble =
            Pebble::start(desk.http_port(), desk.https_port(), &Options { profiles: profiles.clone(), ..Options::default() });
        let mut customer = Customer::new(&pebble.directory(), pebble.authority().root_file(), std::sync::Arc::default());
        (customer.acme.profile, customer.acme.challenges) = (Some("shortlived".into()), vec![challenge]);
        let issued =
            customer.order(&desk, &[address]).await.unwrap_or_else(|error| panic!("{challenge} for {address}: {error:?}"));
        assert!(issued.bundle.validity().lifetime() <= 7 * day);
        assert_eq!(issued.bundle.identifiers()[0].to_string(), address);
    }
}

#[test]
fn a_client_that_names_nobody_is_shown_the_certificate_of_the_address_it_came_to() {
    let mut gateway = Gateway::prepare();
    gateway.configure("", "bind 127.0.0.1 ::1\n127.0.0.1 [::1] localhost {\n    respond 200 here\n}");
    let text = std::fs::read_to_string(gateway.config_file()).unwrap();
    std::fs::write(gateway.config_file(), text.replacen("bind 127.0.0.1\n", "", 1)).unwrap();
    gateway.start();
    let root = gateway.local_root();
    // A name that is an address is never sent as one (RFC 6066 section 3).
    gateway.until_served("127.0.0.1", &root, wait::LIMIT);
    let roots = std::fs::read_to_string(&root).unwrap();
    wait::until("::1 is served by its own certificate", wait::LIMIT, || {
        server::runtime().block_on(async {
            let socket = tokio::net::TcpStream::connect(("::1", gateway.https)).await?;
            client::handshake(socket, "::1", &roots, &[b"http/1.1"]).await.map(drop)
        })
    });
}
