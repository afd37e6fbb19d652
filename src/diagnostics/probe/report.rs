//! What a probe found, as it is told.

use serde::Serialize;

use super::diagnosis::Diagnosis;

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The way a client goes.
    pub through: Trace,
    /// The way the gateway goes, where the backend is known.
    pub straight: Option<Trace>,
    /// What it means.
    pub diagnosis: Diagnosis,
}

/// One way, step by step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// Which one.
    pub way: &'static str,
    /// The steps, up to the one that failed.
    pub steps: Vec<Step>,
    /// How it ended.
    pub end: End,
    /// Who issued the certificate that was shown, where this machine does not trust it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untrusted: Option<String>,
    /// Who issued the certificate that was shown last.
    #[serde(skip)]
    pub(super) issuer: Option<String>,
}

impl Trace {
    pub(super) const fn new(way: &'static str) -> Self {
        Self {
            way,
            steps: Vec::new(),
            end: End::NoAnswer { why: String::new(), timed_out: false },
            untrusted: None,
            issuer: None,
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// `origin`, `target`, `dns`, `tcp`, `tls`, `http` or `websocket`.
    pub what: &'static str,
    /// Whether it worked.
    pub ok: bool,
    /// What was seen.
    pub seen: String,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// How a way ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum End {
    /// The name has no address.
    NoName {
        /// What the resolver said.
        why: String,
    },
    /// Nothing takes connections there.
    NoConnection {
        /// Whether something said so at once, instead of silence.
        refused: bool,
        /// What the system said.
        why: String,
    },
    /// No TLS.
    NoTls {
        /// Whose fault.
        fault: TlsFault,
        /// What went wrong.
        why: String,
    },
    /// No HTTP answer.
    NoAnswer {
        /// What came instead.
        why: String,
        /// Whether nothing came for as long as was waited.
        timed_out: bool,
    },
    /// An answer that is no redirect, and opens no WebSocket.
    Answered {
        /// Its status.
        status: u16,
        /// Who said so.
        by: By,
    },
    /// Sent elsewhere.
    Redirected {
        /// The status.
        status: u16,
        /// Where to, as it was sent.
        #[serde(skip)]
        to: Option<String>,
        /// Who said so.
        by: By,
    },
    /// Sent round in a circle.
    Loops {
        /// The last status.
        status: u16,
        /// Who said so.
        by: By,
    },
    /// 101, but not for what was asked.
    BadUpgrade {
        /// What was wrong about it.
        why: String,
    },
    /// A WebSocket that stays open and answers pings.
    Open,
    /// A WebSocket that is closed at once.
    ClosedAtOnce {
        /// The close code; `None` when the connection ended without one.
        code: Option<u16>,
    },
    /// A WebSocket that answers no ping.
    Silent,
}

impl End {
    /// What several places that took no connection come to: every one of them with its answer.
    pub(super) fn of_all(mut tried: Vec<Self>) -> Self {
        if tried.len() == 1 {
            return tried.remove(0);
        }
        let all_refused = tried.iter().all(|end| matches!(end, Self::NoConnection { refused: true, .. }));
        let said = tried.into_iter().filter_map(|end| match end {
            Self::NoName { why } | Self::NoConnection { why, .. } => Some(why),
            _ => None,
        });
        let said: Vec<String> = said.collect();
        match said.is_empty() {
            true => Self::NoName { why: "no address".into() },
            false => Self::NoConnection { refused: all_refused, why: said.join("; ") },
        }
    }
}

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsFault {
    /// The certificate is signed by nobody we know.
    UnknownIssuer,
    /// It is for other names.
    OtherName,
    /// It is no longer, or not yet, valid.
    Time,
    /// The server knows no such name (RFC 6066 section 3).
    NameRefused,
    /// Anything else; often no TLS at all.
    Other,
}

/// Who an answer is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The gateway itself.
    Gateway,
    /// Whoever is behind it.
    Backend,
    /// A box before it, such as a CDN, or no gateway at all.
    Other,
}
