//! Answers on their way out in fewer bytes.

use std::io::Read;

use tokio::io::AsyncReadExt;

use super::harness::*;

async fn gateway(backend: &Backend) -> Gateway {
    Gateway::start(&format!("a.test {{\n compress\n proxy {}\n}}", backend.addr), Speaks::H1).await
}

fn get(accept: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: a.test\r\naccept-encoding: {accept}\r\nconnection: close\r\n\r\n")
}

/// An answer as bytes: its header, and its body without chunks.
async fn ask(gateway: &Gateway, accept: &str) -> (String, Vec<u8>) {
    let mut client = gateway.client().await;
    client.send(&get(accept)).await;
    let head = client.head().await;
    let mut rest = client.unread();
    client.stream.read_to_end(&mut rest).await.unwrap();
    (head.clone(), if head.contains("transfer-encoding: chunked") { unchunked(&rest) } else { rest })
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
}

fn gunzipped(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_large_text_is_compressed_as_the_client_likes_it() {
    run(async {
        let text = "all work and no play\n".repeat(5000);
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\netag: \"v1\"\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        let backend = Backend::says(answer.leak()).await;
        let gateway = gateway(&backend).await;
        let (head, body) = ask(&gateway, "gzip").await;
        assert!(head.contains("content-encoding: gzip") && head.contains("etag: W/\"v1~doorward\""), "{head}");
        assert!(head.contains("vary: Accept-Encoding") && !head.contains("content-length"), "{head}");
        assert!(body.len() < 2000);
        assert_eq!(gunzipped(&body), text);
        let (head, body) = ask(&gateway, "gzip, br, zstd").await;
        assert!(head.contains("content-encoding: zstd"), "{head}");
        assert_eq!(zstd::stream::decode_all(&body[..]).unwrap(), text.as_bytes());
        let (head, body) = ask(&gateway, "br").await;
        assert!(!head.contains("content-encoding") && head.contains("vary: Accept-Encoding"), "{head}");
        assert_eq!(body, text.as_bytes());
        let sent = gateway.records().await.iter().map(|record| record["bytes_out"].as_u64().unwrap()).min().unwrap();
        assert!(sent < 2000, "the log says what was sent: {sent}");
    });
}

#[test]
fn lines_of_a_stream_arrive_when_they_are_sent() {
    run(async {
        let backend = Backend::start(|mut peer, _| async move {
            peer.head().await;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";
            peer.send(&format!("{head}8\r\n{{\"n\":1}}\n\r\n")).await;
            // The rest comes when the client has read the first line, which it says by leaving.
            let (_, _) = peer.rest().await;
        })
        .await;
        let gateway = gateway(&backend).await;
        let mut client = gateway.client().await;
        client.send(&get("gzip")).await;
        client.head().await;
        let mut seen = client.unread();
        let line = loop {
            let mut text = String::new();
            let chunk = seen.windows(2).position(|window| window == b"\r\n").map(|at| at + 2);
            if let Some(from) = chunk {
                // The end is missing, so reading fails behind what is there.
                drop(flate2::read::GzDecoder::new(&seen[from..]).read_to_string(&mut text));
            }
            if !text.is_empty() {
                break text;
            }
            assert_ne!(client.stream.read_buf(&mut seen).await.unwrap(), 0);
        };
        assert_eq!(line, "{\"n\":1}\n");
    });
}

#[test]
fn small_answers_and_event_streams_stay_as_they_are() {
    run(async {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: 1\n\n",
        ] {
            let backend = Backend::start(move |mut peer, _| async move {
                peer.head().await;
                peer.send(answer).await;
            })
            .await;
            let (head, body) = ask(&gateway(&backend).await, "gzip, zstd").await;
            assert!(!head.contains("content-encoding"), "{head}");
            assert!(answer.as_bytes().ends_with(&body));
        }
    });
}
