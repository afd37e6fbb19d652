//! What a configuration means. Total types: whoever holds a [`Settings`] holds a valid one, with every default filled
//! in. How it was typed is `raw`'s concern, and where a value stood is kept only where a later complaint needs it.

mod acme;
mod dns;
mod gateway;
mod health;
mod limits;
mod log;
mod place;
mod policy;
mod ports;
mod secret;
mod site;
mod status;
mod tls;
mod upstream;

pub use acme::{Acme, Alert, ChallengeKind, Eab, KeyKind, Propagation};
pub use dns::{DnsProvider, Rfc2136, TsigAlgorithm, TsigKey};
pub use gateway::{Protocols, Settings};
pub use health::{CircuitBreaker, Health, Hold, MaxFails};
pub use limits::{Ban, GatewayLimits, MemoryLimit, Timeouts};
pub use log::{Level, Log, LogFormat};
pub use place::{At, Place};
pub use policy::{
    Auth, ForwardAuth, HeaderEdit, Jwt, JwtKeys, LimitKey, MessageLimit, Origins, Policy, RequestLimit, TokenPlace,
};
pub use ports::{PortMap, PublicPorts};
pub use secret::{Credential, REDACTED, SecretSource};
pub use site::{Block, Cache, End, Files, PathPattern, Site, SiteHost, SiteRefusals, SiteTls};
pub use status::{StatusRange, in_words};
pub use tls::{Cipher, ClientCertificates, DefaultCertificate, Tls, TlsVersions};
pub use upstream::{
    Balance, HashOf, ProxyProtocol, Resolve, SameSite, Sticky, Target, TargetAddress, TargetScheme, Upstream, UpstreamId,
    UpstreamProtocols, UpstreamTimeouts, UpstreamTls,
};
