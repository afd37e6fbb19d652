//! Whether a target that is written as plain HTTP speaks TLS: one handshake, in which nothing is sent but the hello. Also
//! for targets that are asked outside of any exchange.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, Error};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Connector;
use crate::config::settings::{Target, TargetAddress};
use crate::net::danger::NoVerifier;
use crate::proxy::upstream::endpoint::{Endpoint, EndpointAddr};

/// For the handshake, once the connection stands.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

impl Connector {
    /// Whether the target of `member` takes part in a TLS handshake, whatever its certificate says.
    pub async fn speaks_tls(&self, member: &Endpoint) -> bool {
        self.place_speaks_tls(member.place()).await
    }

    /// The same of a target as it is written.
    pub async fn target_speaks_tls(&self, target: &Target) -> bool {
        self.place_speaks_tls(target.into()).await
    }

    async fn place_speaks_tls(&self, place: EndpointAddr<'_>) -> bool {
        let attempt = self.attempt(place, None);
        match &place.target.address {
            TargetAddress::Unix(path) => match attempt.unix(path).await {
                Ok(stream) => self.handshakes(place, stream).await,
                Err(_) => false,
            },
            TargetAddress::Socket(_) | TargetAddress::Loopback(_) | TargetAddress::Name(..) => match attempt.tcp().await {
                Ok(stream) => self.handshakes(place, stream).await,
                Err(_) => false,
            },
        }
    }

    async fn handshakes<S: AsyncRead + AsyncWrite + Unpin>(&self, place: EndpointAddr<'_>, stream: S) -> bool {
        let Some(config) = config() else { return false };
        let handshake = TlsConnector::from(config).connect(self.server_name(place.target), stream);
        match timeout(HANDSHAKE_TIMEOUT, handshake).await {
            Ok(Ok(_stream)) => true,
            Ok(Err(error)) => is_of_tls(&error),
            Err(_elapsed) => false,
        }
    }
}

/// Whether only a server of TLS makes a handshake fail so: it sent an alert, its hello, or a certificate.
fn is_of_tls(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(
        error,
        Some(
            Error::AlertReceived(_)
                | Error::InvalidCertificate(_)
                | Error::PeerIncompatible(_)
                | Error::PeerMisbehaved(_)
                | Error::NoApplicationProtocol
        )
    )
}

/// TLS that accepts every certificate, as nothing is sent over it.
fn config() -> Option<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().ok()?;
    let verifier = Arc::new(NoVerifier::new(provider));
    Some(Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
}
