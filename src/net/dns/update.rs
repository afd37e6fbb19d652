//! Adding and removing one TXT record by a dynamic update (RFC 2136), signed by a key that both sides know (RFC 8945).

use std::net::SocketAddr;

use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::rdata::tsig::{TsigAlgorithm as Algorithm, TsigError};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, TSigner};

use super::answer::in_words;
use super::error::DnsError;
use super::exchange::{ANSWER, ROUNDS, exchange};
use super::kind::Kind;
use super::name::parse;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;

/// How long others may remember the record: it is needed for a minute.
const TTL: u32 = 60;
/// How far the clocks of both sides may be apart, in seconds (RFC 8945 section 10 recommends it).
const FUDGE: u16 = 300;

/// One change at one server.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// The zone's primary name server.
    pub server: SocketAddr,
    /// The zone.
    pub zone: &'a str,
    /// The record's name.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Whether it is to be there. Other texts of the same name are left alone.
    pub present: bool,
}

/// A key that both sides know (RFC 8945).
#[derive(Clone, Copy, Debug)]
pub struct TsigKey<'a> {
    /// Its name at the server.
    pub name: &'a str,
    /// What it signs by.
    pub algorithm: TsigAlgorithm,
    /// The key itself.
    pub secret: &'a Secret<Vec<u8>>,
}

/// By what a [`TsigKey`] signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TsigAlgorithm {
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

/// An update was not made.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// It cannot be sent, or is not answered.
    #[error("the update of the zone {zone} came to nothing")]
    Unanswered {
        /// The zone.
        zone: String,
        /// Why.
        #[source]
        source: Box<DnsError>,
    },
    /// The server refused.
    #[error("the name server {server} refused the update of the zone {zone}: {said}")]
    Refused {
        /// Who refused.
        server: SocketAddr,
        /// The zone.
        zone: String,
        /// Its code in words.
        said: String,
    },
    /// The server does not accept the key.
    #[error("the name server {server} does not accept the key `{key}`: {said}")]
    Key {
        /// Who refused.
        server: SocketAddr,
        /// The key's name.
        key: String,
        /// Its code in words.
        said: &'static str,
    },
    /// The answer is not signed by the key, so it may be anybody's.
    #[error("the answer of the name server {server} is not signed by the key `{key}`")]
    Unsigned {
        /// Who is said to have answered.
        server: SocketAddr,
        /// The key's name.
        key: String,
    },
    /// The key or one of the names is none.
    #[error("no update can be made of the zone `{zone}` and the key `{key}`: one of the names is none")]
    Unusable {
        /// The zone.
        zone: String,
        /// The key's name; empty without one.
        key: String,
    },
}

/// Makes the change. Making it twice does no harm, so a lost answer is asked for again.
pub async fn update(update: Update<'_>, key: Option<TsigKey<'_>>, now: Timestamp) -> Result<(), UpdateError> {
    let key_name = || key.map(|key| key.name.to_owned()).unwrap_or_default();
    let unusable = || UpdateError::Unusable { zone: update.zone.to_owned(), key: key_name() };
    let mut message = message(&update).ok_or_else(unusable)?;
    let mut verifier = None;
    if let Some(key) = key {
        let seconds = u64::try_from(now.unix()).unwrap_or_default();
        let signer = signer(key).ok_or_else(unusable)?;
        verifier = message.finalize(&signer, seconds).map_err(|_| unusable())?;
    }
    let request = message.to_vec().map_err(|_| unusable())?;
    let (bytes, answer) = send(&update, &message, &request).await?;
    judge(&update, &answer, key)?;
    match verifier.is_some_and(|mut verifier| verifier.verify(&bytes).is_err()) {
        true => Err(UpdateError::Unsigned { server: update.server, key: key_name() }),
        false => Ok(()),
    }
}

async fn send(update: &Update<'_>, message: &Message, request: &[u8]) -> Result<(Vec<u8>, Message), UpdateError> {
    let mut round = 1;
    loop {
        match exchange(update.server, message, request, ANSWER).await {
            Ok(answer) => return Ok(answer),
            Err(_) if round < ROUNDS => round += 1,
            Err(failure) => {
                let source = failure.about(update.name.to_owned(), Kind::Txt, update.server);
                return Err(UpdateError::Unanswered { zone: update.zone.to_owned(), source: Box::new(source) });
            }
        }
    }
}

/// A class of its own says that a record is to go (RFC 2136 section 2.5.4).
fn message(update: &Update<'_>) -> Option<Message> {
    let (zone, name) = (parse(update.zone).ok()?, parse(update.name).ok()?);
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(zone, RecordType::SOA));
    let pieces = update.text.as_bytes().chunks(255).collect();
    let mut record = Record::from_rdata(name, TTL, RData::TXT(TXT::from_bytes(pieces)));
    if !update.present {
        (record.ttl, record.dns_class) = (0, DNSClass::NONE);
    }
    message.add_authority(record);
    Some(message)
}

fn signer(key: TsigKey<'_>) -> Option<TSigner> {
    let algorithm = match key.algorithm {
        TsigAlgorithm::HmacSha256 => Algorithm::HmacSha256,
        TsigAlgorithm::HmacSha384 => Algorithm::HmacSha384,
        TsigAlgorithm::HmacSha512 => Algorithm::HmacSha512,
    };
    let name = Name::from_ascii(key.name.to_ascii_lowercase()).ok()?;
    TSigner::new(key.secret.expose().clone(), algorithm, name, FUDGE).ok()
}

/// A server that cannot verify us cannot sign its refusal either; the refusal is believed all the same, since it grants
/// nothing.
fn judge(update: &Update<'_>, answer: &Message, key: Option<TsigKey<'_>>) -> Result<(), UpdateError> {
    let code = answer.metadata.response_code;
    if code == ResponseCode::NoError {
        return Ok(());
    }
    let of_key = answer.signature.as_ref().and_then(|signature| signature.data.error).and_then(about_key);
    let of_key = of_key.or(match code {
        ResponseCode::BADSIG | ResponseCode::BADVERS => about_key(TsigError::BadSig),
        ResponseCode::BADKEY => about_key(TsigError::BadKey),
        ResponseCode::BADTIME => about_key(TsigError::BadTime),
        _ => None,
    });
    let (server, zone) = (update.server, update.zone.to_owned());
    Err(match (of_key, key) {
        (Some(said), Some(key)) => UpdateError::Key { server, key: key.name.to_owned(), said },
        _ => UpdateError::Refused { server, zone, said: in_words(code) },
    })
}

const fn about_key(error: TsigError) -> Option<&'static str> {
    match error {
        TsigError::BadSig => Some("BADSIG (the secret or the algorithm is not the server's)"),
        TsigError::BadKey => Some("BADKEY (it knows no such key with this algorithm, or lets it not do this)"),
        TsigError::BadTime => Some("BADTIME (the clocks of the two machines are more than 5 minutes apart)"),
        TsigError::BadTrunc | TsigError::Unknown(_) => None,
    }
}
