//! Sees each new certificate with our own eyes: one handshake with ourselves, the way a client would come. Issued and
//! stored is not yet served, and a certificate that nobody is shown is found out by its expiry otherwise.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Weak;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, crypto::CryptoProvider};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::base::error_chain::ErrorChain;
use crate::certs::catalog::Catalog;
use crate::listeners::bind::{ListenKey, Role};
use crate::net::danger::NoVerifier;
use crate::server::gateway::Gateway;

/// Between two looks at the catalog.
const EVERY: Duration = Duration::from_secs(2);
/// Handshakes of one look; a thousand names that are issued together are seen over a few minutes.
const MAX_CHECKED: usize = 10;
/// For one handshake with ourselves.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a certificate was not seen.
#[derive(Debug, thiserror::Error)]
enum NotSeen {
    /// We do not listen for TLS anywhere.
    #[error("no https port is open")]
    NoPort,
    /// No connection, or no handshake.
    #[error("our own handshake failed at {at}")]
    Failed {
        at: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// No answer in time.
    #[error("our own handshake at {0} was not answered within 5 s")]
    Slow(SocketAddr),
    /// Something else is shown.
    #[error("another certificate is shown at {0}; is another program listening there?")]
    Other(SocketAddr),
    /// The crypto library refused.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Looks at the catalog for as long as the gateway runs. What was there at the start was there before, too, and counts
/// as seen.
pub async fn watch(gateway: Weak<Gateway>) {
    let Some(mut last) = gateway.upgrade().map(|gateway| gateway.certs().catalog.load_full()) else { return };
    let mut seen: HashMap<Box<str>, Arc<CertifiedKey>> = last.ready().map(|(name, key)| (name.into(), Arc::clone(key))).collect();
    let mut more = false;
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(gateway) = gateway.upgrade() else { return };
        let now = gateway.certs().catalog.load_full();
        if Arc::ptr_eq(&now, &last) && !more {
            continue;
        }
        let fresh = fresh(&now, &seen);
        more = fresh.len() == MAX_CHECKED;
        for (name, key) in fresh {
            tell(&name, look(&gateway, &name, &key).await);
            seen.insert(name, key);
        }
        last = now;
    }
}

/// Names whose certificate was not seen yet, a few at a time.
fn fresh(now: &Catalog, seen: &HashMap<Box<str>, Arc<CertifiedKey>>) -> Vec<(Box<str>, Arc<CertifiedKey>)> {
    let unseen = |(name, key): &(&str, &Arc<CertifiedKey>)| seen.get(*name).is_none_or(|held| !Arc::ptr_eq(held, key));
    now.ready().filter(unseen).take(MAX_CHECKED).map(|(name, key)| (name.into(), Arc::clone(key))).collect()
}

fn tell(name: &str, looked: Result<(), NotSeen>) {
    match looked {
        Ok(()) => tracing::info!(event = "certificate_in_service", name, "our own handshake was shown the new certificate"),
        Err(error) => {
            let reason = ErrorChain(&error).to_string();
            tracing::error!(event = "certificate_not_in_service", name, reason, "a new certificate is stored, but not shown");
        }
    }
}

async fn look(gateway: &Gateway, name: &str, expected: &CertifiedKey) -> Result<(), NotSeen> {
    let at = gateway.spots().iter().find(|spot| spot.role == Role::Tls).map(reach).ok_or(NotSeen::NoPort)?;
    let shown = tokio::time::timeout(HANDSHAKE_TIMEOUT, shown(at, name, gateway.provider()))
        .await
        .map_err(|_elapsed| NotSeen::Slow(at))??;
    if shown.as_ref() == expected.cert.first() { Ok(()) } else { Err(NotSeen::Other(at)) }
}

/// The leaf that a client of `name` is shown.
async fn shown(at: SocketAddr, name: &str, provider: &Arc<CryptoProvider>) -> Result<Option<CertificateDer<'static>>, NotSeen> {
    let failed = |source| NotSeen::Failed { at, source };
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        // What is shown is compared to what we hold, to the byte; nothing is sent over it.
        .with_custom_certificate_verifier(Arc::new(NoVerifier::new(Arc::clone(provider))))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    let server_name = ServerName::try_from(name.to_owned()).map_err(|error| failed(std::io::Error::other(error)))?;
    let tcp = TcpStream::connect(at).await.map_err(failed)?;
    let tls = TlsConnector::from(Arc::new(config)).connect(server_name, tcp).await.map_err(failed)?;
    Ok(tls.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.clone().into_owned()))
}

/// Where this machine itself reaches a listening socket.
fn reach(spot: &ListenKey) -> SocketAddr {
    let ip = match spot.addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        // A socket of every address takes IPv4 as well, unless another one does; then IPv6 is there.
        IpAddr::V6(ip) if ip.is_unspecified() && !spot.only_v6 => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, spot.addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_every_address_is_reached_over_loopback() {
        let check = |addr: &str, only_v6, expected: &str| {
            let spot = ListenKey { addr: addr.parse().unwrap(), role: Role::Tls, only_v6 };
            assert_eq!(reach(&spot).to_string(), expected, "for {addr}");
        };
        check("0.0.0.0:443", false, "127.0.0.1:443");
        check("[::]:443", false, "127.0.0.1:443");
        check("[::]:443", true, "[::1]:443");
        check("192.0.2.7:8443", false, "192.0.2.7:8443");
    }
}
