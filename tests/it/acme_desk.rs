//! What an order needs around it: ledgers in memory that can stop an order at any step, a board, and listeners that show
//! its proofs on two ports, each of which can be shut.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use doorward::base::name::Identifier;
use doorward::base::secret::Secret;
use doorward::base::task;
use doorward::base::time::{Clock, SystemClock, Timestamp};
use doorward::certs::challenge::tls_alpn01::ProofResolver;
use doorward::certs::challenge::{ChallengeBoard, http01, tls_alpn01};
use doorward::certs::issuer::account::AcmeAccount;
use doorward::certs::issuer::acme::{Issued, OrderError, OrderJob, order};
use doorward::certs::issuer::http::{AcmeHttp, HttpLimits};
use doorward::certs::issuer::order_store::{AccountFacts, AccountStore, InFlight, LedgerError, OrderStore};
use doorward::config::settings::{Acme, At, ChallengeKind, Eab, KeyKind, SecretSource};
use doorward::state::schema::TxtRecord;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::server::Server;

/// The two ports an authority looks at, and the board they show.
pub struct AdminHandler {
    pub board: Arc<ChallengeBoard>,
    pub http_open: Arc<AtomicBool>,
    /// Proofs by HTTP that are still to be missed.
    pub http_misses: Arc<AtomicUsize>,
    pub alpn_open: Arc<AtomicBool>,
    http: Server,
    https: Server,
}

impl AdminHandler {
    pub fn open() -> Self {
        Self::showing(ChallengeBoard::new(), 0, 0)
    }

    /// At this address of the machine.
    pub fn open_at(address: &str) -> Self {
        Self::showing_at(address.parse().unwrap(), ChallengeBoard::new(), 0, 0)
    }

    /// Shows what somebody else posts, at these ports.
    pub fn showing(board: Arc<ChallengeBoard>, http_port: u16, https_port: u16) -> Self {
        Self::showing_at(Ipv4Addr::LOCALHOST.into(), board, http_port, https_port)
    }

    fn showing_at(address: IpAddr, board: Arc<ChallengeBoard>, http_port: u16, https_port: u16) -> Self {
        let (http_open, alpn_open) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
        let at = |port| SocketAddr::from((address, port));
        let (shown, open) = (Arc::clone(&board), Arc::clone(&http_open));
        let http_misses = Arc::<AtomicUsize>::default();
        let misses = Arc::clone(&http_misses);
        let http = Server::start("port 80", at(http_port), move |listener| show_http(listener, shown, open, misses));
        let (shown, open) = (Arc::clone(&board), Arc::clone(&alpn_open));
        let https = Server::start("port 443", at(https_port), move |listener| show_alpn(listener, shown, open));
        Self { board, http_open, http_misses, alpn_open, http, https }
    }

    pub fn http_port(&self) -> u16 {
        self.http.address().port()
    }

    pub fn https_port(&self) -> u16 {
        self.https.address().port()
    }
}

