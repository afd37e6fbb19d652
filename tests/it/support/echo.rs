//! A backend of the tests' own: it says what it was asked, and echoes WebSocket messages.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use doorward::base::task;
use futures_util::StreamExt;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::server::Server;

/// Starts it at a free port.
pub fn start() -> Server {
    start_at((Ipv4Addr::LOCALHOST, 0).into())
}

/// Starts it at `address`.
pub fn start_at(address: SocketAddr) -> Server {
    Server::start("echo backend", address, serve)
}

async fn serve(listener: TcpListener) {
    while let Ok((socket, _)) = listener.accept().await {
        task::spawn("echo backend connection", async move {
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service_fn(answer));
            // A client that leaves is no news here.
            let _ = connection.with_upgrades().await;
        });
    }
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        let coding = request.headers().get(header::TRANSFER_ENCODING).map_or("", |_| " chunked");
        let length = request.headers().get(header::CONTENT_LENGTH).map_or("", |_| " with a length");
        return Ok(Response::new(Full::from(format!(
            "hello from echo: {} {}{coding}{length}\n",
            request.method(),
            request.uri()
        ))));
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    task::spawn("echo tunnel", async move {
        let Ok(stream) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
        let (sink, messages) = socket.split();
        let echoed =
            messages.filter(|message| std::future::ready(message.as_ref().map_or(true, |m| m.is_text() || m.is_binary())));
        let _ = echoed.forward(sink).await;
    });
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response.body(Full::default()).expect("its parts are valid"))
}
