//! HTTP/2 on one connection (RFC 9113), over the h2 crate: takes its streams, and ends it with GOAWAY. What becomes of a stream
//! is [`proxy::h2_stream`](crate::proxy::h2_stream)'s.

pub mod filter;
pub mod hpack;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, Connection, Handshake, SendResponse};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connections::Finish;
use super::header_room::room_for_section;
use crate::config::settings::GatewayLimits;

/// Flow control of one stream: an upload may be this far ahead of its backend.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Flow control of one connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What one stream may hold ready for a client that is slower than its backend.
const SEND_BUFFER: usize = 64 * 1024;

/// How connections begin, within `limits`.
pub fn builder(limits: &GatewayLimits) -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_connect_protocol()
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(room_for_section(limits)).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER);
    builder
}

/// A connection being served; ends when it does. `admit` gets every request with its answer's half of the stream.
pub struct Serving<T, A> {
    stage: Stage<T>,
    admit: A,
    /// Asked to finish before the client's preface had come.
    is_leaving: bool,
}

enum Stage<T> {
    Begins(Handshake<T, Bytes>),
    Serves(Connection<T, Bytes>),
}

impl<T, A> Serving<T, A>
where
    T: AsyncRead + AsyncWrite + Unpin,
    A: FnMut(Request<RecvStream>, SendResponse<Bytes>),
{
    /// Nothing was read yet.
    pub fn new(builder: &Builder, io: T, admit: A) -> Self {
        Self { stage: Stage::Begins(builder.handshake(io)), admit, is_leaving: false }
    }
}

impl<T, A> Future for Serving<T, A>
where
    T: AsyncRead + AsyncWrite + Unpin,
    A: FnMut(Request<RecvStream>, SendResponse<Bytes>) + Unpin,
{
    type Output = Result<(), h2::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.stage {
                Stage::Begins(handshake) => {
                    let mut connection = ready!(Pin::new(handshake).poll(cx))?;
                    if this.is_leaving {
                        connection.graceful_shutdown();
                    }
                    this.stage = Stage::Serves(connection);
                }
                Stage::Serves(connection) => match ready!(connection.poll_accept(cx)) {
                    Some(Ok((request, respond))) => (this.admit)(request, respond),
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                    None => return Poll::Ready(Ok(())),
                },
            }
        }
    }
}

impl<T, A> Finish for Serving<T, A>
where
    T: AsyncRead + AsyncWrite + Unpin,
    A: FnMut(Request<RecvStream>, SendResponse<Bytes>) + Unpin,
{
    fn finish(mut self: Pin<&mut Self>) {
        match &mut self.stage {
            Stage::Begins(_) => self.is_leaving = true,
            Stage::Serves(connection) => connection.graceful_shutdown(),
        }
    }
}