async fn show_http(listener: TcpListener, board: Arc<ChallengeBoard>, open: Arc<AtomicBool>, misses: Arc<AtomicUsize>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (board, open, misses) = (Arc::clone(&board), Arc::clone(&open), Arc::clone(&misses));
        task::spawn("port 80", async move {
            let service = service_fn(async |request: Request<Incoming>| {
                let missed = misses.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
                let token = http01::token(request.uri().path()).filter(|_| open.load(Ordering::Relaxed) && !missed);
                let proof = token.and_then(|token| board.http(token));
                let (status, body) = match &proof {
                    Some(proof) => (StatusCode::OK, proof.key_authorization.clone()),
                    None => (StatusCode::NOT_FOUND, String::new()),
                };
                Response::builder().status(status).body(Full::new(Bytes::from(body)))
            });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn show_alpn(listener: TcpListener, board: Arc<ChallengeBoard>, open: Arc<AtomicBool>) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(ProofResolver(board)));
    config.alpn_protocols = vec![tls_alpn01::ALPN.to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    while let Ok((socket, _)) = listener.accept().await {
        if open.load(Ordering::Relaxed) {
            let accept = acceptor.accept(socket);
            task::spawn("port 443", async move { drop(accept.await) });
        }
    }
}

/// Both ledgers, in memory. It writes down each step, and can be told to stop an order right after one is kept, which
/// leaves what a crash at that instant leaves.
#[derive(Default)]
pub struct Memory(Mutex<Facts>);

#[derive(Default)]
struct Facts {
    account: AccountFacts,
    in_flight: Option<InFlight>,
    challenge: Option<ChallengeKind>,
    records: Vec<TxtRecord>,
    steps: Vec<&'static str>,
    stop_after: Option<&'static str>,
}

impl Memory {
    pub fn stopping_after(step: &'static str) -> Arc<Self> {
        let memory = Self::default();
        memory.0.lock().unwrap().stop_after = Some(step);
        Arc::new(memory)
    }

    /// It stops nobody any more.
    pub fn heal(&self) {
        self.0.lock().unwrap().stop_after = None;
    }

    pub fn steps(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().steps.clone()
    }

    pub fn count(&self, step: &str) -> usize {
        self.0.lock().unwrap().steps.iter().filter(|kept| **kept == step).count()
    }

    fn keep(&self, step: &'static str, change: impl FnOnce(&mut Facts)) -> Result<(), LedgerError> {
        let mut facts = self.0.lock().unwrap();
        change(&mut facts);
        facts.steps.push(step);
        match facts.stop_after == Some(step) {
            true => Err(LedgerError { what: step, cause: "the test stops here".into() }),
            false => Ok(()),
        }
    }
}

impl AccountStore for Memory {
    fn account(&self) -> Result<AccountFacts, LedgerError> {
        Ok(self.0.lock().unwrap().account.clone())
    }

    fn keep_account_key(&self, key_pem: &Secret<String>) -> Result<(), LedgerError> {
        self.keep("account key", |facts| {
            facts.account = AccountFacts { key_pem: Some(key_pem.clone()), ..AccountFacts::default() }
        })
    }

    fn keep_account_url(&self, url: &str) -> Result<(), LedgerError> {
        self.keep("account", |facts| facts.account.url = Some(url.to_owned()))
    }

    fn forget_account_url(&self) -> Result<(), LedgerError> {
        self.keep("account forgotten", |facts| facts.account.url = None)
    }

    fn keep_next_key(&self, key_pem: &Secret<String>) -> Result<(), LedgerError> {
        self.keep("next key", |facts| facts.account.next_key_pem = Some(key_pem.clone()))
    }

    fn settle_next_key(&self, took_place: bool) -> Result<(), LedgerError> {
        self.keep("next key settled", |facts| {
            let next = facts.account.next_key_pem.take();
            if took_place {
                facts.account.key_pem = next;
            }
        })
    }

    fn put_account_aside(&self, _why: &str) -> Result<(), LedgerError> {
        self.keep("account put aside", |facts| facts.account = AccountFacts::default())
    }
}

impl OrderStore for Memory {
    fn in_flight(&self) -> Result<Option<InFlight>, LedgerError> {
        Ok(self.0.lock().unwrap().in_flight.clone())
    }

    fn keep_order(&self, url: &str) -> Result<(), LedgerError> {
        self.keep("order", |facts| facts.in_flight = Some(InFlight { url: url.to_owned(), key_pem: None }))
    }

    fn keep_certificate_key(&self, key_pem: &Secret<String>) -> Result<(), LedgerError> {
        self.keep("key", |facts| facts.in_flight.as_mut().unwrap().key_pem = Some(key_pem.clone()))
    }

    fn forget_order(&self) -> Result<(), LedgerError> {
        self.keep("order forgotten", |facts| facts.in_flight = None)
    }

    fn last_challenge(&self) -> Result<Option<ChallengeKind>, LedgerError> {
        Ok(self.0.lock().unwrap().challenge)
    }

    fn keep_challenge(&self, kind: ChallengeKind) -> Result<(), LedgerError> {
        self.keep("challenge", |facts| facts.challenge = Some(kind))
    }

    fn keep_record(&self, record: &TxtRecord) -> Result<(), LedgerError> {
        self.keep("record", |facts| facts.records.push(record.clone()))
    }

    fn forget_record(&self, record: &TxtRecord) -> Result<(), LedgerError> {
        self.keep("record forgotten", |facts| facts.records.retain(|kept| kept != record))
    }
}

/// A clock that is so many seconds ahead of the right one, until it is set.
#[derive(Default)]
pub struct WrongClock(AtomicI64);

impl WrongClock {
    pub fn ahead_by(seconds: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(seconds)))
    }

    pub fn set_right(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(SystemClock.now().unix() + self.0.load(Ordering::Relaxed))
    }
}

