//! Sites: which hosts, which paths, and what answers there.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Acme, At, ClientCertificates, HeaderEdit, Place, Policy, UpstreamId};
use crate::base::name::HostPattern;

/// One or several hosts answered alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// At least one.
    pub hosts: Vec<SiteHost>,
    /// Where its certificate comes from.
    pub tls: SiteTls,
    /// Whether all hosts share one certificate instead of one each.
    pub shared_certificate: bool,
    /// Which clients may come, if not all.
    pub client_certificates: Option<ClientCertificates>,
    /// What its refusals carry where no block answers.
    pub refusals: SiteRefusals,
    /// Longest path first; the first that matches answers. Never empty.
    pub blocks: Vec<Block>,
    /// Where it stood, for banners and `explain`.
    pub at: Place,
}

/// What a site adds to its refusals where no block answers: its own words, without those of its paths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SiteRefusals {
    /// Edits of the response's header.
    pub headers: Vec<HeaderEdit>,
    /// The four headers of the users' guides.
    pub security_headers: bool,
    /// `Strict-Transport-Security` for a year.
    pub hsts: bool,
    /// Folder of error pages.
    pub errors: Option<PathBuf>,
    /// Origins for cross-origin requests.
    pub cors: Vec<String>,
}

impl From<&Policy> for SiteRefusals {
    fn from(own: &Policy) -> Self {
        Self {
            headers: own.headers.clone(),
            security_headers: own.security_headers,
            hsts: own.hsts,
            errors: own.errors.clone(),
            cors: own.cors.clone(),
        }
    }
}

/// One head of a site.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SiteHost {
    /// What the request's host must be.
    pub pattern: HostPattern,
    /// Plain http asked for by `http://`.
    pub plain: bool,
    /// The port: the site's own, or the gateway's http or https port.
    pub port: u16,
}

/// Where a site's certificate comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum SiteTls {
    /// By ACME.
    Acme(Arc<Acme>),
    /// From the local authority.
    Internal,
    /// From files, watched.
    Files {
        /// PEM chain, leaf first.
        chain: PathBuf,
        /// PEM key.
        key: PathBuf,
        /// Where both are named.
        at: At,
    },
    /// None: every host is plain http.
    Off,
}

/// What happens below one path of a site.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Which paths.
    pub path: PathPattern,
    /// What is done on the way in and out.
    pub policy: Policy,
    /// What answers.
    pub end: End,
    /// Where it stood.
    pub at: Place,
}

/// Which paths a block answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// Exactly this path.
    Exact(String),
    /// This prefix, which ends in `/`, and everything below: `/ws/*` is `Prefix("/ws/")`, `/*` is `Prefix("/")`.
    Prefix(String),
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// What answers in the end.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Backends.
    Proxy(UpstreamId),
    /// Another URL.
    Redirect {
        /// An absolute URL, or a path; path and query of the request are appended when it is a bare origin.
        target: String,
        /// 301, 302, 303, 307 or 308.
        code: u16,
    },
    /// A fixed text.
    Respond {
        /// 200 to 599.
        code: u16,
        /// The body, sent as text/plain.
        text: String,
    },
    /// Files below a folder.
    Files(Files),
}

/// Files below a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The folder.
    pub folder: PathBuf,
    /// How long they may be kept; pages (HTML) are asked about each time then.
    pub cache: Option<Cache>,
    /// Path of the page that answers where there is no file: for applications that live in the browser.
    pub fallback: Option<String>,
    /// Whether links may lead out of the folder.
    pub follow: bool,
    /// Whether a folder without a page of its own is listed.
    pub list: bool,
}

/// How long an answer may be kept (RFC 9111 section 5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// `max-age`.
    pub age: Duration,
    /// Whether it never changes in that time (RFC 8246).
    pub immutable: bool,
}
