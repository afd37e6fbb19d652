//! What is done to an exchange on the way in and out.

use std::path::PathBuf;
use std::time::Duration;

use super::{At, Credential};
use crate::base::addr::IpNet;
use crate::base::size::ByteSize;

/// What is done to an exchange on the way in and out, in the documented order whatever the order of the text.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Policy {
    /// Edits of the request's header on its way to the backend.
    pub request_headers: Vec<HeaderEdit>,
    /// Fields of requests that are passed on though their names could pass for others.
    pub keep_headers: Vec<http::HeaderName>,
    /// Edits of the answer's header.
    pub headers: Vec<HeaderEdit>,
    /// The four headers of the users' guides, also on errors.
    pub security_headers: bool,
    /// `Strict-Transport-Security` for a year.
    pub hsts: bool,
    /// Compress what gains by it.
    pub compress: bool,
    /// New path.
    pub rewrite: Option<String>,
    /// Prefix cut off the path, without its final slash.
    pub strip_prefix: Option<String>,
    /// Requests for each client and time.
    pub limit_requests: Option<RequestLimit>,
    /// Concurrent exchanges and tunnels for each client.
    pub limit_connections: Option<u32>,
    /// Request body.
    pub limit_body: Option<ByteSize>,
    /// How much of a request's body is taken in before a backend is asked.
    pub buffer_requests: Option<ByteSize>,
    /// Bytes in a second of each answer's body.
    pub limit_bandwidth: Option<ByteSize>,
    /// WebSocket messages.
    pub limit_message: Option<MessageLimit>,
    /// Pages that may open a WebSocket; `None` means any.
    pub origins: Option<Origins>,
    /// Who may pass.
    pub auth: Option<Auth>,
    /// Only these clients; empty means all.
    pub allow: Vec<IpNet>,
    /// Never these clients.
    pub deny: Vec<IpNet>,
    /// Origins for cross-origin requests.
    pub cors: Vec<String>,
    /// Pings of ours on a quiet tunnel.
    pub ping: Option<Duration>,
    /// A tunnel without traffic is ended after this; `None` is never.
    pub idle: Option<Duration>,
    /// A tunnel is ended after this, traffic or not; `None` is never.
    pub max_age: Option<Duration>,
    /// Whether this block's requests are logged.
    pub access_log: Option<bool>,
    /// Nothing is answered but that the site is being worked on, and when to come again.
    pub maintenance: Option<Duration>,
    /// Folder of error pages.
    pub errors: Option<PathBuf>,
}

/// One edit of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum HeaderEdit {
    Set { name: http::HeaderName, value: http::HeaderValue },
    Add { name: http::HeaderName, value: http::HeaderValue },
    Remove { name: http::HeaderName },
}

/// Requests for each client and time: a token bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLimit {
    /// Tokens that come back in `per`.
    pub count: u32,
    /// The time in which they come back.
    pub per: Duration,
    /// How many may come at once beyond the rate.
    pub burst: u32,
    /// Who counts as one client.
    pub by: LimitKey,
}

/// Pages that may open a WebSocket, by their origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// As browsers write them: `https://example.com`, in lower case.
    pub allowed: Vec<String>,
    /// Whether clients that send no origin, which are no browsers, may as well.
    pub without: bool,
    /// Where `origin` stands.
    pub at: At,
}

/// Who counts as one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitKey {
    /// Its address; IPv6 by /64.
    Ip,
    /// A header's value.
    Header(String),
    /// A cookie's value.
    Cookie(String),
    /// A query parameter's value.
    Query(String),
}

/// WebSocket messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimit {
    /// Largest message, counted as it is sent (compressed, where compression was agreed).
    pub size: ByteSize,
    /// Messages and the time in which they may come.
    pub rate: Option<(u32, Duration)>,
}

/// Who may pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Auth {
    /// Name and password hash of each user.
    Basic(Vec<(String, Credential)>),
    /// Another service decides.
    Forward(ForwardAuth),
    /// A signed token.
    Jwt(Box<Jwt>),
}

/// A service that decides who may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardAuth {
    /// Asked by GET; 2xx lets pass, everything else is the client's answer.
    pub url: String,
    /// Headers of its answer that the backend gets, and nobody else may set.
    pub copy: Vec<String>,
}

/// Signed tokens (RFC 7519) that let pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Jwt {
    /// Whose signatures are believed.
    pub keys: JwtKeys,
    /// How they may be made; never empty. What a token says of itself does not count.
    pub algorithms: Vec<&'static str>,
    /// Who must have issued it; empty means anybody with a key.
    pub issuers: Vec<String>,
    /// For whom it must be; empty means anybody.
    pub audiences: Vec<String>,
    /// Where it is looked for, in turn; never empty.
    pub places: Vec<TokenPlace>,
    /// Whether it is taken out of the request before a backend sees it.
    pub strip: bool,
}

/// Keys of token issuers, as a JSON Web Key Set (RFC 7517 section 5).
#[derive(Clone, Debug, PartialEq)]
pub enum JwtKeys {
    /// The set itself, from a file.
    Set(Credential),
    /// Where it is fetched, and again from time to time.
    Url(String),
}

/// Where a token stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// `Authorization: Bearer ...` (RFC 6750 section 2.1).
    Bearer,
    /// A header of this name, alone.
    Header(String),
    /// A cookie of this name.
    Cookie(String),
    /// A parameter of this name in the URL, which is what a browser can send with a WebSocket.
    Query(String),
}
