//! What steps are made with.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::settings::Upstream;
use crate::proxy::error_pages::Pages;
use crate::proxy::files::private::Private;
use crate::proxy::limit::registry::LimiterRegistry;
use crate::proxy::upstream::{BuildClusterError, UpstreamGroup};

/// What steps are made with besides their policy.
pub struct Building<'a> {
    /// Name of the site, the same over reloads.
    pub site: &'a str,
    /// The counts of this configuration.
    pub kept: &'a mut LimiterRegistry,
    /// Those of the one before.
    pub before: Option<&'a LimiterRegistry>,
    /// How long a client may be silent in the middle of its body.
    pub body_timeout: Duration,
    /// Error pages by their folder.
    pub pages: &'a mut HashMap<PathBuf, Arc<Pages>>,
    /// What no folder serves.
    pub private: &'a Arc<Private>,
    /// Makes the cluster of a service that is asked on the way, or finds it again.
    pub service: &'a mut dyn FnMut(&Upstream) -> Result<Arc<UpstreamGroup>, BuildClusterError>,
}
