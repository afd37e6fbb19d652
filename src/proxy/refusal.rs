//! Every way in which the gateway says no, as facts. Which status and words they become is `answer`'s concern.

mod words;

use super::target::ForbiddenByte;

/// Why a request is not answered by what it asked for. Closed: a new way to fail asks every reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request is not one we can read in exactly one way.
    Malformed(Malformed),
    /// A rule of the site says no.
    Forbidden(Rule),
    /// The site has nothing at this path.
    NothingHere,
    /// A method that a gateway does not pass on.
    Method,
    /// A method that changes things, asked of files.
    ReadOnly,
    /// The client stopped sending its body.
    BodyStalled,
    /// The body is larger than the site allows, in bytes.
    BodyTooLarge {
        /// Most bytes the site takes.
        limit: u64,
    },
    /// The request target is longer than allowed, in bytes.
    UrlTooLong {
        /// Bytes of this one.
        seen: usize,
        /// Most bytes the gateway takes.
        limit: usize,
    },
    /// An expectation other than `100-continue`.
    Expectation,
    /// No site has this host on this port.
    UnknownHost,
    /// The site demands client certificates, and the handshake was for another host.
    OtherServerName,
    /// The site demands client certificates, and the handshake asked for none: it is older than the demand.
    NoClientCertificate,
    /// The handshake was shown a stand-in certificate, over which only challenges are answered.
    CertificatePending,
    /// A WebSocket knocked where only a redirect lives: the URL where it is served.
    UpgradeToTls(Box<str>),
    /// Too many requests of this client; try again after so many seconds.
    TooMany {
        /// Seconds to wait.
        after: u64,
    },
    /// More exchanges and tunnels of this client at a time than allowed.
    TooManyConnections {
        /// Most it may have.
        limit: u32,
    },
    /// Who asks could not prove that it may.
    Unauthorized(Proof, Unproved),
    /// Too many wait to have their password checked.
    Busy,
    /// The service that decides who may pass gave no answer.
    NoDecision,
    /// More header fields than allowed.
    TooManyHeaders {
        /// Fields of this one.
        seen: usize,
        /// Most fields the gateway takes.
        limit: usize,
    },
    /// The header section is longer than allowed, in bytes.
    HeaderTooLong {
        /// Bytes of this one.
        seen: usize,
        /// Most bytes the gateway takes.
        limit: usize,
    },
    /// The client left before there was an answer. Only the log sees it.
    ClientLeft,
    /// A protocol other than `websocket` in an extended CONNECT (RFC 8441).
    UnknownProtocol,
    /// A file is there and cannot be read.
    Unreadable,
    /// The file system of a `files` folder does not answer.
    FilesTimedOut,
    /// The site is being worked on; try again after so many seconds.
    Maintenance {
        /// Seconds to wait.
        after: u64,
    },
    /// No backend can take the request now.
    NoBackend,
    /// The circuits of all backends are open; try again after so many seconds.
    CircuitOpen {
        /// Seconds to wait.
        after: u64,
    },
    /// The backend failed.
    Backend(Failed),
}

/// What was unreadable about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// No Host, or several.
    Host,
    /// A Host that is no host, or holds user information.
    HostSyntax,
    /// Host and request target name different hosts.
    HostMismatch,
    /// A dot segment, a zero byte or a broken escape in the path.
    Path,
    /// A target form that does not fit the method.
    Target,
    /// A transfer coding other than one `chunked`, or a length that is not the body's.
    Framing,
    /// A broken chunk inside the body.
    Body,
    /// Several `Authorization` fields.
    Authorization,
    /// A Content-Length that is no number, above 2^63-1, or contradicted by another one.
    Length,
    /// A line that is not `METHOD target HTTP/1.1`.
    RequestLine,
    /// A version other than HTTP/1.0 and HTTP/1.1 in a request of HTTP/1.
    Version,
    /// A control character or a space in the target.
    Character(ForbiddenByte),
    /// A line of the header that is no field.
    Field(BadField),
    /// A WebSocket's key that is missing or not 16 bytes in base64 (RFC 6455 section 4.2.1).
    WebSocketKey,
    /// A field of HTTP/2 or HTTP/3 that a request may not have.
    Section(WrongField),
}

