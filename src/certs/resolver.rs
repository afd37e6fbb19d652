//! The catalog as rustls asks for it. Waits for nothing, allocates nothing. What an authority's validation sees is the
//! challenge board's resolver, never this one.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::catalog::{Catalog, Lookup};

/// Serves what the catalog holds at the moment of the handshake.
pub struct CatalogResolver {
    catalog: Arc<ArcSwap<Catalog>>,
}

impl CatalogResolver {
    /// Over the catalog that the manager publishes.
    pub const fn new(catalog: Arc<ArcSwap<Catalog>>) -> Self {
        Self { catalog }
    }
}

impl ResolvesServerCert for CatalogResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match self.catalog.load().lookup(hello.server_name(), None) {
            Lookup::Found(key) => Some(key),
            Lookup::Coming(_) | Lookup::Demand | Lookup::Unknown => None,
        }
    }
}

impl fmt::Debug for CatalogResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CatalogResolver")
    }
}

/// Serves one certificate, chosen before the handshake: for clients that name nobody, by the address they came to.
pub struct PinnedResolver(Arc<CertifiedKey>);

impl PinnedResolver {
    /// Serves this.
    pub const fn new(key: Arc<CertifiedKey>) -> Self {
        Self(key)
    }
}

impl ResolvesServerCert for PinnedResolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl fmt::Debug for PinnedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinnedResolver")
    }
}