/// One authority as a gateway knows it.
pub struct Customer {
    pub acme: Acme,
    pub memory: Arc<Memory>,
    pub account: AcmeAccount,
}

impl Customer {
    /// A customer of the authority at `directory` whose TLS is verified by `ca_file`.
    pub fn new(directory: &str, ca_file: PathBuf, memory: Arc<Memory>) -> Self {
        Self::with(acme(directory, ca_file), memory)
    }

    pub fn with(acme: Acme, memory: Arc<Memory>) -> Self {
        Self::with_limits(acme, memory, HttpLimits::default())
    }

    /// As [`Customer::with`], with limits of its own on an authority's slowness.
    pub fn with_limits(acme: Acme, memory: Arc<Memory>, limits: HttpLimits) -> Self {
        Self::with_clock(acme, memory, limits, Arc::new(SystemClock))
    }

    /// As [`Customer::with_limits`], on a machine with this clock.
    pub fn with_clock(acme: Acme, memory: Arc<Memory>, limits: HttpLimits, clock: Arc<dyn Clock>) -> Self {
        let http = AcmeHttp::new(&acme.directory, acme.ca_file.clone(), limits, clock);
        let ledger: Arc<Memory> = Arc::clone(&memory);
        let account = AcmeAccount::new(http, &acme, Some("op@example.com".into()), ledger);
        Self { acme, memory, account }
    }

    /// As the next process would find things: the same ledgers, nothing else.
    pub fn restarted(&self) -> Self {
        self.memory.heal();
        Self::with(self.acme.clone(), Arc::clone(&self.memory))
    }

    pub async fn order(&self, desk: &AdminHandler, names: &[&str]) -> Result<Issued, OrderError> {
        self.order_replacing(desk, names, None).await
    }

    pub async fn order_replacing(
        &self,
        desk: &AdminHandler,
        names: &[&str],
        replaces: Option<&str>,
    ) -> Result<Issued, OrderError> {
        let identifiers = names.iter().map(|name| Identifier::parse(name).unwrap()).collect();
        let acme = Arc::new(self.acme.clone());
        let job = OrderJob { acme, identifiers, replaces: replaces.map(str::to_owned), most_failures: 3 };
        let ledger: Arc<dyn OrderStore> = Arc::<Memory>::clone(&self.memory);
        let issued = order(&job, &self.account, &ledger, &desk.board).await?;
        assert!(desk.board.is_empty(), "a proof outlived its order");
        ledger.forget_order().unwrap();
        Ok(issued)
    }
}

/// The settings of an authority with both challenges and nothing else.
pub fn acme(directory: &str, ca_file: PathBuf) -> Acme {
    Acme {
        directory: directory.to_owned(),
        staging: false,
        at: At::default(),
        ca_file: Some(ca_file),
        profile: None,
        eab: None,
        challenges: vec![ChallengeKind::Http01, ChallengeKind::TlsAlpn01],
        dns: None,
        propagation: Default::default(),
        preferred_root: None,
        resolvers: Vec::new(),
        key: KeyKind::P256,
        rehearsal: None,
        fallback: Vec::new(),
        on_demand_ask: None,
        hook: None,
        alert: None,
    }
}

/// The external binding that a Pebble with these values wants; the key is decoded from base64url.
pub fn eab(key_id: &str, hmac_key: &[u8]) -> Eab {
    let from = SecretSource::File(PathBuf::new());
    Eab { key_id: key_id.to_owned(), hmac_key: Secret::new(hmac_key.to_vec()), from, at: Default::default() }
}
