//! What a refusal says to the operator, in the log and in `doorward explain`: what was seen against what was expected. The
//! stable code stands in a field of its own.

use std::fmt;

use super::{Failed, Malformed, Proof, Refusal, Rule, Unproved, WrongField};

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(Malformed::Section(wrong)) => wrong.fmt(f),
            Self::Malformed(what) => match what.detail() {
                Some(detail) => f.write_str(&detail),
                None => f.write_str(malformed(*what)),
            },
            Self::Forbidden(rule) => f.write_str(forbidden(*rule)),
            Self::NothingHere => f.write_str("the site has no block for this path; add one, or `/*` for all others"),
            Self::Method => f.write_str("a gateway does not pass this method on"),
            Self::ReadOnly => f.write_str("files are read by GET and HEAD only"),
            Self::BodyStalled => f.write_str("the client stopped in the middle of its body for longer than `timeouts { body }`"),
            Self::BodyTooLarge { limit } => {
                write!(f, "its body is over `limit body` of {limit} bytes; raise it if that is wanted")
            }
            Self::UrlTooLong { seen, limit } => {
                write!(f, "its URL has {seen} bytes, `url-size` is {limit}; raise it in `limit` if that is wanted")
            }
            Self::Expectation => f.write_str("it expects something other than 100-continue (RFC 9110 section 10.1.1)"),
            Self::UnknownHost => f.write_str("no site has this host on this port; add one if it is yours"),
            Self::OtherServerName => {
                f.write_str("the site asks for client certificates, and the TLS handshake was for another host")
            }
            Self::NoClientCertificate => {
                f.write_str("the site asks for client certificates, and this TLS connection is older than the configuration")
            }
            Self::CertificatePending => f.write_str(
                "the certificate of this host is still being obtained, and the connection has a stand-in that serves challenges only",
            ),
            Self::UpgradeToTls(url) => {
                write!(f, "WebSockets are served over TLS here; open {} in the client", url.split('?').next().unwrap_or(url))
            }
            Self::TooMany { after } => {
                write!(f, "the client is over `limit requests`, and may come again after {after} s")
            }
            Self::TooManyConnections { limit } => write!(f, "the client is over `limit connections` of {limit}"),
            Self::Unauthorized(proof, why) => f.write_str(unproved(*proof, *why)),
            Self::Busy => {
                f.write_str("too many passwords wait to be checked; if that stays so, somebody is guessing them: see `ban`")
            }
            Self::NoDecision => f.write_str("the service of `auth forward` gave no answer; look into its own log"),
            Self::TooManyHeaders { seen, limit } => {
                write!(f, "its header has {seen} fields, `header-count` is {limit}; raise it in `limit` if that is wanted")
            }
            Self::HeaderTooLong { seen, limit } => {
                write!(f, "its header has {seen} bytes, `header-size` is {limit}; raise it in `limit` if that is wanted")
            }
            Self::ClientLeft => f.write_str("the client left before there was an answer"),
            Self::UnknownProtocol => f.write_str("its extended CONNECT asks for a protocol other than `websocket` (RFC 8441)"),
            Self::Unreadable => f.write_str("the file is there and cannot be read; let the gateway's user read it"),
            Self::FilesTimedOut => f.write_str(
                "the file system of the folder, or of a file that is kept private, has not answered within 10 s; see whether it is mounted",
            ),
            Self::Maintenance { .. } => f.write_str("the site is closed by `maintenance`"),
            Self::NoBackend => f.write_str("no backend can take the request now; `doorward status` has the reason of each"),
            Self::CircuitOpen { after } => {
                write!(f, "the circuits of all backends are open; one of them is tried again after {after} s")
            }
            Self::Backend(failed) => f.write_str(backend(*failed)),
        }
    }
}

impl fmt::Display for WrongField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name of a field is empty, or has a capital or another character that names do not have",
            Self::Value => "the value of a field contains a control character",
            Self::Blank => "the value of a field begins or ends with a blank",
            Self::Connection => "a field of one HTTP/1.1 connection, such as `connection` or `te` with more than `trailers`",
            Self::Method => "the method is empty, or has a character that methods do not have",
            Self::Authority => "the authority has a character that is no visible ASCII character",
            Self::Path(byte) => return write!(f, "the URL contains {byte}; it has to be percent-encoded"),
            Self::Length => "Content-Length is not a number of at most 2^63-1",
            Self::Pseudo => "a pseudo-header field that a request does not have, or whose value is none",
        })
    }
}

const fn malformed(what: Malformed) -> &'static str {
    match what {
        Malformed::Host => "it has no Host, or more than one (RFC 9112 section 3.2)",
        Malformed::HostSyntax => "its Host is not a host name or an address",
        Malformed::HostMismatch => "its Host and its request target name different hosts",
        Malformed::Path => "its path has a dot segment, a control byte or a broken escape",
        Malformed::Target => "its request target does not have the form that its method asks for (RFC 9112 section 3.2)",
        Malformed::Framing => "the length of its body can be read in two ways (RFC 9112 section 6.3)",
        Malformed::Body => "a chunk of its body is broken (RFC 9112 section 7.1)",
        Malformed::Authorization => "it has several Authorization fields, and its value is one (RFC 9110 section 5.3)",
        Malformed::Section(_) => "a field of its header is malformed (RFC 9113 section 8.2)",
        // These have a sentence of their own, which clients get too.
        Malformed::Length
        | Malformed::RequestLine
        | Malformed::Version
        | Malformed::Character(_)
        | Malformed::Field(_)
        | Malformed::WebSocketKey => "it cannot be read in one way",
    }
}

const fn forbidden(rule: Rule) -> &'static str {
    match rule {
        Rule::Deny => "the client's address is in `deny`",
        Rule::Allow => "the client's address is not in `allow`",
        Rule::Origin => "its Origin is not in `origin` or `cors`",
        Rule::NoOrigin => "it has no Origin, as clients have that are not browsers; add `none` to `origin` to let them in",
        Rule::Banned => "the client is shut out by `ban`; `doorward unban` lets it in again",
    }
}

const fn unproved(proof: Proof, why: Unproved) -> &'static str {
    match (proof, why) {
        (Proof::Password, Unproved::Missing) => "it has no name and password",
        (Proof::Password, Unproved::Wrong | Unproved::Expired) => "its name or password is wrong",
        (Proof::Token, Unproved::Missing) => "it has no token where `auth jwt` looks for one",
        (Proof::Token, Unproved::Wrong) => "its token is not one that `auth jwt` accepts",
        (Proof::Token, Unproved::Expired) => "its token has expired",
    }
}

const fn backend(failed: Failed) -> &'static str {
    match failed {
        Failed::Unreachable(_) => "the backend cannot be reached",
        Failed::ConnectTimeout => "the connection to the backend was not made within `timeout connect`",
        Failed::Reset => "the backend closed the connection before it answered",
        Failed::BadAnswer => "the backend's answer is not proper HTTP, or its header is too large",
        Failed::AnswerTimeout => "the backend sent no first byte within `timeout first-byte`",
        Failed::WrongUpgrade => "the backend switched to a protocol that was not asked for",
        Failed::BadAccept => "the backend's Sec-WebSocket-Accept does not answer the key (RFC 6455 section 4.2.2)",
        Failed::NoWebSocket => {
            "the backend speaks HTTP/2 without WebSockets (RFC 8441); write http:// for the path of the WebSocket"
        }
        Failed::NotUpgraded => "the backend answered a success in the place of 101",
    }
}
