//! What an operator may ask of a running gateway and what it answers: one JSON object a line, each with the version of
//! these words. A field may be added within a version; anything else makes a new one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::certs::preflight::self_test::SelfTest;

mod authorities;
mod certs;

pub use authorities::{AccountDone, AccountLine, AccountRequest, AccountsReport, RevokeReport, TestReport};
pub use certs::{BudgetLine, CertLine, CertsReport, ShareLine, WindowLine};

/// The version of the words below.
pub const VERSION: u32 = 1;

/// A question on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// [`VERSION`] of whoever asks.
    pub version: u32,
    /// What is asked.
    pub request: Request,
}

/// An answer on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// [`VERSION`] of whoever answers.
    pub version: u32,
    /// What is answered.
    pub reply: Reply,
}

/// What an operator may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// Read the configuration again and serve by it; answered once that is done or refused.
    Reload {
        /// Even if there is no site any more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        allow_empty: bool,
    },
    /// What runs.
    Status,
    /// Every certificate: held, wanted, and what happens next.
    Certs,
    /// Send nothing new to a target, until it is taken back or the gateway ends.
    Drain {
        /// Its address, as the configuration or the log writes it.
        target: String,
    },
    /// Take a target back.
    Undrain {
        /// Its address.
        target: String,
    },
    /// Show a light at the ports by which an address is known to lead here; it burns for two minutes.
    Beacon,
    /// Order the certificate that holds this name now, however much life it has left.
    RenewCert {
        /// One of its names.
        name: String,
        /// Even if the authority asked to be left alone for a while.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        insist: bool,
    },
    /// Have the certificate that is served for this name revoked, and another one ordered.
    RevokeCert {
        /// One of its names.
        name: String,
        /// Why: `unspecified`, `key-compromise`, `affiliation-changed`, `superseded`, `cessation-of-operation`.
        reason: String,
    },
    /// Try the whole issuance for this name at a test directory; answered when it has come to its end.
    TestCert {
        /// Configured or only thought of.
        name: String,
        /// The test directory; without it, the staging one of the name's authority.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        directory: Option<String>,
    },
    /// Every account with an authority.
    Accounts,
    /// Do this with an account.
    Account {
        /// What.
        wish: AccountRequest,
        /// A part of its directory's URL; needed where there are several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<String>,
    },
    /// Close sites for maintenance, or open them again.
    Maintenance {
        /// One of a site's hosts; every site where there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        site: Option<String>,
        /// After how many seconds visitors are told to come again; `None` opens.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u64>,
    },
    /// Who is shut out by `ban`.
    Bans,
    /// Let one in again.
    Unban {
        /// Its address; everybody without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<IpAddr>,
    },
}

impl Request {
    /// The word for logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Reload { .. } => "reload",
            Self::Status => "status",
            Self::Certs => "certs",
            Self::Drain { .. } => "drain",
            Self::Undrain { .. } => "undrain",
            Self::Beacon => "beacon",
            Self::RenewCert { .. } => "renew-cert",
            Self::RevokeCert { .. } => "revoke-cert",
            Self::TestCert { .. } => "test-cert",
            Self::Accounts => "accounts",
            Self::Account { wish: AccountRequest::RollKey, .. } => "roll-account-key",
            Self::Account { wish: AccountRequest::Deactivate, .. } => "deactivate-account",
            Self::Maintenance { .. } => "maintenance",
            Self::Bans => "bans",
            Self::Unban { .. } => "unban",
        }
    }
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Reply {
    /// The new configuration is served by.
    Reloaded(ReloadReport),
    /// What runs.
    Status(Box<StatusReport>),
    /// Every certificate.
    Certs(CertsReport),
    /// The target is out, or back.
    Drained(DrainReport),
    /// What the light looks like.
    Beacon(SelfTest),
    /// The renewal was begun; how it ends is told by `certs` and the log.
    Renewing {
        /// As it was asked for.
        name: String,
    },
    /// The certificate is revoked.
    Revoked(RevokeReport),
    /// The try succeeded.
    Tested(TestReport),
    /// Every account.
    Accounts(AccountsReport),
    /// It was done with the account.
    Account(AccountDone),
    /// The sites were closed, or opened.
    Maintenance {
        /// Their hosts.
        sites: Vec<String>,
    },
    /// Who is shut out.
    Bans(BansReport),
    /// They may come again.
    Unbanned {
        /// How many were out.
        clients: u64,
    },
    /// What was asked is not done, and nothing changed.
    Refused(Refusal),
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// The file that was read; empty when started without one.
    pub file: String,
    /// Sites served now.
    pub sites: u64,
    /// What the operator should know all the same, rendered; empty when there is nothing.
    pub warnings: String,
}