/// What is wrong with a line of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadField {
    /// The name is empty, has a character that names do not have, or blanks around it.
    Name,
    /// The value has a control character, or goes on in the next line (obs-fold).
    Value,
    /// A carriage return without a line feed.
    LineEnd,
}

/// What is wrong with a field of a request over HTTP/2 or HTTP/3 (RFC 9113 sections 8.2 and 8.3, RFC 9114 sections 4.2, 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongField {
    /// A name that is empty, or has a character that names do not have, a capital among them.
    Name,
    /// A control character in a value.
    Value,
    /// A value that begins or ends with a blank.
    Blank,
    /// A field of one HTTP/1.1 connection.
    Connection,
    /// A method that is none.
    Method,
    /// An authority with other than visible ASCII characters.
    Authority,
    /// A byte in the target that no target has.
    Path(ForbiddenByte),
    /// A pseudo-header field that a request does not have, or whose value is none.
    Pseudo,
    /// A Content-Length that is no number, or above 2^63-1.
    Length,
}

/// What would prove that somebody may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A name and a password (RFC 7617).
    Password,
    /// A bearer's token (RFC 6750).
    Token,
}

/// Why it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproved {
    /// There is none.
    Missing,
    /// It is not right.
    Wrong,
    /// It was right once.
    Expired,
}

/// Which rule said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The client's address is in `deny`.
    Deny,
    /// The client's address is not in `allow`.
    Allow,
    /// The page that asks is not in `origin` or `cors`.
    Origin,
    /// Nobody says which page asks, and `origin` has no `none`.
    NoOrigin,
    /// The client was refused too often and is shut out by `ban`.
    Banned,
}

/// How a backend failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// Nobody listens there, or the name does not resolve, or TLS failed: the dialer's stable code.
    Unreachable(&'static str),
    /// The connection did not stand in time.
    ConnectTimeout,
    /// It closed or reset before answering.
    Reset,
    /// Its answer was not HTTP.
    BadAnswer,
    /// It sent no answer in time.
    AnswerTimeout,
    /// It switched protocols though nobody asked, or to another one.
    WrongUpgrade,
    /// It answered a WebSocket's key wrongly.
    BadAccept,
    /// It speaks HTTP/2 and takes no WebSocket over it.
    NoWebSocket,
    /// It did not switch protocols, with a success that the client could not tell from one.
    NotUpgraded,
}

impl Refusal {
    /// Whether a setting of the operator's was too small for this request, or too large: then it should be prebuilt of.
    pub const fn is_over_a_limit(&self) -> bool {
        matches!(
            self,
            Self::BodyTooLarge { .. } | Self::UrlTooLong { .. } | Self::TooManyHeaders { .. } | Self::HeaderTooLong { .. }
        )
    }

    /// A stable code for logs and counters.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(what) => what.reason(),
            Self::Forbidden(Rule::Deny) => "denied-address",
            Self::Forbidden(Rule::Allow) => "not-allowed-address",
            Self::Forbidden(Rule::Origin) => "bad-origin",
            Self::Forbidden(Rule::NoOrigin) => "no-origin",
            Self::Forbidden(Rule::Banned) => "banned",
            Self::NothingHere => "no-such-path",
            Self::Method | Self::ReadOnly => "method-not-allowed",
            Self::BodyStalled => "client-stalled",
            Self::BodyTooLarge { .. } => "body-too-large",
            Self::UrlTooLong { .. } => "url-too-long",
            Self::Expectation => "unknown-expectation",
            Self::UnknownHost => "unknown-host",
            Self::OtherServerName => "other-server-name",
            Self::NoClientCertificate => "no-client-certificate",
            Self::CertificatePending => "certificate-pending",
            Self::UpgradeToTls(_) => "upgrade-without-tls",
            Self::TooMany { .. } => "too-many-requests",
            Self::TooManyConnections { .. } => "too-many-connections",
            Self::Unauthorized(Proof::Password, Unproved::Missing) => "password-missing",
            Self::Unauthorized(Proof::Password, Unproved::Wrong | Unproved::Expired) => "password-wrong",
            Self::Unauthorized(Proof::Token, Unproved::Missing) => "token-missing",
            Self::Unauthorized(Proof::Token, Unproved::Wrong) => "token-wrong",
            Self::Unauthorized(Proof::Token, Unproved::Expired) => "token-expired",
            Self::Busy => "auth-busy",
            Self::NoDecision => "auth-service-failed",
            Self::TooManyHeaders { .. } => "too-many-headers",
            Self::HeaderTooLong { .. } => "header-too-long",
            Self::ClientLeft => "client-left",
            Self::UnknownProtocol => "unknown-protocol",
            Self::Unreadable => "file-unreadable",
            Self::FilesTimedOut => "file-timeout",
            Self::Maintenance { .. } => "maintenance",
            Self::NoBackend => "no-backend",
            Self::CircuitOpen { .. } => "circuit-open",
            Self::Backend(failed) => failed.reason(),
        }
    }
}

