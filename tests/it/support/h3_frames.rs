//! HTTP/3 spoken by hand (RFC 9114): frames and header sections as no client would write them, over a bare QUIC connection.

use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream};

/// A frame of less than 64 bytes, or of 16,383 at most.
pub fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap() | 0x4000;
    [&[kind][..], &length.to_be_bytes(), payload].concat()
}

/// A header section of literals.
pub fn section(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0, 0];
    for (name, value) in fields {
        let (name_length, length) = (u8::try_from(name.len()).unwrap(), u8::try_from(value.len()).unwrap());
        assert!(length < 127);
        match name_length {
            0..7 => block.push(0x20 | name_length),
            _ => block.extend([0x27, name_length - 7]),
        }
        block.extend_from_slice(name.as_bytes());
        block.push(length);
        block.extend_from_slice(value.as_bytes());
    }
    block
}

pub const DATA: u8 = 0x0;
pub const HEADERS: u8 = 0x1;
pub const SETTINGS: u8 = 0x4;

pub fn head(method: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let fields = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", "/echo")];
    frame(HEADERS, &section(&[&fields[..], more].concat()))
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// An answer that ended cleanly, of more than no bytes.
    Answered,
    /// The stream was reset with this code.
    Reset(u64),
    /// The connection was closed with this code.
    Closed(u64),
}

pub async fn say(connection: &Connection, bytes: &[u8], whole: bool) -> (SendStream, RecvStream) {
    let (mut send, receive) = connection.open_bi().await.unwrap();
    // The server may have heard enough before the end.
    let _ = send.write_all(bytes).await;
    if whole {
        let _ = send.finish();
    }
    (send, receive)
}

pub async fn end(receive: &mut RecvStream) -> End {
    let closed = |error: &ConnectionError| match error {
        ConnectionError::ApplicationClosed(close) => End::Closed(close.error_code.into_inner()),
        other => panic!("{other}"),
    };
    match receive.read_to_end(100_000).await {
        Ok(bytes) if bytes.is_empty() => panic!("an answer without a byte"),
        Ok(_) => End::Answered,
        Err(quinn::ReadToEndError::Read(ReadError::Reset(code))) => End::Reset(code.into_inner()),
        Err(quinn::ReadToEndError::Read(ReadError::ConnectionLost(error))) => closed(&error),
        Err(other) => panic!("{other}"),
    }
}