/// What runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// The program's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Seconds since it started.
    pub up_seconds: u64,
    /// The configuration file; empty when started without one.
    pub config: String,
    /// The state folder.
    pub state: String,
    /// Addresses listened on.
    pub listens: Vec<String>,
    /// Sites served.
    pub sites: u64,
    /// Open client connections.
    pub connections: u64,
    /// Open tunnels.
    pub tunnels: u64,
    /// Requests answered.
    pub requests: u64,
    /// Of them and of what was no request, those the gateway itself refused.
    #[serde(default)]
    pub refused: u64,
    /// TLS handshakes that came to nothing.
    #[serde(default)]
    pub handshakes_failed: u64,
    /// How many of them for which reason, in its stable code; those that never occurred are left out.
    #[serde(default)]
    pub handshakes_failed_by: BTreeMap<String, u64>,
    /// Hosts that are closed for maintenance by command.
    #[serde(default)]
    pub maintenance: Vec<String>,
    /// Clients that are shut out by `ban`, the first hundred of them, with the seconds that are left.
    #[serde(default)]
    pub banned: Vec<(String, u64)>,
    /// Connections that were closed at once: of clients that are shut out, and because memory was short.
    #[serde(default)]
    pub turned_away: u64,
    /// Tunnels opened so far.
    #[serde(default)]
    pub tunnels_opened: u64,
    /// Of them, those of clients whose tunnel had ended less than a minute before.
    #[serde(default)]
    pub reconnects: u64,
    /// How many tunnels ended within so many seconds of their beginning, and not within fewer; the last without a limit.
    #[serde(default)]
    pub tunnel_seconds: Vec<(Option<u64>, u64)>,
    /// Upgrades that did not become a tunnel, by the reason that stands in the log.
    #[serde(default)]
    pub upgrades_failed: BTreeMap<String, u64>,
    /// What clients did wrong, by the event that stands in the log.
    #[serde(default)]
    pub security: BTreeMap<String, u64>,
    /// What an operator should look after now, a sentence each; empty when all is well.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// What was seen since the last reload that shows a wrong set-up.
    #[serde(default)]
    pub remarks: Vec<RemarkLine>,
    /// Backend groups that have a name, and others with a target that does not simply work.
    #[serde(default)]
    pub upstreams: Vec<UpstreamLine>,
}

/// What was seen, as the log has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemarkLine {
    /// The name of its event in the log.
    pub event: String,
    /// The host or backend that it is about.
    pub about: String,
    /// The sentence.
    pub text: String,
    /// When it was seen first.
    pub at: String,
}

/// A target that was taken out, or back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainReport {
    /// Its address, as the log writes it.
    pub target: String,
    /// The upstreams it is in.
    pub upstreams: Vec<String>,
    /// Whether it is out now.
    pub drained: bool,
    /// Requests and tunnels open on it.
    pub open: u32,
}

/// Who is shut out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BansReport {
    /// Clients with the seconds that are left; those of IPv6 by their /64.
    pub clients: Vec<(String, u64)>,
    /// How many more there are than are listed.
    pub more: u64,
}

/// One backend group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamLine {
    /// Its name, or its targets as they are written in place.
    pub name: String,
    /// Its targets.
    pub targets: Vec<TargetLine>,
    /// Why names among them cannot be looked up, so that the addresses known last are used.
    #[serde(default)]
    pub unresolved: Option<String>,
}

/// One backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetLine {
    /// Its address.
    pub target: String,
    /// How it stands, in a word or two: `up`, `not yet checked`, `down`, `failing`, `on trial`, `warming up`, `draining`,
    /// `drained`, `full`, `circuit open`, `circuit half-open`.
    pub state: String,
    /// What brought it there.
    #[serde(default)]
    pub why: Option<String>,
    /// Seconds since then.
    #[serde(default)]
    pub since_seconds: Option<u64>,
    /// Requests and tunnels open on it.
    pub open: u32,
    /// Whether it is only for when no other is up.
    #[serde(default)]
    pub backup: bool,
}

