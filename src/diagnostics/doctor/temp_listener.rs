//! Stands in for a gateway that does not run: opens its ports for as long as the examination lasts, and shows the beacon
//! there, so that what DNS and firewalls do can be seen before the first start.

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::ports;
use crate::base::task;
use crate::base::time::{Clock, SystemClock};
use crate::certs::challenge::tls_alpn01::{ALPN, ProofResolver};
use crate::certs::challenge::{ChallengeBoard, http01};
use crate::certs::preflight::finding::Finding;
use crate::certs::preflight::self_test::{SelfTest, SelfTestGuard};
use crate::config::settings::Settings;
use crate::listeners::bind::{self, Listening, Role};

/// For one visitor.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Of a visitor's request that is read.
const MAX_REQUEST: usize = 4 << 10;

/// Open ports with a light; they close with it.
pub(super) struct TempListeners {
    lit: SelfTestGuard,
    tasks: Vec<tokio::task::JoinHandle<Option<()>>>,
}

impl TempListeners {
    /// Opens what the settings ask for, and tells of each port. `None` when no light can be shown anywhere.
    pub(super) fn open(settings: &Settings) -> (Vec<Finding>, Option<Self>) {
        let board = ChallengeBoard::new();
        let front = Self::front(&board);
        let lit = SelfTestGuard::new(&board, SystemClock.now());
        let (mut findings, mut tasks) = (Vec::new(), Vec::new());
        for spot in bind::wanted(settings) {
            let opened = bind::open(spot, 1);
            findings.push(ports::tried(&spot, opened.as_ref().map(|_| ())));
            let listeners = opened.into_iter().flatten().filter_map(|listening| match listening {
                Listening::Tcp(listener) => Some(listener),
                Listening::Udp(..) => None,
            });
            for listener in listeners {
                let front = front.clone().filter(|_| spot.role == Role::Tls);
                tasks.push(task::spawn_local("stand-in", attend(listener, Arc::clone(&board), front)));
            }
        }
        (findings, lit.ok().map(|lit| Self { lit, tasks }))
    }

    /// Shows the light to who asks as an authority does, and nothing to anybody else.
    fn front(board: &Arc<ChallengeBoard>) -> Option<TlsAcceptor> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(ProofResolver(Arc::clone(board))));
        config.alpn_protocols = vec![ALPN.to_vec()];
        Some(TlsAcceptor::from(Arc::new(config)))
    }

    pub(super) const fn beacon(&self) -> &SelfTest {
        &self.lit.beacon
    }
}

impl Drop for TempListeners {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

async fn attend(listener: StdListener, board: Arc<ChallengeBoard>, front: Option<TlsAcceptor>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let (board, front) = (Arc::clone(&board), front.clone());
        task::spawn_local("stand-in's visitor", async move {
            match front {
                // All that is wanted is seen in the handshake.
                Some(front) => _ = timeout(REQUEST_TIMEOUT, front.accept(stream)).await,
                // A visitor who leaves is not missed.
                None => _ = timeout(REQUEST_TIMEOUT, answer(stream, &board)).await,
            }
        });
    }
}

/// One request, of which the first line counts.
async fn answer(mut stream: TcpStream, board: &ChallengeBoard) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < MAX_REQUEST {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let proof = http01::token(path).and_then(|token| board.http(token));
    let (status, body) = match &proof {
        Some(proof) => ("200 OK", proof.key_authorization.as_str()),
        None => ("404 Not Found", ""),
    };
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\nServer: doorward\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}
