//! What `doorward explain` says of a request.

use std::borrow::Cow;

use http::Uri;
use serde::Serialize;

use crate::config::env_values::EnvValues;
use crate::config::settings::UpstreamId;
use crate::diagnostics::explain::steps::{ExplainStep, Outcome};

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The URL, its secrets hidden.
    pub url: String,
    /// Whether a WebSocket or another upgrade is asked for.
    pub upgrade: bool,
    /// The page that asks, where it was taken to be one of the URL's own host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The site that answers.
    pub site: Option<SiteFound>,
    /// Its block.
    pub block: Option<BlockFound>,
    /// What of the request's header is not passed on as it was sent; a field a line.
    pub fields: Vec<String>,
    /// The steps in the order in which they run.
    pub steps: Vec<ExplainStep>,
    /// What answers when every step has let pass, and what then becomes of an upgrade; a fact a line.
    pub end: Vec<String>,
    /// What is done to the answer, in order.
    pub out: Vec<String>,
    /// How it ends.
    pub verdict: Verdict,
    /// The backends that are asked when every step lets pass, and for what.
    #[serde(skip)]
    pub backend: Option<(UpstreamId, Uri)>,
}

/// The site that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteFound {
    /// The head that matched.
    pub host: String,
    /// Where it stands.
    pub at: String,
    /// Where its certificate comes from.
    pub tls: String,
}

/// The block that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockFound {
    /// Its path.
    pub path: String,
    /// Where it stands.
    pub at: String,
    /// Why this one.
    pub why: String,
}

/// How it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Verdict {
    /// No request arrives: nothing listens, or no handshake succeeds.
    NotServed {
        /// Why, and what to do.
        words: String,
    },
    /// The gateway refuses it.
    Refused {
        /// With this status.
        status: u16,
        /// The stable code in the log.
        reason: String,
        /// Why, and what to do.
        words: String,
    },
    /// The gateway answers it.
    Answered {
        /// With this status.
        status: u16,
        /// With what.
        words: String,
    },
    /// What ends the way answers, unless a step that depends on something refuses.
    Reaches {
        /// Who answers.
        words: String,
    },
}

impl Explanation {
    /// Puts variables in the place of what came from the environment: a header's value or a URL may be a secret.
    pub(super) fn hide(&mut self, values: &EnvValues) {
        let hide = |text: &mut String| {
            if let Cow::Owned(hidden) = values.hide(text) {
                *text = hidden;
            }
        };
        for station in &mut self.steps {
            hide(&mut station.says);
            if let Outcome::Depends { on } = &mut station.outcome {
                hide(on);
            }
        }
        self.end.iter_mut().chain(&mut self.out).for_each(hide);
        match &mut self.verdict {
            Verdict::NotServed { words }
            | Verdict::Refused { words, .. }
            | Verdict::Answered { words, .. }
            | Verdict::Reaches { words } => hide(words),
        }
    }
}
