use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::io::AsyncReadExt;

use super::*;

/// A body that has all its frames ready, and says with the last one that it is the last, or only when asked once more.
#[derive(Debug)]
struct Ready {
    frames: std::collections::VecDeque<Frame<Bytes>>,
    tells_end: bool,
    asked: bool,
}

impl Body for Ready {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        self.asked = true;
        Poll::Ready(self.frames.pop_front().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.asked && self.tells_end && self.frames.is_empty()
    }
}

/// All that a backend gets of a request, which it reads to `end` or to the connection's, and the code of the failure.
async fn sent(
    field: (&'static str, &'static str),
    frames: Vec<Frame<Bytes>>,
    tells_end: bool,
    end: &'static [u8],
) -> (Vec<u8>, &'static str) {
    let (tell, mut prebuilt) = tokio::sync::mpsc::channel(1);
    let backend = Backend::start(move |mut stream, _notes| {
        let tell = tell.clone();
        async move {
            // Slow to begin, so that the sender's socket fills up.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut all = Vec::new();
            while !all.ends_with(end) && stream.read_buf(&mut all).await? > 0 {}
            tell.send(all).await.map_err(std::io::Error::other)
        }
    })
    .await;
    let body = Ready { frames: frames.into(), tells_end, asked: false };
    let request = Request::post("/").header(field.0, field.1).body(body).unwrap();
    let failure = Pool::new().send(&lease_on(backend.addr, |_| ()), &mut Some(request), |_| false).await.unwrap_err();
    (prebuilt.recv().await.unwrap(), failure.error.code())
}

fn piece(length: usize) -> Frame<Bytes> {
    Frame::data(Bytes::from(vec![b'x'; length]))
}

#[test]
fn a_body_of_unknown_length_is_sent_in_chunks_with_its_trailers() {
    run(async {
        for pieces in [&[5, 10][..], &[5000, 1, 70_000], &[3_000_000, 2], &[0, 4096, 4097, 0]] {
            for tells_end in [false, true] {
                let fields = [("x-sum", "42"), ("content-length", "9")]
                    .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
                let trailers = Frame::trailers(fields.into_iter().collect::<http::HeaderMap>());
                let frames = pieces.iter().copied().map(piece).chain([trailers]).collect();
                let end = b"\r\n0\r\nx-sum: 42\r\n\r\n";
                let (all, _) = sent(("transfer-encoding", "chunked"), frames, tells_end, end).await;
                let chunk = |length: &usize| format!("{length:x}\r\n{}\r\n", "x".repeat(*length));
                let chunks: String = pieces.iter().filter(|length| **length > 0).map(chunk).collect();
                let expected = format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\nx-sum: 42\r\n\r\n");
                assert!(all == expected.as_bytes(), "{pieces:?}");
            }
        }
    });
}

#[test]
fn a_body_of_another_length_than_its_header_says_never_runs_into_the_next_request() {
    run(async {
        let head = "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n";
        for (pieces, tells_end) in [(&[6][..], true), (&[5, 1], false), (&[4], true), (&[1, 3], false)] {
            let frames = pieces.iter().copied().map(piece).collect();
            let (all, failure) = sent(("content-length", "5"), frames, tells_end, b"never").await;
            assert_eq!(failure, "client-body");
            assert!(all.len() <= head.len() + 5, "{pieces:?}: {}", all.escape_ascii());
        }
    });
}
