//! Our half of a request stream. It ends cleanly only when all of an answer was written; whatever else happens to it, a
//! panic included, the client sees a reset.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use quinn::VarInt;

use super::timeout::within;
use crate::listeners::http3::code::Code;

/// See the module.
pub(super) struct Outgoing {
    stream: quinn::SendStream,
    ended: bool,
}

/// The client does not want the rest, takes nothing of it, or is gone.
#[derive(Debug)]
pub(super) struct Gone;

impl Outgoing {
    /// A stream on which nothing was written.
    pub(super) const fn new(stream: quinn::SendStream) -> Self {
        Self { stream, ended: false }
    }

    /// Resolves when the client has taken everything behind [`finish`](Self::finish), wants no more, or is gone.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + 'static {
        let stopped = self.stream.stopped();
        async { drop(stopped.await) }
    }

    /// Writes all of `chunks`. The client is waited for as long as it takes something each `patience`.
    pub(super) async fn write(&mut self, mut chunks: &mut [Bytes], patience: Duration) -> Result<(), Gone> {
        while !chunks.is_empty() {
            let written = {
                let writing = pin!(self.stream.write_chunks(chunks));
                within(patience, writing).await
            };
            let Some(Ok(written)) = written else { return Err(Gone) };
            chunks = &mut chunks[written.chunks..];
        }
        Ok(())
    }

    /// The answer is whole.
    pub(super) fn finish(&mut self) {
        self.ended = true;
        // A client that stopped the stream does not want to know.
        let _ = self.stream.finish();
    }

    /// There will be no answer, or no more of it.
    pub(super) fn reset(&mut self, code: Code) {
        self.ended = true;
        let _ = self.stream.reset(VarInt::from_u32(code.value()));
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if !self.ended {
            self.reset(Code::InternalError);
        }
    }
}
