//! One question to a service of the operator's, over the same verified connections as orders: a status comes back.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, StatusCode, Uri};

use super::connection;
use super::error::{HttpError, Stage};
use super::request::dressed;
use super::tls::connector;
use crate::net::system_resolver::SystemResolver;

/// Until the connection stands, name resolution included.
const CONNECT: Duration = Duration::from_secs(10);
/// From the request to the end of its answer.
const ANSWER: Duration = Duration::from_secs(20);
/// Longest answer; nobody reads it.
const BODY: usize = 64 * 1024;

/// Posts `json`. An https service is verified by the machine's roots before a byte of it leaves; plain http is meant for
/// services on this machine.
pub async fn json(url: &str, json: String) -> Result<StatusCode, HttpError> {
    let kind = HeaderValue::from_static("application/json");
    send(url, Request::post(url).header(CONTENT_TYPE, kind).body(Bytes::from(json))).await
}

/// Asks by GET. As [`json`] otherwise.
pub async fn get(url: &str) -> Result<StatusCode, HttpError> {
    send(url, Request::get(url).body(Bytes::new())).await
}

async fn send(url: &str, request: http::Result<Request<Bytes>>) -> Result<StatusCode, HttpError> {
    let (host, port, tls) = place(url)?;
    let request = dressed(request.map_err(|_| HttpError::Url { url: host.clone() })?, &host, port, tls)?;
    let resolver = SystemResolver::default();
    let dial = async {
        match tls {
            true => connection::dial(&resolver, &connector(None).await?, &host, port).await,
            false => connection::dial_plain(&resolver, &host, port).await,
        }
    };
    let late = |stage, after| HttpError::Slow { host: host.clone(), stage, after };
    let mut connection = tokio::time::timeout(CONNECT, dial).await.map_err(|_| late(Stage::Connect, CONNECT))??;
    let exchanged = tokio::time::timeout(ANSWER, connection.exchange(request, BODY)).await;
    match exchanged.map_err(|_| late(Stage::Answer, ANSWER))?? {
        Ok(response) => Ok(response.status()),
        Err(_) => Err(HttpError::Lost { host: host.clone(), sent: false, cause: None }),
    }
}

/// Host without brackets, port, and whether TLS is spoken. The URL itself may hold a secret and is not repeated.
fn place(url: &str) -> Result<(String, u16, bool), HttpError> {
    let bad = || HttpError::Url { url: "this address".to_owned() };
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(bad()),
    };
    let host = uri.host().ok_or_else(bad)?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((host, uri.port_u16().unwrap_or(if tls { 443 } else { 80 }), tls))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::base::error_chain::ErrorChain;
    use crate::base::task;

    #[tokio::test]
    async fn a_service_at_localhost_is_reached_at_either_loopback_address() {
        for address in ["127.0.0.1", "::1"] {
            let listener = TcpListener::bind((address, 0)).await.unwrap();
            let url = format!("http://localhost:{}/hook", listener.local_addr().unwrap().port());
            let serving = task::spawn("service", async move {
                for _ in 0..2 {
                    let (mut socket, _) = listener.accept().await.unwrap();
                    let read = socket.read(&mut [0; 4_096]).await.unwrap();
                    assert!(read > 0);
                    socket.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
                }
            });
            assert_eq!(get(&url).await.unwrap(), StatusCode::NO_CONTENT, "{address}");
            assert_eq!(json(&url, "{}".to_owned()).await.unwrap(), StatusCode::NO_CONTENT, "{address}");
            serving.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_named_with_every_address_that_was_tried() {
        let port = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
        let error = get(&format!("http://localhost:{port}/hook?token=s3cret")).await.unwrap_err();
        let text = ErrorChain(&error).to_string();
        for part in ["cannot connect to localhost", &format!("127.0.0.1:{port}: "), &format!("[::1]:{port}: ")] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("s3cret"), "{text}");
    }
}
