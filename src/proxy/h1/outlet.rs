//! Bytes on their way to a connection of HTTP/1.1: headers, the lines around chunks and small pieces in one buffer, and a larger
//! piece behind it that is written from where it lies.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::HeaderMap;
use tokio::io::AsyncWrite;

use super::chunked::is_trailer;

/// Pieces up to this size are copied behind the header or the line before them; larger ones are written from where they lie.
pub const SMALL: usize = 4 * 1024;

/// See the module.
#[derive(Default)]
pub struct Outlet {
    /// What is written next.
    head: Vec<u8>,
    /// A larger piece behind it, and whether the end of a chunk is owed behind that.
    piece: Bytes,
    is_end_owed: bool,
    /// How much of all that was written.
    sent: usize,
}

impl Outlet {
    /// One without memory.
    pub const fn new() -> Self {
        Self { head: Vec::new(), piece: Bytes::new(), is_end_owed: false, sent: 0 }
    }

    /// Whether all of it was written.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.piece.is_empty()
    }

    /// Whether there is room for one more piece.
    pub fn has_room(&self) -> bool {
        self.piece.is_empty() && self.head.len() < SMALL
    }

    /// The buffer, for what is written as it stands. To be used only while it [has room](Self::has_room).
    pub const fn plain(&mut self) -> &mut Vec<u8> {
        &mut self.head
    }

    /// Adds a piece of a body, as a chunk or as it stands. Nothing must be in it that is not empty.
    pub fn put(&mut self, data: Bytes, is_chunk: bool) {
        if data.is_empty() {
            return;
        }
        if is_chunk {
            put_size(&mut self.head, data.len());
            self.is_end_owed = true;
        }
        self.piece = data;
        if self.piece.len() <= SMALL {
            self.copy();
        }
    }

    /// Adds the end of the chunked coding, with the trailers behind it.
    pub fn end_chunks(&mut self, trailers: Option<&HeaderMap>) {
        self.copy();
        self.head.extend_from_slice(b"0\r\n");
        for (name, value) in trailers.into_iter().flatten().filter(|(name, _)| is_trailer(name)) {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                self.head.extend_from_slice(part);
            }
        }
        self.head.extend_from_slice(b"\r\n");
    }

    /// Puts the piece behind what is written first.
    fn copy(&mut self) {
        self.head.extend_from_slice(&std::mem::take(&mut self.piece));
        if std::mem::take(&mut self.is_end_owed) {
            self.head.extend_from_slice(b"\r\n");
        }
    }

    /// Writes once; ready with the number of bytes. 0 means that the other side takes nothing more.
    pub fn poll_write<S: AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let written = if self.piece.is_empty() {
            ready!(Pin::new(stream).poll_write(cx, &self.head[self.sent..]))?
        } else {
            let mut parts = [&self.head[..], &self.piece, if self.is_end_owed { b"\r\n" } else { b"" }].map(IoSlice::new);
            let used = 2 + usize::from(self.is_end_owed);
            let mut rest = &mut parts[..used];
            IoSlice::advance_slices(&mut rest, self.sent);
            ready!(match rest {
                [one] => Pin::new(stream).poll_write(cx, one),
                several => Pin::new(stream).poll_write_vectored(cx, several),
            })?
        };
        self.sent += written;
        if self.sent == self.head.len() + self.piece.len() + if self.is_end_owed { 2 } else { 0 } {
            self.clear();
        }
        Poll::Ready(Ok(written))
    }

    /// Drops what was not written.
    pub fn clear(&mut self) {
        self.head.clear();
        self.piece = Bytes::new();
        (self.is_end_owed, self.sent) = (false, 0);
    }

    /// Lets go of memory that a usual message does not need.
    pub fn rest(&mut self) {
        self.head.shrink_to(SMALL);
    }
}

/// The line before a chunk.
fn put_size(out: &mut Vec<u8>, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|digit| DIGITS[(size >> (4 * digit)) & 15]));
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at most so many bytes at once.
    struct Slow(Vec<u8>, usize);

    impl AsyncWrite for Slow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.1);
            self.0.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_size_is_written_in_hexadecimal_without_zeros_before_it() {
        for size in [0, 1, 9, 10, 15, 16, 255, 4096, 65_535, usize::MAX] {
            let mut out = Vec::new();
            put_size(&mut out, size);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{size:x}\r\n"));
        }
    }

    #[test]
    fn pieces_of_any_size_are_written_whole_however_little_is_taken_at_once() {
        for taken in [1, 7, 5_000, 100_000] {
            let mut outlet = Outlet::new();
            let mut stream = Slow(Vec::new(), taken);
            let mut write = |outlet: &mut Outlet| {
                while !outlet.is_empty() {
                    assert!(outlet.poll_write(&mut stream, &mut Context::from_waker(std::task::Waker::noop())).is_ready());
                }
            };
            outlet.plain().extend_from_slice(b"head\r\n");
            outlet.put(Bytes::from_static(b"small"), true);
            assert!(outlet.has_room());
            outlet.put(Bytes::from(vec![b'x'; 5_000]), true);
            assert!(!outlet.has_room());
            write(&mut outlet);
            outlet.put(Bytes::new(), true);
            outlet.end_chunks(None);
            write(&mut outlet);
            let expected = format!("head\r\n5\r\nsmall\r\n1388\r\n{}\r\n0\r\n\r\n", "x".repeat(5_000));
            assert_eq!(String::from_utf8(stream.0).unwrap(), expected);
        }
    }
}
