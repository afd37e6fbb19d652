//! Reads one of the client's unidirectional streams to its end.

use std::rc::Rc;

use quinn::VarInt;

use super::session::Session;
use crate::listeners::http3::code::Code;
use crate::listeners::http3::control::{Kind, Uni};

/// Reads `stream`; what is wrong with it ends the connection.
pub(super) async fn read(session: Rc<Session>, mut stream: quinn::RecvStream) {
    let mut uni = Uni::default();
    loop {
        let before = uni.kind();
        let read = match stream.read_chunk(usize::MAX, true).await {
            Ok(Some(chunk)) => uni.read(&chunk.bytes),
            Ok(None) | Err(quinn::ReadError::Reset(_)) => {
                if before.is_some_and(Kind::is_critical) {
                    session.breach(Code::ClosedCriticalStream);
                }
                return;
            }
            Err(_) => return,
        };
        let known = match (before, uni.kind()) {
            (None, Some(kind)) if kind.is_critical() && !session.is_first(kind) => Err(Code::StreamCreation),
            (None, Some(Kind::Foreign)) => {
                let _ = stream.stop(VarInt::from_u32(Code::StreamCreation.value()));
                return;
            }
            _ => Ok(()),
        };
        if let Err(code) = read.and(known) {
            return session.breach(code);
        }
    }
}