impl Malformed {
    /// Whether it counts towards a ban. A sloppy program that writes capitals, blanks or characters that have to be encoded is
    /// no attack; control characters in a value are what attempts to smuggle a request are made of.
    pub const fn is_suspect(self) -> bool {
        match self {
            Self::Section(WrongField::Value | WrongField::Path(_) | WrongField::Length) => true,
            Self::Section(_) | Self::Character(_) => false,
            Self::Host
            | Self::HostSyntax
            | Self::HostMismatch
            | Self::Path
            | Self::Target
            | Self::Framing
            | Self::Body
            | Self::Authorization
            | Self::Length
            | Self::RequestLine
            | Self::Version
            | Self::Field(_)
            | Self::WebSocketKey => true,
        }
    }

    /// One sentence that says what was seen, where the code alone does not.
    pub fn detail(self) -> Option<String> {
        Some(match self {
            Self::Length => {
                "Content-Length is not a number of at most 2^63-1, or is there twice with different numbers".to_owned()
            }
            Self::RequestLine => "the first line is not `METHOD target HTTP/1.1`".to_owned(),
            Self::Version => "the version is neither HTTP/1.1 nor HTTP/1.0".to_owned(),
            Self::Character(byte) => format!("the URL contains {byte}; it has to be percent-encoded"),
            Self::Field(BadField::Name) => {
                "the name of a header field is empty, contains a forbidden character, or has blanks beside it".to_owned()
            }
            Self::Field(BadField::Value) => {
                "the value of a header field contains a control character, or goes on in the next line".to_owned()
            }
            Self::Field(BadField::LineEnd) => "the header contains a carriage return without a line feed".to_owned(),
            Self::WebSocketKey => "Sec-WebSocket-Key is missing or is not 16 bytes in base64".to_owned(),
            Self::Section(wrong) => wrong.to_string(),
            Self::Host
            | Self::HostSyntax
            | Self::HostMismatch
            | Self::Path
            | Self::Target
            | Self::Framing
            | Self::Body
            | Self::Authorization => {
                return None;
            }
        })
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Host => "bad-host-count",
            Self::HostSyntax => "bad-host",
            Self::HostMismatch => "host-mismatch",
            Self::Path => "bad-path",
            Self::Target => "bad-target",
            Self::Framing => "bad-framing",
            Self::Body => "bad-body",
            Self::Authorization => "bad-authorization-count",
            Self::Section(WrongField::Path(_)) => "bad-character",
            Self::Section(WrongField::Length) => "bad-length",
            Self::Section(_) => "bad-field",
            Self::Length => "bad-length",
            Self::RequestLine => "bad-request-line",
            Self::Version => "bad-version",
            Self::Character(_) => "bad-character",
            Self::Field(_) => "bad-field",
            Self::WebSocketKey => "bad-websocket-key",
        }
    }
}

impl Failed {
    /// A stable code for logs and counters.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unreachable(code) => code,
            Self::ConnectTimeout => "connect-timeout",
            Self::Reset => "backend-reset",
            Self::BadAnswer => "backend-bad-answer",
            Self::AnswerTimeout => "backend-timeout",
            Self::WrongUpgrade => "backend-wrong-upgrade",
            Self::BadAccept => "backend-bad-accept",
            Self::NoWebSocket => "backend-no-websocket",
            Self::NotUpgraded => "backend-not-upgraded",
        }
    }
}