impl TargetLine {
    /// How it stands with its reason, when requests go to others if there are any.
    pub fn out(&self) -> Option<String> {
        let is_out = matches!(self.state.as_str(), "down" | "failing" | "circuit open" | "draining" | "drained");
        let why = self.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        is_out.then(|| format!("{}{why}", self.state))
    }
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Whose fault it is.
    pub cause: Cause,
    /// For people: what was seen, what was expected, what to do; perhaps several lines.
    pub words: String,
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The configuration has problems, and `words` renders them.
    Config,
    /// The question itself: unknown words, an unknown name.
    Question,
    /// The gateway could not do it.
    Gateway,
}

impl Refusal {
    /// The configuration has problems.
    pub fn config(rendered: impl Into<String>) -> Self {
        Self { cause: Cause::Config, words: rendered.into() }
    }

    /// The question makes no sense here.
    pub fn question(words: impl Into<String>) -> Self {
        Self { cause: Cause::Question, words: words.into() }
    }

    /// The gateway could not.
    pub fn gateway(words: impl Into<String>) -> Self {
        Self { cause: Cause::Gateway, words: words.into() }
    }
}

/// Does what is asked. Lives on the control runtime; its futures never leave that thread.
#[expect(async_fn_in_trait, reason = "nobody needs these futures to be Send: the control runtime is one thread")]
pub trait Operator: 'static {
    /// Reads the configuration again; a refusal means that nothing changed. One without sites is refused where there are
    /// some, unless `allow_empty`.
    async fn reload(&self, allow_empty: bool) -> Result<ReloadReport, Refusal>;
    /// What runs.
    async fn status(&self) -> StatusReport;
    /// Every certificate.
    async fn certs(&self) -> CertsReport;
    /// Takes a target out, or back.
    async fn drain(&self, target: &str, drained: bool) -> Result<DrainReport, Refusal>;
    /// Shows a light by which an address is known to lead here.
    async fn beacon(&self) -> Result<SelfTest, Refusal>;
    /// Begins the renewal of the certificate for `name`.
    async fn renew(&self, name: &str, insist: bool) -> Result<(), Refusal>;
    /// Has the certificate of `name` revoked.
    async fn revoke(&self, name: &str, reason: &str) -> Result<RevokeReport, Refusal>;
    /// Tries the issuance for `name`.
    async fn test(&self, name: &str, directory: Option<&str>) -> Result<TestReport, Refusal>;
    /// Every account.
    async fn accounts(&self) -> AccountsReport;
    /// Does something with an account.
    async fn account(&self, wish: AccountRequest, issuer: Option<&str>) -> Result<AccountDone, Refusal>;
    /// Closes the site of a host, or every site, and opens it with no seconds; whose it was.
    async fn maintain(&self, site: Option<&str>, seconds: Option<u64>) -> Result<Vec<String>, Refusal>;
    /// Who is shut out.
    async fn bans(&self) -> BansReport;
    /// Lets one client in again, or everybody; how many were out.
    async fn unban(&self, client: Option<IpAddr>) -> Result<u64, Refusal>;
}

/// Has `operator` do what is asked.
pub async fn perform<O: Operator>(operator: &O, request: Request) -> Reply {
    let done = match request {
        Request::Reload { allow_empty } => operator.reload(allow_empty).await.map(Reply::Reloaded),
        Request::Status => Ok(Reply::Status(Box::new(operator.status().await))),
        Request::Certs => Ok(Reply::Certs(operator.certs().await)),
        Request::Drain { target } => operator.drain(&target, true).await.map(Reply::Drained),
        Request::Undrain { target } => operator.drain(&target, false).await.map(Reply::Drained),
        Request::Beacon => operator.beacon().await.map(Reply::Beacon),
        Request::RenewCert { name, insist } => operator.renew(&name, insist).await.map(|()| Reply::Renewing { name }),
        Request::RevokeCert { name, reason } => operator.revoke(&name, &reason).await.map(Reply::Revoked),
        Request::TestCert { name, directory } => operator.test(&name, directory.as_deref()).await.map(Reply::Tested),
        Request::Accounts => Ok(Reply::Accounts(operator.accounts().await)),
        Request::Account { wish, issuer } => operator.account(wish, issuer.as_deref()).await.map(Reply::Account),
        Request::Maintenance { site, seconds } => {
            operator.maintain(site.as_deref(), seconds).await.map(|sites| Reply::Maintenance { sites })
        }
        Request::Bans => Ok(Reply::Bans(operator.bans().await)),
        Request::Unban { client } => operator.unban(client).await.map(|clients| Reply::Unbanned { clients }),
    };
    done.unwrap_or_else(Reply::Refused)
}

