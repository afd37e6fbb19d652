//! How a body fails before its end.

/// How a body failed. [`BodyError`] without its cause, to be kept and matched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client closed or reset in the middle of its body.
    ClientLeft,
    /// The client's framing was wrong in the middle of its body.
    ClientMalformed,
    /// The client sent nothing for too long.
    ClientStalled,
    /// The client's body is longer than this many bytes.
    TooLarge(u64),
    /// The backend closed or reset in the middle of its body.
    BackendBroke,
    /// The backend sent nothing for too long.
    BackendStalled,
    /// A file could not be read to its end.
    FileBroke,
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
#[error("{}", words(*fault))]
pub struct BodyError {
    /// What happened.
    pub fault: Fault,
    /// What the transport said of it.
    #[source]
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Fault {
    /// A stable code for the access log.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ClientLeft => "client-left",
            Self::ClientMalformed => "bad-body",
            Self::ClientStalled => "client-stalled",
            Self::TooLarge(_) => "body-too-large",
            Self::BackendBroke => "backend-broke-off",
            Self::BackendStalled => "backend-stalled",
            Self::FileBroke => "file-broke-off",
        }
    }
}

const fn words(how: Fault) -> &'static str {
    match how {
        Fault::ClientLeft => "the client left in the middle of its body",
        Fault::ClientMalformed => "the client's body is framed wrongly",
        Fault::ClientStalled => "the client stopped sending its body",
        Fault::TooLarge(_) => "the client's body is larger than allowed",
        Fault::BackendBroke => "the backend broke off in the middle of its answer",
        Fault::BackendStalled => "the backend stopped sending its answer",
        Fault::FileBroke => "the file could not be read to its end",
    }
}

impl From<Fault> for BodyError {
    fn from(fault: Fault) -> Self {
        Self { fault, cause: None }
    }
}
