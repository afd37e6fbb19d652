//! Why a stream or a connection is ended, as the peer is told (RFC 9114 section 8.1, RFC 9204 section 6).

/// An error code of the application protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Nothing is wrong; there is nothing more to say.
    NoError = 0x100,
    /// Our fault, or our backend's.
    InternalError = 0x102,
    /// A stream that the peer may not open.
    StreamCreation = 0x103,
    /// The control stream, or one of QPACK's, was closed.
    ClosedCriticalStream = 0x104,
    /// A frame that may not stand where it stood.
    FrameUnexpected = 0x105,
    /// A frame whose layout or size is wrong.
    FrameError = 0x106,
    /// The peer costs more than it may.
    ExcessiveLoad = 0x107,
    /// Settings that contradict themselves.
    SettingsError = 0x109,
    /// The control stream began with something else.
    MissingSettings = 0x10a,
    /// Not begun: may be sent again elsewhere.
    RequestRejected = 0x10b,
    /// Given up.
    RequestCancelled = 0x10c,
    /// The stream ended before its header.
    RequestIncomplete = 0x10d,
    /// A message that cannot be read in one way.
    MessageError = 0x10e,
    /// A header section that does not decode.
    DecompressionFailed = 0x200,
    /// An instruction that our table of size zero forbids.
    EncoderStream = 0x201,
}

impl Code {
    /// Its number.
    pub const fn value(self) -> u32 {
        self as u32
    }
}