/// Reads a question, or says what is wrong with it.
pub fn parse_ask(line: &[u8]) -> Result<Request, Refusal> {
    // The version is looked at first: a question of a later version may hold words that cannot be read here.
    #[derive(Deserialize)]
    struct VersionOnly {
        version: u32,
    }
    let unreadable = |error: serde_json::Error| Refusal::question(format!("the question cannot be read: {error}"));
    let VersionOnly { version } = serde_json::from_slice(line).map_err(unreadable)?;
    if version != VERSION {
        return Err(Refusal::question(format!(
            "the question is in version {version} of the admin words, this gateway speaks version {VERSION}; \
             restart the gateway with the program you ask with"
        )));
    }
    serde_json::from_slice::<Ask>(line).map(|ask| ask.request).map_err(unreadable)
}

/// Writes a message as one line.
pub fn line(message: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(message).expect("admin messages have text keys only");
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_on_the_wire_stay() {
        let wire = |request| String::from_utf8(line(&Ask { version: VERSION, request })).unwrap();
        assert_eq!(wire(Request::Reload { allow_empty: false }), "{\"version\":1,\"request\":{\"ask\":\"reload\"}}\n");
        assert_eq!(
            wire(Request::Reload { allow_empty: true }),
            "{\"version\":1,\"request\":{\"ask\":\"reload\",\"allow_empty\":true}}\n"
        );
        assert_eq!(
            wire(Request::RenewCert { name: "a.example".into(), insist: false }),
            "{\"version\":1,\"request\":{\"ask\":\"renew-cert\",\"name\":\"a.example\"}}\n"
        );
        let reply = Reply::Refused(Refusal::config("line 3: no"));
        assert_eq!(
            String::from_utf8(line(&Answer { version: VERSION, reply })).unwrap(),
            "{\"version\":1,\"reply\":{\"answer\":\"refused\",\"cause\":\"config\",\"words\":\"line 3: no\"}}\n"
        );
        let beacon =
            Reply::Beacon(SelfTest { token: "t".into(), says: "s".into(), server_name: "n".into(), certificate: "c".into() });
        let shown = "{\"answer\":\"beacon\",\"token\":\"t\",\"says\":\"s\",\"server_name\":\"n\",\"certificate\":\"c\"}\n";
        assert_eq!(String::from_utf8(line(&beacon)).unwrap(), shown);
        assert_eq!(serde_json::from_str::<Reply>(shown).unwrap(), beacon);
        let reloaded = Reply::Reloaded(ReloadReport { file: "a.conf".into(), ..ReloadReport::default() });
        assert_eq!(
            String::from_utf8(line(&reloaded)).unwrap(),
            "{\"answer\":\"reloaded\",\"file\":\"a.conf\",\"sites\":0,\"warnings\":\"\"}\n"
        );
    }

    #[test]
    fn a_question_that_makes_no_sense_is_told_so() {
        let complaint = |text: &str| parse_ask(text.as_bytes()).unwrap_err().words;
        assert!(complaint("hello").starts_with("the question cannot be read"));
        assert!(complaint(r#"{"version":1,"request":{"ask":"explode"}}"#).contains("unknown variant `explode`"));
        assert!(complaint(r#"{"version":2,"request":{"ask":"later-word"}}"#).contains("speaks version 1"));
        assert_eq!(parse_ask(br#"{"version":1,"request":{"ask":"status"}}"#), Ok(Request::Status));
    }
}
